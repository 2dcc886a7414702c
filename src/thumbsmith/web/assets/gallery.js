// The grid of images: page by page, with a search, an order and a count.

import { findImage, listPages } from "./api.js";
import { createCard, setFrameWidth } from "./card.js";
import { byId, formatCount } from "./elements.js";
import * as selection from "./selection.js";

const PAGE_SIZE = 60;
const CARDS_PER_FRAME = 6; // more at once would stop the scrolling for a moment
const FILTER_DELAY_MS = 200;
const AHEAD = "1200px"; // the next page loads this far before its place is visible

let pages = null;
let version = 0; // answers to an older search are ignored
let total = 0;
let loading = null;

export async function show() {
  const current = ++version;
  const query = { q: byId("query").value.trim(), sort: byId("sort").value, limit: PAGE_SIZE };
  const found = listPages({ ...query, total: true });
  const { value } = await found.next();
  if (current !== version) return;
  pages = found;
  total = value.total;
  selection.clear();
  measure();
  byId("grid").replaceChildren(...value.images.map(card));
  byId("more").hidden = !value.hasMore;
  byId("empty").textContent = query.q ? `No image has “${query.q}” in its name.` : "There are no images yet.";
  showCount();
}

export function more() {
  loading ??= loadMore().finally(() => { loading = null; });
  return loading;
}

async function loadMore() {
  const current = version;
  const { value } = await pages.next();
  if (!value || current !== version) return;
  for (let start = 0; start < value.images.length; start += CARDS_PER_FRAME) {
    await new Promise(requestAnimationFrame);
    if (current !== version) return;
    byId("grid").append(...value.images.slice(start, start + CARDS_PER_FRAME).map(card));
  }
  byId("more").hidden = !value.hasMore;
}

const card = (image) => createCard(image, selection.select);

function showCount() {
  const isFiltered = Boolean(byId("query").value.trim());
  byId("count").textContent = isFiltered ? `${formatCount(total, "image")} found` : formatCount(total, "image");
  byId("empty").hidden = total > 0;
  if (!isFiltered) byId("images").classList.toggle("has-images", total > 0);
  byId("tools").hidden = total === 0 && !isFiltered;
}

// Adds an image that was just uploaded, in front of the others.
export async function add(key) {
  if (!key) return;
  const image = await findImage(key);
  if (!image) return;
  const old = itemOf(key);
  old?.remove();
  byId("grid").prepend(card(image));
  if (!old) total += 1;
  showCount();
}

export function remove(keys) {
  for (const key of keys) {
    const item = itemOf(key);
    if (item) total -= 1;
    item?.remove();
  }
  showCount();
}

const itemOf = (key) => [...byId("grid").children].find((item) => item.dataset.key === key);

// Returns the keys before and after this one, in the order of the grid; null at the ends.
export async function neighbors(key) {
  const item = itemOf(key);
  if (!item) return [null, null];
  if (!item.nextElementSibling && !byId("more").hidden) await more();
  return [item.previousElementSibling, item.nextElementSibling].map((each) => each?.dataset.key ?? null);
}

export function focus(key) {
  itemOf(key)?.querySelector("a").focus();
}

// The width of the first column, which an empty grid has too.
function measure() {
  setFrameWidth(Number.parseFloat(getComputedStyle(byId("grid")).gridTemplateColumns), byId("grid"));
}

export function addListeners() {
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  let timer = null;
  byId("query").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(show, FILTER_DELAY_MS);
  });
  byId("sort").addEventListener("change", show);
  byId("more").addEventListener("click", more);
  new ResizeObserver(measure).observe(byId("grid"));
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && !byId("more").hidden) more();
  }, { rootMargin: AHEAD }).observe(byId("more"));
}
