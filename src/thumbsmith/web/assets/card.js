// One image in the grid: its thumbnail, name, size and state.

import { failureText, findImage, waitForManifest } from "./api.js";
import { createElement, createImage, formatBytes } from "./elements.js";
import { reasonOf } from "./reasons.js";

// The aspect ratio of a card, as in style.css.
const FRAME_RATIO = 4 / 3;

let frameWidth = 320; // in CSS pixels

export const imageLink = (key) => `#/image/${encodeURIComponent(key)}`;

// Returns the item for an image. onSelect gets the key, whether it is selected, and the event.
export function createCard(image, onSelect) {
  const frame = createElement("span", { class: "frame" });
  const facts = createElement("span", { class: "facts" });
  const name = createElement("span", { class: "name", title: image.key }, image.key);
  const link = createElement("a", { class: "card", href: imageLink(image.key) }, frame, name, facts);
  const box = createElement("input", { type: "checkbox", class: "select", "aria-label": `Select ${image.key}` });
  box.addEventListener("click", (event) => onSelect(image.key, box.checked, event));
  const item = createElement("li", {}, link, box);
  item.dataset.key = image.key;
  fill(image, frame, facts);
  return item;
}

function fill(image, frame, facts) {
  frame.className = `frame ${image.status}${image.alpha ? " checkerboard" : ""}`;
  frame.style.backgroundColor = image.color || "";
  facts.textContent = formatBytes(image.bytes);
  if (image.status === "rejected") {
    showNote(frame, reasonOf(image.rejection));
  } else if (image.status === "making") {
    showProgress(frame, null);
    fillWhenMade(image.key, frame, facts);
  } else {
    const picture = cardImage(image);
    frame.replaceChildren(...(picture ? [picture] : []));
    facts.textContent = `${image.width} × ${image.height} · ${formatBytes(image.bytes)}`;
  }
}

function showNote(frame, text) {
  frame.replaceChildren(createElement("span", { class: "note", title: text }, text));
}

function showProgress(frame, failure) {
  frame.classList.toggle("failed", Boolean(failure));
  showNote(frame, failure || "Making thumbnails");
}

async function fillWhenMade(key, frame, facts) {
  try {
    await waitForManifest(key, { onProgress: (failure) => showProgress(frame, failure) });
  } catch (error) {
    if (error.status === 404) return frame.closest("li")?.remove();
    if (error.status !== 422) return showProgress(frame, failureText(error));
  }
  const image = await findImage(key);
  if (image && image.status !== "making") fill(image, frame, facts);
}

// The browser chooses the width that is sharp on its screen. The image covers its frame, so it may be wider than that.
function cardImage({ width, height, renditions }) {
  const candidates = wholeRenditions({ width, height, renditions });
  if (!candidates.length) return null;
  const image = createElement("img", { alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("load", () => image.classList.add("loaded"));
  image.dataset.factor = Math.max(1, width / height / FRAME_RATIO).toFixed(3);
  setSizes(image);
  image.srcset = candidates.map((each) => `${each.url} ${each.width}w`).join(", ");
  image.src = candidates.at(-1).url;
  return image;
}

function setSizes(image) {
  image.sizes = `${Math.ceil(frameWidth * image.dataset.factor)}px`;
}

// Sets the width of the cards in a grid, in CSS pixels, so that the browser chooses a thumbnail that is sharp.
export function setFrameWidth(width, grid) {
  if (!width || Math.abs(width - frameWidth) < frameWidth / 10) return;
  frameWidth = width;
  for (const image of grid.querySelectorAll("img[data-factor]")) setSizes(image);
}

// The smallest file of each width, of thumbnails that show the whole image; of all thumbnails if none does.
function wholeRenditions({ width, height, renditions }) {
  const whole = renditions.filter((each) => Math.abs(each.height * width - each.width * height) <= Math.max(width, height));
  const byWidth = new Map();
  for (const each of whole.length ? whole : renditions) {
    const other = byWidth.get(each.width);
    if (!other || each.bytes < other.bytes) byWidth.set(each.width, each);
  }
  return [...byWidth.values()].sort((one, other) => one.width - other.width);
}
