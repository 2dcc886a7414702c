// The grid of all images: page by page, filtered by the start of the name.

import { failureText, listPages, sendJson, waitForManifest } from "./api.js";
import { byId, createElement, createImage, formatBytes } from "./elements.js";

const CARD_WIDTH = 240;
let pages = null;
let version = 0; // answers to an older filter are ignored

export async function show() {
  const current = ++version;
  const prefix = byId("prefix").value;
  pages = listPages({ prefix, limit: 60 });
  const { value } = await pages.next();
  if (current !== version) return;
  byId("grid").replaceChildren(...value.images.map(card));
  byId("empty").hidden = value.images.length > 0;
  byId("empty").textContent = prefix ? `No image has a name that starts with “${prefix}”.` : "There are no images yet. Drop some above.";
  byId("more").hidden = !value.hasMore;
}

export async function more() {
  const current = version;
  const { value } = await pages.next();
  if (!value || current !== version) return;
  byId("grid").append(...value.images.map(card));
  byId("more").hidden = !value.hasMore;
}

// Adds an image that was just uploaded, in front of the others.
export async function add(key) {
  if (!key) return;
  const image = await findImage(key);
  if (!image) return;
  remove(key);
  byId("grid").prepend(card(image));
  byId("empty").hidden = true;
}

export function remove(key) {
  for (const item of byId("grid").children) if (item.dataset.key === key) item.remove();
}

async function findImage(key) {
  const { images } = await sendJson(`/images?${new URLSearchParams({ prefix: key, limit: 1 })}`);
  return images.find((image) => image.key === key);
}

function card(image) {
  const frame = createElement("span", { class: "frame" });
  const facts = createElement("span", { class: "facts" });
  const link = createElement("a", { class: "card", href: `#/image/${encodeURIComponent(image.key)}` },
    frame, createElement("span", { class: "name", title: image.key }, image.key), facts);
  const item = createElement("li", {}, link);
  item.dataset.key = image.key;
  fill(image, frame, facts);
  return item;
}

function fill(image, frame, facts) {
  frame.classList.remove("failed");
  frame.classList.toggle("rejected", image.status === "rejected");
  facts.textContent = formatBytes(image.bytes);
  if (image.status === "rejected") {
    frame.replaceChildren(createElement("span", { class: "note" }, `Rejected: ${image.rejection.code}`));
  } else if (image.status === "making") {
    showProgress(frame, null);
    fillWhenMade(image.key, frame, facts);
  } else {
    frame.style.backgroundColor = image.color || "";
    const best = bestRendition(image.renditions);
    frame.replaceChildren(...(best ? [createImage(best.url, { alt: "", loading: "lazy" })] : []));
    facts.textContent = `${image.width} × ${image.height} · ${formatBytes(image.bytes)}`;
  }
}

function showProgress(frame, failure) {
  const text = failure || "Making thumbnails";
  frame.classList.toggle("failed", Boolean(failure));
  frame.replaceChildren(createElement("span", { class: "note", title: text }, text));
}

async function fillWhenMade(key, frame, facts) {
  try {
    await waitForManifest(key, { onProgress: (failure) => showProgress(frame, failure) });
  } catch (error) {
    if (error.status === 404) return remove(key);
    if (error.status !== 422) return showProgress(frame, failureText(error));
  }
  const image = await findImage(key).catch(() => null);
  if (image && image.status !== "making") fill(image, frame, facts);
}

// The smallest rendition that fills a card, or the largest if none does.
function bestRendition(renditions) {
  const sorted = [...renditions].sort((one, other) => one.width - other.width || one.bytes - other.bytes);
  return sorted.find((each) => each.width >= CARD_WIDTH) || sorted.at(-1);
}
