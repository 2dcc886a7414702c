// The recipe: checked while the user types, with a preview of one variant of a stored image.

import { send, sendJson } from "./api.js";
import { byId, copy, createElement, formatBytes } from "./elements.js";

const CHECK_DELAY_MS = 300;
let serverRecipe = null;
let validToml = ""; // the last valid text: its variants are listed and previewed
let checkTimer = null;
let pendingCheck = null;
let pendingPreview = null;

export async function show() {
  serverRecipe ??= await sendJson("/recipe");
  if (!byId("toml").value) byId("toml").value = serverRecipe.toml;
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
  byId("copy-toml").addEventListener("click", () => copy(byId("toml").value, byId("copy-toml")));
  byId("reset-toml").addEventListener("click", () => {
    byId("toml").value = serverRecipe.toml;
    check();
  });
}

async function check() {
  pendingCheck?.abort();
  pendingCheck = new AbortController();
  try {
    const toml = byId("toml").value;
    const result = await sendJson("/recipe/check", { method: "POST", body: { toml }, signal: pendingCheck.signal });
    byId("toml").setAttribute("aria-invalid", String(!result.valid));
    byId("recipe-message").classList.toggle("error", !result.valid);
    byId("recipe-message").textContent = result.valid ? describe(result) : result.error;
    if (!result.valid) return;
    validToml = toml;
    const chosen = byId("variant").value;
    byId("variant").replaceChildren(...result.variants.map((each) => createElement("option", { value: each.name }, each.name)));
    const selected = result.variants.find((each) => each.name === chosen) || result.variants.find((each) => each.name === "small");
    if (selected) byId("variant").value = selected.name;
    await preview();
  } catch (error) {
    if (error.name !== "AbortError") byId("recipe-message").textContent = error.message;
  }
}

function describe({ variants, fingerprint }) {
  const count = `${variants.length} ${variants.length === 1 ? "variant" : "variants"}`;
  const isServerRecipe = serverRecipe && fingerprint === serverRecipe.fingerprint;
  return `Valid recipe with ${count}. ${isServerRecipe ? "The server uses it." : "The server uses another one."}`;
}

async function preview() {
  const key = byId("image").value;
  const variant = byId("variant").value;
  if (!key || !variant) return;
  pendingPreview?.abort();
  pendingPreview = new AbortController();
  byId("preview").classList.add("busy");
  try {
    const body = { toml: validToml, variant, key };
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
