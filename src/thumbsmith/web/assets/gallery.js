// All images, page by page, by the beginning of their names.

import { made, pages, read } from "./api.js";
import { by, bytes, make, picture } from "./elements.js";

const CARD_WIDTH = 240;
let listing = null;
let round = 0;

export async function show() {
  const mine = ++round;
  const prefix = by("prefix").value;
  listing = pages({ prefix, limit: 60 });
  const { value } = await listing.next();
  if (mine !== round) return;
  by("grid").replaceChildren(...value.images.map(card));
  by("empty").hidden = value.images.length > 0;
  by("empty").textContent = prefix ? `No image has a name that begins with “${prefix}”.` : "No images yet. Drop some above.";
  by("more").hidden = !value.more;
}

export async function more() {
  const mine = round;
  const { value } = await listing.next();
  if (!value || mine !== round) return;
  by("grid").append(...value.images.map(card));
  by("more").hidden = !value.more;
}

// Put an image that has just come in front of the others.
export async function arrived(key) {
  if (!key) return;
  const { images } = await read(`/images?${new URLSearchParams({ prefix: key, limit: 1 })}`);
  if (!images.length || images[0].key !== key) return;
  remove(key);
  by("grid").prepend(card(images[0]));
  by("empty").hidden = true;
}

export function remove(key) {
  for (const item of by("grid").children) if (item.dataset.key === key) item.remove();
}

function card(image) {
  const frame = make("span", { class: "frame" });
  const facts = make("span", { class: "facts" });
  const link = make("a", { class: "card", href: `#/image/${encodeURIComponent(image.key)}` },
    frame, make("span", { class: "name", title: image.key }, image.key), facts);
  const item = make("li", {}, link);
  item.dataset.key = image.key;
  fill(image, frame, facts);
  return item;
}

function fill(image, frame, facts) {
  frame.classList.toggle("rejected", image.status === "rejected");
  facts.textContent = bytes(image.bytes);
  if (image.status === "rejected") {
    frame.replaceChildren(make("span", { class: "word" }, `rejected: ${image.rejection.code}`));
  } else if (image.status === "making") {
    frame.replaceChildren(make("span", { class: "word" }, "making thumbnails"));
    follow(image.key, frame, facts);
  } else {
    frame.style.backgroundColor = image.color || "";
    const best = fitting(image.renditions);
    frame.replaceChildren(...(best ? [picture(best.url, { alt: "", loading: "lazy" })] : []));
    facts.textContent = `${image.width} × ${image.height} · ${bytes(image.bytes)}`;
  }
}

async function follow(key, frame, facts) {
  await made(key).catch(() => null);
  const { images } = await read(`/images?${new URLSearchParams({ prefix: key, limit: 1 })}`);
  if (images.length && images[0].key === key && images[0].status !== "making") fill(images[0], frame, facts);
}

// The smallest rendition that fills a card, else the largest.
export function fitting(renditions, width = CARD_WIDTH) {
  const sorted = [...renditions].sort((one, other) => one.width - other.width || one.bytes - other.bytes);
  return sorted.find((each) => each.width >= width) || sorted.at(-1);
}
