// The recipe: checked as it is typed, one variant of it made of a photo that is here.

import { ask, read } from "./api.js";
import { by, bytes, copy, make } from "./elements.js";

const PAUSE = 300;
let held = null;
let valid = ""; // the last text that was a recipe: what the variants are of, and what is previewed
let timer = null;
let checking = null;
let previewing = null;

export async function show() {
  held ??= await read("/recipe");
  if (!by("toml").value) by("toml").value = held.toml;
  const { images } = await read(`/images?${new URLSearchParams({ status: "ok", limit: 100 })}`);
  const chosen = by("photo").value;
  by("photo").replaceChildren(...images.map((image) => make("option", { value: image.key }, image.key)));
  if (images.some((image) => image.key === chosen)) by("photo").value = chosen;
  await check();
}

export function begin() {
  by("toml").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(check, PAUSE);
  });
  by("photo").addEventListener("change", preview);
  by("variant").addEventListener("change", preview);
  by("copy-toml").addEventListener("click", () => copy(by("toml").value, by("copy-toml")));
  by("reset-toml").addEventListener("click", () => {
    by("toml").value = held.toml;
    check();
  });
}

async function check() {
  checking?.abort();
  checking = new AbortController();
  try {
    const toml = by("toml").value;
    const verdict = await read("/recipe/check", { method: "POST", body: { toml }, signal: checking.signal });
    by("toml").setAttribute("aria-invalid", String(!verdict.valid));
    by("verdict").classList.toggle("wrong", !verdict.valid);
    by("verdict").textContent = verdict.valid ? sentence(verdict) : verdict.error;
    if (!verdict.valid) return;
    valid = toml;
    const chosen = by("variant").value;
    by("variant").replaceChildren(...verdict.variants.map((each) => make("option", { value: each.name }, each.name)));
    const largest = verdict.variants.find((each) => each.name === chosen) || verdict.variants.find((each) => each.name === "small");
    if (largest) by("variant").value = largest.name;
    await preview();
  } catch (error) {
    if (error.name !== "AbortError") by("verdict").textContent = error.message;
  }
}

function sentence({ variants, fingerprint }) {
  const same = held && fingerprint === held.fingerprint ? "as it holds here" : "not what holds here";
  return `A recipe of ${variants.length} ${variants.length === 1 ? "variant" : "variants"}, ${same}.`;
}

async function preview() {
  const key = by("photo").value;
  const variant = by("variant").value;
  if (!key || !variant) return;
  previewing?.abort();
  previewing = new AbortController();
  by("preview").classList.add("busy");
  try {
    const body = { toml: valid, variant, key };
    const answer = await ask("/previews", { method: "POST", body, signal: previewing.signal });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    const file = await answer.blob();
    const size = (answer.headers.get("x-thumbsmith-size") || "").replace("x", " × ");
    const image = by("preview-picture");
    if (image.src) URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(file);
    image.alt = `${variant} of ${key}`;
    image.hidden = false;
    by("preview-about").textContent = `${variant} · ${size} · ${file.type.replace("image/", "")} · ${bytes(file.size)}`;
  } catch (error) {
    if (error.name === "AbortError") return;
    by("preview-picture").hidden = true;
    by("preview-about").textContent = error.message;
  }
  by("preview").classList.remove("busy");
}
