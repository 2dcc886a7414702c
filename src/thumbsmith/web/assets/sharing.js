// What another page needs to show an image: its markup, and signed URLs of sizes that the recipe does not have.

import { address, sendJson } from "./api.js";
import { copy, createButton, createElement } from "./elements.js";

const BASE = "thumbsmith-base"; // the name in localStorage

const field = (label, input) => createElement("label", { class: "field" }, label, input);

const option = (value, text) => createElement("option", { value }, text);

// The markup comes from the server: it is what `thumbsmith html` prints.
export function createMarkup(image) {
  const base = createElement("input", { type: "url", value: localStorage.getItem(BASE) || address("/renditions"), spellcheck: false });
  const variants = [...new Set(image.renditions.map((each) => each.variant))];
  const variant = createElement("select", {}, option("", "All sizes"), ...variants.map((name) => option(name, name)));
  const alt = createElement("input", { type: "text", placeholder: "What the image shows" });
  const code = createElement("code");
  const text = createElement("pre", { tabIndex: 0, role: "region", "aria-label": "HTML" }, code);
  const copyButton = createButton("Copy <picture>", () => copy(code.textContent, copyButton), { class: "primary" });

  async function update() {
    if (base.value === address("/renditions")) localStorage.removeItem(BASE);
    else localStorage.setItem(BASE, base.value);
    const query = { base: base.value, alt: alt.value, ...(variant.value ? { variant: variant.value } : {}) };
    try {
      code.textContent = await sendJson(`/html/${encodeURIComponent(image.key)}?${new URLSearchParams(query)}`);
    } catch (error) {
      code.textContent = error.message;
    }
    copyButton.disabled = !code.textContent.startsWith("<");
  }

  const whole = image.renditions.some((each) => Math.abs(each.height * image.width - each.width * image.height) <= Math.max(image.width, image.height));
  if (!whole) variant.value = variants[0];
  for (const input of [base, variant, alt]) input.addEventListener("change", update);
  update();
  return createElement("details", { class: "panel", open: true }, createElement("summary", {}, "HTML for your page"),
    createElement("div", { class: "fields" }, field("Sizes", variant), field("Description (alt)", alt), field("Address of the thumbnails", base)),
    text, createElement("p", { class: "row" }, copyButton));
}

export function createOnDemand(image) {
  const number = (value) => createElement("input", { type: "number", min: 1, max: 2048, value });
  const width = number(400);
  const height = number(300);
  const fit = createElement("select", {}, ...["inside", "cover", "contain", "fill"].map((name) => option(name, name)));
  const format = createElement("select", {}, ...["webp", "avif", "jpeg", "png"].map((name) => option(name, name)));
  const output = createElement("p", { class: "message", role: "status" });
  const link = createElement("a", { target: "_blank", rel: "noopener", hidden: true });
  const copyButton = createButton("Copy URL", () => copy(link.href, copyButton), { hidden: true });

  async function sign() {
    const options = { width: Number(width.value), height: Number(height.value), fit: fit.value, format: format.value };
    try {
      const { url, expires } = await sendJson("/on-demand", { method: "POST", body: { key: image.key, options } });
      link.href = link.textContent = new URL(url, location.href).href;
      output.textContent = `Valid until ${new Date(expires * 1000).toLocaleString()}.`;
      output.classList.remove("error");
    } catch (error) {
      const isOff = error.status === 404 || error.status === 405;
      output.textContent = isOff ? "Other sizes are off. Start the server with THUMBSMITH_SIGNING_SECRET to turn them on." : error.message;
      output.classList.add("error");
      link.textContent = "";
    }
    link.hidden = copyButton.hidden = !link.textContent;
  }

  return createElement("details", { class: "panel" }, createElement("summary", {}, "Another size on demand"),
    createElement("div", { class: "fields" }, field("Width", width), field("Height", height), field("Fit", fit), field("Format", format)),
    createElement("p", { class: "row" }, createButton("Create URL", sign), copyButton), output, link);
}
