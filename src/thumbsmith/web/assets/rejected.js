// The list of rejected files, with the reasons, and their number in the navigation.

import { listPages, sendJson } from "./api.js";
import { byId, createButton, createElement, formatBytes } from "./elements.js";
import { reasonOf, sentence } from "./reasons.js";
import { deleteImages } from "./selection.js";

const MAX_COUNTED = 100;
let pages = null;

export async function show() {
  pages = listPages({ status: "rejected", limit: 50 });
  byId("rejections").replaceChildren();
  await more();
  showEmpty();
}

export async function more() {
  const { value } = await pages.next();
  if (!value) return;
  byId("rejections").append(...value.images.map(row));
  byId("more-rejections").hidden = !value.hasMore;
}

// Shows the number of rejected files.
export async function updateBadge() {
  const { images, cursor } = await sendJson(`/images?${new URLSearchParams({ status: "rejected", limit: MAX_COUNTED })}`);
  const badge = byId("rejected-badge");
  badge.hidden = images.length === 0;
  badge.textContent = cursor && images.length ? `${images.length}+` : String(images.length);
}

// Removes deleted files from the list.
export function remove(keys) {
  for (const item of [...byId("rejections").children]) if (keys.includes(item.dataset.key)) item.remove();
  showEmpty();
}

function showEmpty() {
  const count = byId("rejections").children.length;
  byId("no-rejections").hidden = count > 0 || !byId("more-rejections").hidden;
  byId("delete-rejections").hidden = count < 2;
}

function row(image) {
  const item = createElement("li", { class: "rejection" },
    createElement("div", { class: "reason" },
      createElement("strong", {}, image.key),
      createElement("p", {}, reasonOf(image.rejection)),
      createElement("p", { class: "muted" }, `${sentence(image.rejection.detail)} ${formatBytes(image.bytes)} · ${image.rejection.code}`)),
    createButton("Delete", () => deleteImages([image.key]), { class: "danger", "aria-label": `Delete ${image.key}` }));
  item.dataset.key = image.key;
  return item;
}

export function addListeners() {
  byId("more-rejections").addEventListener("click", more);
  byId("delete-rejections").addEventListener("click", () => deleteImages([...byId("rejections").children].map((item) => item.dataset.key)));
}
