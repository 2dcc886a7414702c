// One image: its thumbnails, their sizes, and what another page needs to show them.

import { failureText, findImage, waitForManifest } from "./api.js";
import { imageLink } from "./card.js";
import { byId, createButton, createElement, formatBytes, formatSaving } from "./elements.js";
import { reasonOf, sentence } from "./reasons.js";
import { deleteImages } from "./selection.js";
import { createMarkup, createOnDemand } from "./sharing.js";
import { createViewer } from "./viewer.js";

let pending = null;
let shownKey = null;

// `neighbors` returns the keys before and after an image.
export async function show(key, neighbors) {
  const dialog = byId("detail");
  pending?.abort();
  pending = new AbortController();
  shownKey = key;
  byId("detail-title").textContent = key;
  const progress = createElement("p", { class: "muted", role: "status" }, "Making thumbnails");
  const body = byId("detail-body");
  body.replaceChildren(progress);
  if (!dialog.open) dialog.showModal();
  showNeighbors(key, neighbors);
  try {
    const { signal } = pending;
    await waitForManifest(key, { signal, onProgress: (failure) => { progress.textContent = failure || "Making thumbnails"; } });
    const image = await findImage(key);
    if (!signal.aborted && image) body.replaceChildren(...content(image));
  } catch (error) {
    if (error.name !== "AbortError") body.replaceChildren(...refused(key, error));
  }
}

export function hide() {
  pending?.abort();
  shownKey = null;
  if (byId("detail").open) byId("detail").close();
}

async function showNeighbors(key, neighbors) {
  const links = [byId("previous"), byId("next")];
  for (const link of links) link.removeAttribute("href");
  const keys = await neighbors(key);
  if (key !== shownKey) return;
  links.forEach((link, index) => {
    if (keys[index] === null) link.removeAttribute("href");
    else link.href = imageLink(keys[index]);
  });
}

function refused(key, error) {
  const { rejection } = error.problem || {};
  const isGone = error.status === 404;
  const text = rejection ? reasonOf(rejection) : isGone ? "This image does not exist any more." : failureText(error);
  const children = [createElement("p", { class: "message error", role: "status" }, text)];
  if (rejection) children.push(createElement("p", { class: "muted" }, sentence(rejection.detail)));
  if (!isGone) children.push(createElement("p", { class: "row" }, deleteButton(key)));
  return children;
}

function content(image) {
  const renditions = image.renditions
    .map((each) => ({ ...each, name: decodeURIComponent(each.url.split("?")[0].split("/").pop()) }))
    .sort((one, other) => one.width * one.height - other.width * other.height || other.bytes - one.bytes);
  const viewer = createViewer(image, renditions);
  const facts = [image.format.toUpperCase(), `${image.width} × ${image.height}`, formatBytes(image.bytes)];
  if (image.alpha) facts.push("transparent");
  if (image.modified) facts.push(new Date(image.modified * 1000).toLocaleDateString(undefined, { dateStyle: "medium" }));
  return [
    viewer.element,
    createElement("div", { class: "side" },
      createElement("p", { class: "facts" }, facts.join(" · ")),
      createElement("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Thumbnails" }, table(image, renditions, viewer.show)),
      createMarkup(image),
      createOnDemand(image),
      createElement("p", { class: "row" }, deleteButton(image.key))),
  ];
}

function table(image, renditions, onShow) {
  const head = ["Thumbnail", "Pixels", "Size", "Saved"].map((title, column) =>
    createElement("th", { scope: "col", class: column ? "number" : "" }, title));
  const rows = renditions.toReversed().map((each) => createElement("tr", {},
    createElement("td", {}, createButton(each.name, () => onShow(each), { class: "link", "aria-label": `Show ${each.name}` }),
      createElement("a", { href: each.url, target: "_blank", rel: "noopener", class: "file", "aria-label": `Open ${each.name} in a new tab` }, "↗")),
    createElement("td", { class: "number" }, `${each.width} × ${each.height}`),
    createElement("td", { class: "number" }, formatBytes(each.bytes)),
    createElement("td", { class: "number saved" }, formatSaving(image.bytes, each.bytes))));
  return createElement("table", {}, createElement("thead", {}, createElement("tr", {}, ...head)), createElement("tbody", {}, ...rows));
}

function deleteButton(key) {
  return createButton("Delete", async () => {
    if (await deleteImages([key])) byId("detail").close();
  }, { class: "danger", "aria-label": `Delete ${key}` });
}

export function addListeners() {
  const dialog = byId("detail");
  byId("detail-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("input, select, textarea, .full, .scroll");
    const link = { ArrowLeft: byId("previous"), ArrowRight: byId("next") }[event.key];
    if (!link?.hasAttribute("href") || isTyping || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    location.replace(link.href);
  });
  for (const link of [byId("previous"), byId("next")]) {
    link.addEventListener("click", (event) => { // all images of a visit are one entry in the history
      event.preventDefault();
      if (link.hasAttribute("href")) location.replace(link.href);
    });
  }
}
