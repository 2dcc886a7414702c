// The upload of one file: ask the API for permission, send the file, then wait for the thumbnails.

import { address, sendJson, waitForManifest } from "./api.js";
import { whenConnected } from "./connection.js";
import { typeOf } from "./formats.js";

// The API answers so if the URL of an upload has expired.
const EXPIRED = 404;

// Returns the key when the thumbnails are made. `job` keeps the permission, so that a retry does not get another name.
// onProgress gets a fraction, or null while thumbnails are made, and a text. Throws ApiError and AbortError.
export async function transfer(job, formats, { signal, onProgress }) {
  while (!job.isSent) {
    if (!job.grant) {
      const body = { name: job.name, type: typeOf(formats, job.file), bytes: job.file.size };
      job.grant = await sendJson("/uploads", { method: "POST", body, signal });
    }
    onProgress(0, "Uploading");
    const { status, detail } = await sendFile(job.file, job.grant.upload, { signal, onProgress });
    if (status === 0) await whenConnected(address("/health"), signal);
    else if (status === EXPIRED) job.grant = null;
    else if (status >= 300) throw new Error(detail || `The server answered ${status}.`);
    else job.isSent = true;
  }
  onProgress(null, "Making thumbnails");
  await waitForManifest(job.grant.key, { signal, onProgress: (failure) => onProgress(null, failure || "Making thumbnails") });
  return job.grant.key;
}

// Resolves to the status, 0 if the connection was lost, and the detail of a problem.
function sendFile(file, { method, url, headers = {} }, { signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch reports no progress of uploads
    const abort = () => request.abort();
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.total ? event.loaded / event.total : 0, "Uploading");
    request.onerror = () => resolve({ status: 0 });
    request.onabort = () => reject(new DOMException("The upload was canceled.", "AbortError"));
    request.onload = () => resolve({ status: request.status, detail: detailOf(request.responseText) });
    request.onloadend = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    request.send(file);
  });
}

function detailOf(text) {
  try {
    return JSON.parse(text).detail;
  } catch { // S3 answers in XML
    return "";
  }
}
