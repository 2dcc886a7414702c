// One image: its renditions side by side, what they save, and the markup that shows it.

import { imagePath, made, read } from "./api.js";
import { by, bytes, copy, make, picture, saving, tell } from "./elements.js";
import { markup } from "./snippet.js";

let opened = null;

export async function show(key, gone) {
  const sheet = by("detail");
  opened?.abort();
  opened = new AbortController();
  const body = make("div", {}, make("p", { class: "quiet", role: "status" }, "making thumbnails"));
  sheet.replaceChildren(frame(key, body));
  if (!sheet.open) sheet.showModal();
  try {
    const manifest = await made(key, opened.signal);
    body.replaceChildren(...content(key, manifest, gone));
  } catch (error) {
    if (error.name === "AbortError") return;
    const words = [make("p", { class: "verdict wrong", role: "status" }, error.message)];
    if (error.status === 422) words.unshift(make("p", {}, make("span", { class: "code" }, error.problem.code)));
    if (error.status === 422) words.push(make("p", { class: "row" }, remover(key, gone)));
    body.replaceChildren(...words);
  }
}

export function hide() {
  opened?.abort();
  if (by("detail").open) by("detail").close();
}

function frame(key, body) {
  const close = make("button", { type: "button", onclick: () => by("detail").close() }, "Close");
  const top = make("div", { class: "sheet-top" }, make("h2", { id: "detail-title" }, key), close);
  return make("div", { class: "sheet" }, top, body);
}

const address = (each) =>
  `/renditions/${each.key.split("/").every((part) => part && part !== "." && part !== "..")
    ? each.key.split("/").map(encodeURIComponent).join("/")
    : `${encodeURIComponent(each.key.slice(0, each.key.lastIndexOf("/")))}/${each.key.split("/").pop()}`
  }?v=${each.sha256.slice(0, 8)}`;

function content(key, manifest, gone) {
  const { source, renditions, placeholder } = manifest;
  const code = make("pre", { tabIndex: 0, "aria-label": "Markup" }, make("code", {}, markup(manifest, location.origin)));
  const about = `${source.format} · ${source.width} × ${source.height} · ${bytes(source.bytes)}`;
  const copier = make("button", { type: "button", class: "primary", onclick: () => copy(code.textContent, copier) }, "Copy <picture>");
  return [
    make("p", { class: "about" }, about),
    make("div", { class: "side" }, ...onePerVariant(renditions).map((each) => shown(each, placeholder.color))),
    make("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Renditions" }, table(source, renditions)),
    make("p", { class: "row" }, copier, remover(key, gone)),
    code,
  ];
}

function onePerVariant(renditions) {
  const smallest = new Map();
  for (const each of renditions) {
    const name = each.key.split("/").pop().replace(/\.[a-z]+$/, "");
    if (!smallest.has(name) || each.bytes < smallest.get(name).bytes) smallest.set(name, each);
  }
  return [...smallest.values()].sort((one, other) => one.width - other.width);
}

function shown(each, color) {
  const image = picture(address(each), { alt: `${each.variant}, ${each.width} by ${each.height}`, width: each.width, height: each.height });
  const holder = make("div", { class: "shown" }, image);
  holder.style.backgroundColor = color;
  return make("figure", {}, holder, make("figcaption", {}, `${each.key.split("/").pop()} · ${each.width} × ${each.height}`));
}

function table(source, renditions) {
  const head = ["Rendition", "Size", "Bytes", "Saved"].map((word, at) => make("th", { scope: "col", class: at === 2 ? "number" : "" }, word));
  const rows = renditions.map((each) => make("tr", {},
    make("td", {}, make("a", { href: address(each), target: "_blank", rel: "noopener" }, each.key.split("/").pop())),
    make("td", {}, `${each.width} × ${each.height}`),
    make("td", { class: "number" }, bytes(each.bytes)),
    make("td", { class: "saved" }, saving(source.bytes, each.bytes))));
  return make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
}

export function remover(key, gone) {
  let sure = false;
  const button = make("button", { type: "button", class: "danger", onclick: async () => {
    if (!sure) {
      sure = true;
      button.textContent = "Delete for good?";
      setTimeout(() => { sure = false; button.textContent = "Delete"; }, 4000);
      return;
    }
    await read(imagePath(key), { method: "DELETE" });
    tell(`${key} is deleted`);
    gone(key);
  } }, "Delete");
  button.setAttribute("aria-label", `Delete ${key}`);
  return button;
}
