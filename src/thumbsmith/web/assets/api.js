// Requests to the API: the same API that every other client uses.

import { byId } from "./elements.js";

export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.problem = problem;
  }
}

// Returns the response with any status. Asks the user for the token if the server requires it.
export async function send(path, { method = "GET", body, signal } = {}) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const options = { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) };
  let response = await fetch(path, options);
  while (response.status === 401) {
    await askForToken();
    response = await fetch(path, options);
  }
  return response;
}

// Returns the JSON of the response. Throws ApiError.
export async function sendJson(path, options) {
  const response = await send(path, options);
  const type = response.headers.get("content-type") || "";
  const content = type.includes("json") ? await response.json() : {};
  if (!response.ok) throw new ApiError(response.status, content);
  return content;
}

export const imagePath = (key) => `/images/${encodeURIComponent(key)}`;

const withPeriod = (text) => (text.endsWith(".") ? text : `${text}.`);

// Returns what failed, and what to do, for an error that `waitForManifest` throws.
export function failureText(error) {
  if (error instanceof ApiError) return `${withPeriod(error.message)} Correct the cause, then reload this page.`;
  return "The server does not answer. Start it again, then reload this page.";
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

export async function* listPages(query) {
  let cursor = "";
  do {
    const page = await sendJson(`/images?${new URLSearchParams({ ...query, ...(cursor ? { cursor } : {}) })}`);
    cursor = page.cursor || "";
    yield { images: page.images, hasMore: Boolean(cursor) };
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
      const response = await fetch("/session", { method: "POST", headers, body });
      byId("token-message").textContent = response.ok ? "" : "The token is wrong.";
      byId("token-message").classList.toggle("error", !response.ok);
      if (!response.ok) return;
      dialog.close();
      tokenPromise = null;
      resolve();
    };
    dialog.oncancel = (event) => event.preventDefault();
    dialog.showModal();
  });
  return tokenPromise;
}
