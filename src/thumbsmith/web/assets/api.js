// Requests to the API: the same API that every other client uses.

import { byId } from "./elements.js";
import { whenConnected } from "./connection.js";

// The page may be below a path prefix.
const ROOT = new URL("../", import.meta.url);

export const address = (path) => new URL(path.replace(/^\//, ""), ROOT).href;
export const imagePath = (key) => `/images/${encodeURIComponent(key)}`;

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.problem = problem;
  }
}

// Returns the response with any status. Asks the user for the token if the server requires it. If the server cannot be
// reached, waits until it answers again.
export async function send(path, { method = "GET", body, signal } = {}) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const options = { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) };
  for (;;) {
    const response = await fetch(address(path), options).catch((error) => {
      if (error.name === "AbortError") throw error;
      return null;
    });
    if (response?.status === 401) await askForToken();
    else if (response) return response;
    else await whenConnected(address("/health"), signal);
  }
}

// Returns the content of the response: JSON, or text. Throws ApiError.
export async function sendJson(path, options) {
  const response = await send(path, options);
  const type = response.headers.get("content-type") || "";
  const content = type.includes("json") ? await response.json() : await response.text();
  if (!response.ok) throw new ApiError(response.status, content);
  return content;
}

const withPeriod = (text) => (text.endsWith(".") ? text : `${text}.`);

// Returns what failed, and what to do.
export function failureText(error) {
  return error instanceof ApiError ? `${withPeriod(error.message)} Correct the cause, then reload this page.` : error.message;
}

// Waits for the thumbnails, and returns the manifest. Throws ApiError: 422 for a rejected image, 404 for a deleted one.
// After each answer without a final result, onProgress gets the failure of the last try as text, or null if it is running.
export async function waitForManifest(key, { signal, onProgress = () => {} } = {}) {
  for (;;) {
    const response = await send(`${imagePath(key)}?wait=25`, { signal });
    const content = await response.json();
    if (response.status === 200) return content;
    if (response.status !== 202 && response.status !== 503) throw new ApiError(response.status, content);
    onProgress(content.detail ? `${withPeriod(content.detail)} The server tries again. If this text stays, correct the cause.` : null);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

// Returns an image as the list shows it, or undefined if it was deleted.
export async function findImage(key) {
  const { images } = await sendJson(`/images?${new URLSearchParams({ prefix: key, limit: 1 })}`);
  return images.find((image) => image.key === key);
}

// Yields pages of the list. The query may ask for a `total`, which the first page has.
export async function* listPages({ total = false, ...query }) {
  let cursor = "";
  do {
    const more = cursor ? { cursor } : { total };
    const page = await sendJson(`/images?${new URLSearchParams({ ...query, ...more })}`);
    cursor = page.cursor || "";
    yield { images: page.images, total: page.total, hasMore: Boolean(cursor) };
  } while (cursor);
}

// Requests that are refused at the same time wait for the same dialog.
let tokenPromise = null;

function askForToken() {
  tokenPromise ??= new Promise((resolve) => {
    const dialog = byId("token-dialog");
    byId("token-form").onsubmit = async (event) => {
      event.preventDefault();
      const headers = { "Content-Type": "application/json" };
      const body = JSON.stringify({ token: byId("token").value });
      const response = await fetch(address("/session"), { method: "POST", headers, body }).catch(() => null);
      const message = response ? "The token is wrong." : "The server does not answer.";
      byId("token-message").textContent = response?.ok ? "" : message;
      byId("token-message").classList.toggle("error", !response?.ok);
      if (!response?.ok) return;
      dialog.close();
      tokenPromise = null;
      resolve();
    };
    dialog.oncancel = (event) => event.preventDefault();
    dialog.showModal();
  });
  return tokenPromise;
}
