// The list of rejected files, with the reasons.

import { listPages } from "./api.js";
import { deleteButton } from "./detail.js";
import { byId, createElement, formatBytes } from "./elements.js";

let pages = null;

export async function show() {
  pages = listPages({ status: "rejected", limit: 50 });
  byId("rejections").replaceChildren();
  await more();
  byId("no-rejections").hidden = byId("rejections").children.length > 0 || !byId("more-rejections").hidden;
}

export async function more() {
  const { value } = await pages.next();
  if (!value) return;
  byId("rejections").append(...value.images.map(row));
  byId("more-rejections").hidden = !value.hasMore;
}

function row(image) {
  const item = createElement("li", { class: "rejection" },
    createElement("div", { class: "reason" },
      createElement("strong", {}, image.key), " ", createElement("span", { class: "code" }, image.rejection.code),
      createElement("p", { class: "muted" }, `${image.rejection.detail} · ${formatBytes(image.bytes)}`)),
    deleteButton(image.key, () => {
      item.remove();
      byId("no-rejections").hidden = byId("rejections").children.length > 0;
    }));
  return item;
}
