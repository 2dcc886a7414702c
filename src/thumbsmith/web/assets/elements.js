// Elements of the page, and words for numbers. Text is always set as text, never as markup.

export const by = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
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

export function picture(source, properties = {}) {
  const image = make("img", { decoding: "async", ...properties });
  image.addEventListener("load", () => image.classList.add("here"));
  image.src = source;
  return image;
}

const units = ["bytes", "KB", "MB", "GB"];

export function bytes(count) {
  let power = 0;
  while (count >= 1000 && power < 3) {
    count /= 1000;
    power += 1;
  }
  return `${power && count < 10 ? count.toFixed(1) : Math.round(count)} ${units[power]}`;
}

export function saving(from, to) {
  if (!from || to >= from) return "";
  const percent = (1 - to / from) * 100;
  return `${percent > 99 && percent < 100 ? percent.toFixed(1) : Math.floor(percent)} %`;
}

// For people who cannot see what changed.
export function tell(words) {
  by("told").textContent = words;
}

export async function copy(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select it and copy";
  }
  tell(button.textContent);
  setTimeout(() => { button.textContent = label; }, 1800);
}
