// Elements of the page, and numbers as text. Text is always set as text, never as markup.

export const byId = (id) => document.getElementById(id);

export function createElement(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const createButton = (text, onclick, properties = {}) =>
  createElement("button", { type: "button", onclick, ...properties }, text);

// An image that fades in when it is loaded.
export function createImage(source, properties = {}) {
  const image = createElement("img", { decoding: "async", ...properties });
  image.addEventListener("load", () => image.classList.add("loaded"));
  image.src = source;
  return image;
}

const UNITS = ["bytes", "KB", "MB", "GB"];

export function formatBytes(count) {
  let power = 0;
  while (count >= 1000 && power < 3) {
    count /= 1000;
    power += 1;
  }
  return `${power && count < 10 ? count.toFixed(1) : Math.round(count)} ${UNITS[power]}`;
}

// How much smaller the thumbnail is than the source, as "97 %"; empty if it is not smaller.
export function formatSaving(from, to) {
  if (!from || to >= from) return "";
  const percent = (1 - to / from) * 100;
  return `${percent > 99 && percent < 100 ? percent.toFixed(1) : Math.floor(percent)} %`;
}

export function formatSeconds(seconds) {
  if (seconds < 1) return "less than a second";
  if (seconds < 90) return `about ${Math.round(seconds)} ${Math.round(seconds) === 1 ? "second" : "seconds"}`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} minutes`;
  return `about ${Math.round(seconds / 3600)} hours`;
}

export const formatCount = (count, singular, plural = `${singular}s`) =>
  `${count.toLocaleString("en")} ${count === 1 ? singular : plural}`;

// Screen readers read this text aloud.
export function announce(text) {
  byId("announcement").textContent = text;
}

export async function copy(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select the text to copy it";
  }
  announce(button.textContent);
  setTimeout(() => { button.textContent = label; }, 1800);
}

// Asks a question in a dialog. Resolves to whether the user chose the action.
export function confirm(question, action) {
  const dialog = byId("confirm");
  byId("confirm-question").textContent = question;
  byId("confirm-action").textContent = action;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
