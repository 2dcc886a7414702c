// The selected images, and what can be done with them.

import { imagePath, send } from "./api.js";
import { announce, byId, confirm, formatCount } from "./elements.js";

const MAX_AT_ONCE = 4;
const selected = new Set();
let last = null; // the end of the range that Shift selects
let onDeleted = () => {};

export function addListeners(callback) {
  onDeleted = callback;
  byId("selection-all").addEventListener("click", () => set(boxes(), true));
  byId("selection-none").addEventListener("click", clear);
  byId("selection-delete").addEventListener("click", deleteSelected);
}

const boxes = () => [...byId("grid").querySelectorAll(".select")];
const keyOf = (box) => box.closest("li").dataset.key;

// Selects one image, or with Shift all images between the last one and this.
export function select(key, isSelected, event) {
  const all = boxes();
  const here = all.findIndex((box) => keyOf(box) === key);
  const there = event.shiftKey && last ? all.findIndex((box) => keyOf(box) === last) : here;
  set(all.slice(Math.min(here, there < 0 ? here : there), Math.max(here, there) + 1), isSelected);
  last = key;
}

export function clear() {
  set(boxes(), false);
  selected.clear();
  show();
}

function set(changed, isSelected) {
  for (const box of changed) {
    box.checked = isSelected;
    box.closest("li").classList.toggle("selected", isSelected);
    if (isSelected) selected.add(keyOf(box));
    else selected.delete(keyOf(box));
  }
  show();
}

function show() {
  byId("selection").hidden = selected.size === 0;
  byId("grid").classList.toggle("selecting", selected.size > 0);
  byId("selection-count").textContent = `${formatCount(selected.size, "image")} selected`;
}

async function deleteSelected() {
  const keys = [...selected];
  if (await deleteImages(keys)) clear();
}

// Asks first. Returns whether all images were deleted.
export async function deleteImages(keys) {
  const what = keys.length === 1 ? `“${keys[0]}” and its thumbnails` : `${formatCount(keys.length, "image")} and their thumbnails`;
  if (!await confirm(`Delete ${what}? This cannot be undone.`, "Delete")) return false;
  const waiting = [...keys];
  const failed = [];
  const work = async () => {
    for (let key = waiting.shift(); key !== undefined; key = waiting.shift()) {
      const response = await send(imagePath(key), { method: "DELETE" });
      if (!response.ok && response.status !== 404) failed.push(key);
    }
  };
  await Promise.all(Array.from({ length: MAX_AT_ONCE }, work));
  const deleted = keys.filter((key) => !failed.includes(key));
  for (const key of deleted) selected.delete(key);
  announce(`${formatCount(deleted.length, "image")} deleted${failed.length ? `, ${failed.length} could not be deleted: ${failed[0]}` : ""}.`);
  onDeleted(deleted);
  show();
  return failed.length === 0;
}
