// The recipe: checked while the user types, with a preview of one variant, and with what it would change.

import { send, sendJson } from "./api.js";
import { announce, byId, confirm, copy, createElement, formatBytes, formatCount, formatSeconds } from "./elements.js";

const CHECK_DELAY_MS = 300;
let serverRecipe = null;
let valid = null; // the last valid text and its check: its variants are listed and previewed
let checkTimer = null;
let pendingCheck = null;
let pendingPreview = null;
let pendingPlan = null;

export async function show() {
  serverRecipe ??= await sendJson("/recipe");
  if (!byId("toml").value) byId("toml").value = serverRecipe.toml;
  byId("save-toml").hidden = !serverRecipe.file;
  byId("save-toml").textContent = `Save to ${serverRecipe.file}`;
  const { images } = await sendJson(`/images?${new URLSearchParams({ status: "ok", limit: 100 })}`);
  const chosen = byId("image").value;
  byId("image").replaceChildren(...images.map((image) => createElement("option", { value: image.key }, image.key)));
  if (images.some((image) => image.key === chosen)) byId("image").value = chosen;
  await check();
}

export function addListeners() {
  byId("toml").addEventListener("input", () => {
    clearTimeout(checkTimer);
    checkTimer = setTimeout(check, CHECK_DELAY_MS);
  });
  byId("image").addEventListener("change", preview);
  byId("variant").addEventListener("change", preview);
  byId("save-toml").addEventListener("click", save);
  byId("download-toml").addEventListener("click", download);
  byId("copy-toml").addEventListener("click", () => copy(byId("toml").value, byId("copy-toml")));
  byId("reset-toml").addEventListener("click", () => {
    byId("toml").value = serverRecipe.toml;
    check();
  });
}

async function check() {
  pendingCheck?.abort();
  pendingPlan?.abort();
  pendingCheck = new AbortController();
  try {
    const toml = byId("toml").value;
    const result = await sendJson("/recipe/check", { method: "POST", body: { toml }, signal: pendingCheck.signal });
    byId("toml").setAttribute("aria-invalid", String(!result.valid));
    showMessage(result.valid ? `Valid recipe with ${formatCount(result.variants.length, "variant")}.` : result.error, !result.valid);
    byId("save-toml").disabled = byId("download-toml").disabled = !result.valid;
    if (!result.valid) return;
    valid = { toml, ...result };
    const chosen = byId("variant").value;
    byId("variant").replaceChildren(...result.variants.map((each) => createElement("option", { value: each.name }, each.name)));
    const selected = result.variants.find((each) => each.name === chosen) || result.variants.find((each) => each.name === "small");
    if (selected) byId("variant").value = selected.name;
    await Promise.all([preview(), plan()]);
  } catch (error) {
    if (error.name !== "AbortError") showMessage(error.message, true);
  }
}

function showMessage(text, isError) {
  byId("recipe-message").classList.toggle("error", isError);
  byId("recipe-message").textContent = text;
}

// Shows what the recipe would change. Nothing is changed.
async function plan() {
  const output = byId("plan");
  if (valid.fingerprint === serverRecipe.fingerprint) {
    output.textContent = "The server uses this recipe.";
    return;
  }
  pendingPlan = new AbortController();
  output.textContent = "Counting what would change…";
  try {
    const result = await sendJson("/recipe/plan", { method: "POST", body: { toml: valid.toml }, signal: pendingPlan.signal });
    output.textContent = describePlan(result);
  } catch (error) {
    if (error.name !== "AbortError") output.textContent = error.message;
  }
}

function describePlan({ sources, updated, deleted, bytes, seconds, dollars }) {
  if (!updated && !deleted) return `No thumbnail of ${formatCount(sources, "image")} would change.`;
  const parts = [`${formatCount(updated, "image")} of ${sources.toLocaleString("en")} would be updated: ${formatBytes(bytes)} to read, ${formatSeconds(seconds)}.`];
  if (deleted) parts.push(`${formatCount(deleted, "file")} would be deleted.`);
  if (dollars !== null) parts.push(`Requests to S3 would cost about $${dollars.toFixed(2)}.`);
  return parts.join(" ");
}

// Asks first if thumbnails would change: the server uses the recipe at once.
async function save() {
  clearTimeout(checkTimer);
  await check();
  if (valid?.toml !== byId("toml").value) return;
  const isNew = valid.fingerprint !== serverRecipe.fingerprint;
  if (isNew && !await confirm(`Save this recipe and use it now? ${byId("plan").textContent}`, "Save")) return;
  try {
    const { file } = await sendJson("/recipe", { method: "PUT", body: { toml: valid.toml } });
    serverRecipe = await sendJson("/recipe");
    await check();
    showMessage(`Saved to ${file}. The server uses it now, and updates the thumbnails.`, false);
  } catch (error) {
    showMessage(error.message, true);
  }
}

function download() {
  const url = URL.createObjectURL(new Blob([byId("toml").value], { type: "application/toml" }));
  createElement("a", { href: url, download: "thumbsmith.toml" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
  announce("thumbsmith.toml was downloaded.");
}

async function preview() {
  const key = byId("image").value;
  const variant = byId("variant").value;
  if (!key || !variant) return;
  pendingPreview?.abort();
  pendingPreview = new AbortController();
  byId("preview").classList.add("busy");
  try {
    const body = { toml: valid.toml, variant, key };
    const response = await send("/previews", { method: "POST", body, signal: pendingPreview.signal });
    if (!response.ok) throw new Error((await response.json()).detail);
    const file = await response.blob();
    const size = (response.headers.get("x-thumbsmith-size") || "").replace("x", " × ");
    const image = byId("preview-picture");
    if (image.src) URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(file);
    image.alt = `${variant} of ${key}`;
    image.hidden = false;
    byId("preview-about").textContent = `${variant} · ${size} · ${file.type.replace("image/", "")} · ${formatBytes(file.size)}`;
  } catch (error) {
    if (error.name === "AbortError") return;
    byId("preview-picture").hidden = true;
    byId("preview-about").textContent = error.message;
  }
  byId("preview").classList.remove("busy");
}
