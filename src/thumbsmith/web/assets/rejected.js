// The files that will never give a thumbnail, and why.

import { pages } from "./api.js";
import { by, bytes, make } from "./elements.js";
import { remover } from "./detail.js";

let listing = null;

export async function show() {
  listing = pages({ status: "rejected", limit: 50 });
  by("rejections").replaceChildren();
  await more();
  by("no-rejections").hidden = by("rejections").children.length > 0 || !by("more-rejections").hidden;
}

export async function more() {
  const { value } = await listing.next();
  if (!value) return;
  by("rejections").append(...value.images.map(row));
  by("more-rejections").hidden = !value.more;
}

function row(image) {
  const item = make("li", { class: "rejection" },
    make("div", { class: "what" },
      make("strong", {}, image.key), " ", make("span", { class: "code" }, image.rejection.code),
      make("p", { class: "quiet" }, `${image.rejection.detail} · ${bytes(image.bytes)}`)),
    remover(image.key, () => {
      item.remove();
      by("no-rejections").hidden = by("rejections").children.length > 0;
    }));
  return item;
}
