// One image: its thumbnails side by side, their sizes, and the markup that shows them on another page.

import { failureText, imagePath, sendJson, waitForManifest } from "./api.js";
import { announce, byId, copy, createElement, createImage, formatBytes, formatSaving } from "./elements.js";
import { markup } from "./snippet.js";

let pending = null;

export async function show(key, onDeleted) {
  const dialog = byId("detail");
  pending?.abort();
  pending = new AbortController();
  const progress = createElement("p", { class: "muted", role: "status" }, "Making thumbnails");
  const body = createElement("div", { class: "contents" }, progress);
  dialog.replaceChildren(frame(key, body));
  if (!dialog.open) dialog.showModal();
  try {
    const manifest = await waitForManifest(key, {
      signal: pending.signal,
      onProgress: (failure) => { progress.textContent = failure || "Making thumbnails"; },
    });
    body.replaceChildren(...content(key, manifest, onDeleted)); // only the body, because the frame has the focus
  } catch (error) {
    if (error.name === "AbortError") return;
    const isFinal = error.status === 422 || error.status === 404;
    const text = isFinal ? error.message : failureText(error);
    const children = [createElement("p", { class: "message error", role: "status" }, text)];
    if (error.status === 422) {
      children.unshift(createElement("p", {}, createElement("span", { class: "code" }, error.problem.code)));
      children.push(createElement("p", { class: "row" }, deleteButton(key, onDeleted)));
    }
    body.replaceChildren(...children);
  }
}

export function hide() {
  pending?.abort();
  if (byId("detail").open) byId("detail").close();
}

function frame(key, body) {
  const close = createElement("button", { type: "button", onclick: () => byId("detail").close() }, "Close");
  const top = createElement("div", { class: "sheet-top" }, createElement("h2", { id: "detail-title" }, key), close);
  return createElement("div", { class: "sheet" }, top, body);
}

// Clients resolve "." and "..", and some merge empty segments: then the key is one segment.
function renditionUrl(rendition) {
  const segments = rendition.key.split("/");
  const isStable = segments.every((segment) => segment && segment !== "." && segment !== "..");
  const path = isStable
    ? segments.map(encodeURIComponent).join("/")
    : `${encodeURIComponent(segments.slice(0, -1).join("/"))}/${segments.at(-1)}`;
  return `/renditions/${path}?v=${rendition.sha256.slice(0, 8)}`;
}

function content(key, manifest, onDeleted) {
  const { source, renditions, placeholder } = manifest;
  const code = createElement("pre", { tabIndex: 0, "aria-label": "Markup" }, createElement("code", {}, markup(manifest, location.origin)));
  const facts = `${source.format} · ${source.width} × ${source.height} · ${formatBytes(source.bytes)}`;
  const copyButton = createElement("button", { type: "button", class: "primary", onclick: () => copy(code.textContent, copyButton) }, "Copy <picture>");
  return [
    createElement("p", { class: "facts" }, facts),
    createElement("div", { class: "side-by-side" }, ...smallestOfEachVariant(renditions).map((each) => figure(each, placeholder.color))),
    createElement("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Thumbnails" }, table(source, renditions)),
    createElement("p", { class: "row" }, copyButton, deleteButton(key, onDeleted)),
    code,
  ];
}

function smallestOfEachVariant(renditions) {
  const smallest = new Map();
  for (const each of renditions) {
    const name = each.key.split("/").pop().replace(/\.[a-z]+$/, "");
    if (!smallest.has(name) || each.bytes < smallest.get(name).bytes) smallest.set(name, each);
  }
  return [...smallest.values()].sort((one, other) => one.width - other.width);
}

function figure(rendition, color) {
  const { variant, width, height } = rendition;
  const image = createImage(renditionUrl(rendition), { alt: `${variant}, ${width} by ${height}`, width, height });
  const background = createElement("div", { class: "background" }, image);
  background.style.backgroundColor = color;
  const name = rendition.key.split("/").pop();
  return createElement("figure", {}, background, createElement("figcaption", {}, `${name} · ${width} × ${height}`));
}

function table(source, renditions) {
  const head = ["Thumbnail", "Pixels", "File size", "Saved"].map((title, column) =>
    createElement("th", { scope: "col", class: column === 2 ? "number" : "" }, title));
  const rows = renditions.map((each) => createElement("tr", {},
    createElement("td", {}, createElement("a", { href: renditionUrl(each), target: "_blank", rel: "noopener" }, each.key.split("/").pop())),
    createElement("td", {}, `${each.width} × ${each.height}`),
    createElement("td", { class: "number" }, formatBytes(each.bytes)),
    createElement("td", { class: "saved" }, formatSaving(source.bytes, each.bytes))));
  return createElement("table", {}, createElement("thead", {}, createElement("tr", {}, ...head)), createElement("tbody", {}, ...rows));
}

// The first click asks, the second one deletes.
export function deleteButton(key, onDeleted) {
  let isConfirmed = false;
  const button = createElement("button", { type: "button", class: "danger", onclick: async () => {
    if (!isConfirmed) {
      isConfirmed = true;
      button.textContent = "Delete permanently?";
      setTimeout(() => { isConfirmed = false; button.textContent = "Delete"; }, 4000);
      return;
    }
    await sendJson(imagePath(key), { method: "DELETE" });
    announce(`${key} was deleted`);
    onDeleted(key);
  } }, "Delete");
  button.setAttribute("aria-label", `Delete ${key}`);
  return button;
}
