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
  element.append(...children.filter((child) => child !== null));
  return element;
}

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

export function formatSaving(from, to) {
  if (!from || to >= from) return "";
  const percent = (1 - to / from) * 100;
  return `${percent > 99 && percent < 100 ? percent.toFixed(1) : Math.floor(percent)} %`;
}

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
