// The thumbnails of one image at full size: fitted or at 100 %, and two of them side by side with a slider.

import { createButton, createElement, createImage, formatBytes } from "./elements.js";

// Returns the element, and a function that shows one thumbnail.
export function createViewer(image, renditions) {
  const stage = createElement("div", { class: `stage${image.alpha ? " checkerboard" : ""}`, tabIndex: 0, role: "region", "aria-label": "Thumbnail" });
  const caption = createElement("p", { class: "caption", role: "status" });
  const zoom = createButton("100 %", () => setZoom(zoom.getAttribute("aria-pressed") !== "true"), { "aria-pressed": "false", title: "One pixel of the thumbnail is one pixel of the screen" });
  const compare = createButton("Compare", () => setComparing(compare.getAttribute("aria-pressed") !== "true"), { "aria-pressed": "false" });
  const left = createSelect("Left", renditions);
  const right = createSelect("Right", renditions);
  const slider = createElement("input", { type: "range", min: 0, max: 100, value: 50, class: "slider", "aria-label": "Position of the divider, in percent" });
  const choices = createElement("div", { class: "compare-choices", hidden: true }, left.field, right.field, slider);
  const tools = createElement("div", { class: "viewer-tools" }, caption, compare, zoom);
  let shown = renditions.at(-1);

  function setZoom(isFull) {
    zoom.setAttribute("aria-pressed", String(isFull));
    stage.classList.toggle("full", isFull);
    draw();
  }

  function setComparing(isComparing) {
    compare.setAttribute("aria-pressed", String(isComparing));
    choices.hidden = !isComparing;
    draw();
  }

  function draw() {
    const isComparing = compare.getAttribute("aria-pressed") === "true";
    stage.classList.toggle("comparing", isComparing);
    if (isComparing) drawPair();
    else {
      stage.replaceChildren(pictureOf(shown));
      caption.textContent = describe(shown);
    }
  }

  function drawPair() {
    const [one, other] = [left, right].map(({ select }) => renditions[select.selectedIndex]);
    const pair = createElement("div", { class: "pair" }, pictureOf(one), pictureOf(other));
    pair.style.setProperty("--ratio", `${one.width} / ${one.height}`);
    pair.style.setProperty("--width", `${widthAtFull(Math.max(one.width, other.width))}px`);
    stage.replaceChildren(pair);
    const difference = Math.round((other.bytes / one.bytes - 1) * 100);
    const comparison = difference === 0 ? "equal in size" : `right is ${Math.abs(difference)} % ${difference > 0 ? "larger" : "smaller"}`;
    caption.textContent = `${describe(one)} | ${describe(other)}: ${comparison}`;
    split();
  }

  const split = () => stage.style.setProperty("--split", `${slider.value}%`);

  function pictureOf(rendition) {
    const { width, height } = rendition;
    const picture = createImage(rendition.url, { alt: describe(rendition), width, height });
    picture.style.setProperty("--width", `${widthAtFull(width)}px`);
    return picture;
  }

  right.select.selectedIndex = defaultPair(renditions, left.select);
  for (const { select } of [left, right]) select.addEventListener("change", draw);
  slider.addEventListener("input", split);
  compare.hidden = renditions.length < 2;
  draw();
  const element = createElement("div", { class: "viewer" }, stage, tools, choices);
  return { element, show: (rendition) => { shown = rendition; setComparing(false); } };
}

// One pixel of the thumbnail is one pixel of the screen.
const widthAtFull = (pixels) => pixels / window.devicePixelRatio;

function createSelect(label, renditions) {
  const select = createElement("select", {}, ...renditions.map((each) => createElement("option", {}, `${each.name} · ${formatBytes(each.bytes)}`)));
  const field = createElement("label", { class: "field" }, label, select);
  return { select, field };
}

// Compares two formats of the largest variant that has two, else the two largest thumbnails. Sets the left one, and
// returns the right one.
function defaultPair(renditions, left) {
  for (let index = renditions.length - 1; index > 0; index -= 1) {
    const twin = renditions.findIndex((each) => each.variant === renditions[index].variant && each.width === renditions[index].width);
    if (twin < index) {
      left.selectedIndex = index;
      return twin;
    }
  }
  left.selectedIndex = renditions.length - 1;
  return Math.max(0, renditions.length - 2);
}

const describe = ({ name, width, height, bytes }) => `${name}, ${width} × ${height}, ${formatBytes(bytes)}`;
