// Uploads: ask the API for permission, send the file and show the progress, then wait for the thumbnails.

import { sendJson, waitForManifest } from "./api.js";
import { announce, byId, createElement, formatBytes } from "./elements.js";

const MAX_UPLOADS_AT_ONCE = 3;
const queue = [];
let running = 0;

// For files whose type the browser does not know.
const TYPE_BY_EXTENSION = {
  avif: "image/avif", bmp: "image/bmp", gif: "image/gif", heic: "image/heic", heif: "image/heif", jpg: "image/jpeg",
  jpeg: "image/jpeg", png: "image/png", tif: "image/tiff", tiff: "image/tiff", webp: "image/webp",
};

// Calls onDone with the key of each image that has its thumbnails, and with null for each rejected one.
export function upload(files, onDone) {
  for (const file of files) {
    queue.push({ file, row: addRow(file), onDone });
  }
  startNext();
}

function startNext() {
  while (running < MAX_UPLOADS_AT_ONCE && queue.length) {
    running += 1;
    uploadOne(queue.shift()).finally(() => {
      running -= 1;
      startNext();
    });
  }
}

async function uploadOne({ file, row, onDone }) {
  try {
    row.state.textContent = formatBytes(file.size);
    const body = { name: file.name, type: typeOf(file), bytes: file.size };
    const { key, upload } = await sendJson("/uploads", { method: "POST", body });
    await sendFile(file, upload, (fraction) => {
      row.bar.value = fraction;
      row.state.textContent = fraction < 1 ? `${Math.round(fraction * 100)} %` : "Making thumbnails";
    });
    row.bar.removeAttribute("value");
    const manifest = await waitForManifest(key, { onProgress: (failure) => { row.state.textContent = failure || "Making thumbnails"; } });
    removeRow(row);
    announce(`${key}: ${manifest.renditions.length} thumbnails made`);
    onDone(key);
  } catch (error) {
    showError(file, row, error);
    if (error.status === 422) onDone(null);
  }
}

function typeOf(file) {
  return file.type || TYPE_BY_EXTENSION[file.name.split(".").pop().toLowerCase()] || "application/octet-stream";
}

function sendFile(file, { method, url, headers = {} }, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch reports no progress of uploads
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.total ? event.loaded / event.total : 0);
    request.onerror = () => reject(new Error("The connection was lost during the upload."));
    request.onload = () => {
      if (request.status < 300) return resolve(onProgress(1));
      let detail = `The server answered ${request.status}.`;
      try {
        detail = JSON.parse(request.responseText).detail || detail;
      } catch { /* S3 answers in XML */ }
      return reject(new Error(detail));
    };
    request.send(file);
  });
}

function addRow(file) {
  const state = createElement("span", { class: "state" }, "Waiting");
  const bar = createElement("progress", { max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
  const item = createElement("li", { class: "upload" }, createElement("span", { class: "name" }, file.name), state, bar);
  byId("uploads").hidden = false;
  byId("uploads").prepend(item);
  return { item, state, bar };
}

function removeRow(row) {
  row.item.remove();
  byId("uploads").hidden = !byId("uploads").children.length;
}

function showError(file, row, error) {
  row.item.classList.add("failed");
  row.bar.remove();
  row.state.textContent = error.message;
  row.item.append(createElement("button", { type: "button", onclick: () => removeRow(row) }, "Dismiss"));
  announce(`${file.name}: ${error.message}`);
}
