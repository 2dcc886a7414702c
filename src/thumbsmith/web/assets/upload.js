// Images on their way: leave to upload each, the upload itself with its progress, then its thumbnails.

import { made, read } from "./api.js";
import { by, bytes, make, tell } from "./elements.js";

const AT_ONCE = 3;
const waiting = [];
let running = 0;

const TYPES = {
  avif: "image/avif", bmp: "image/bmp", gif: "image/gif", heic: "image/heic", heif: "image/heif", jpg: "image/jpeg",
  jpeg: "image/jpeg", png: "image/png", tif: "image/tiff", tiff: "image/tiff", webp: "image/webp",
};

const typeOf = (file) => file.type || TYPES[file.name.split(".").pop().toLowerCase()] || "application/octet-stream";

export function upload(files, arrived) {
  for (const file of files) {
    waiting.push({ file, row: row(file), arrived });
  }
  next();
}

function next() {
  while (running < AT_ONCE && waiting.length) {
    running += 1;
    one(waiting.shift()).finally(() => {
      running -= 1;
      next();
    });
  }
}

function row(file) {
  const state = make("span", { class: "state" }, "waiting");
  const bar = make("progress", { max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
  const item = make("li", { class: "upload" }, make("span", { class: "name" }, file.name), state, bar);
  by("uploads").hidden = false;
  by("uploads").prepend(item);
  return { item, state, bar };
}

async function one({ file, row, arrived }) {
  try {
    row.state.textContent = bytes(file.size);
    const body = { name: file.name, type: typeOf(file), bytes: file.size };
    const { key, upload } = await read("/uploads", { method: "POST", body });
    await send(file, upload, (part) => {
      row.bar.value = part;
      row.state.textContent = part < 1 ? `${Math.round(part * 100)} %` : "making thumbnails";
    });
    row.bar.removeAttribute("value");
    const manifest = await made(key);
    row.item.remove();
    by("uploads").hidden = !by("uploads").children.length;
    tell(`${key}: ${manifest.renditions.length} thumbnails made`);
    arrived(key);
  } catch (error) {
    fail(file, row, error);
    if (error.status === 422) arrived(null);
  }
}

function fail(file, row, error) {
  row.item.classList.add("failed");
  row.bar.remove();
  row.state.textContent = error.message;
  const close = () => {
    row.item.remove();
    by("uploads").hidden = !by("uploads").children.length;
  };
  row.item.append(make("button", { type: "button", onclick: close }, "Dismiss"));
  tell(`${file.name}: ${error.message}`);
}

function send(file, { method, url, headers = {} }, progress) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress(event.total ? event.loaded / event.total : 0);
    request.onerror = () => failed(new Error("The upload broke off."));
    request.onload = () => {
      if (request.status < 300) return done(progress(1));
      let detail = `The server answered ${request.status}.`;
      try {
        detail = JSON.parse(request.responseText).detail || detail;
      } catch { /* it is no problem+json: S3 answers in XML */ }
      return failed(new Error(detail));
    };
    request.send(file);
  });
}
