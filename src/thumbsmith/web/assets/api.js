// The API: the same one that everybody else uses.

import { by } from "./elements.js";

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.problem = problem;
  }
}

export async function ask(path, { method = "GET", body, signal } = {}) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const sent = { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) };
  let answer = await fetch(path, sent);
  while (answer.status === 401) {
    await enter();
    answer = await fetch(path, sent);
  }
  return answer;
}

export async function read(path, options) {
  const answer = await ask(path, options);
  const type = answer.headers.get("content-type") || "";
  const content = type.includes("json") ? await answer.json() : {};
  if (!answer.ok) throw new Refused(answer.status, content);
  return content;
}

export const imagePath = (key) => `/images/${encodeURIComponent(key)}`;

// A manifest once the thumbnails are made. Throws Refused: 422 for a rejected image, 404 for one that is gone.
export async function made(key, signal) {
  for (;;) {
    const answer = await ask(`${imagePath(key)}?wait=25`, { signal });
    const content = await answer.json();
    if (answer.status === 200) return content;
    if (answer.status !== 202 && answer.status !== 503) throw new Refused(answer.status, content);
    await new Promise((done) => setTimeout(done, 1000));
  }
}

export async function* pages(query) {
  let cursor = "";
  do {
    const page = await read(`/images?${new URLSearchParams({ ...query, ...(cursor ? { cursor } : {}) })}`);
    cursor = page.cursor || "";
    yield { images: page.images, more: Boolean(cursor) };
  } while (cursor);
}

let entering = null;

function enter() {
  entering ??= new Promise((done) => {
    const door = by("door");
    const form = by("door-form");
    form.onsubmit = async (event) => {
      event.preventDefault();
      const headers = { "Content-Type": "application/json" };
      const answer = await fetch("/session", { method: "POST", headers, body: JSON.stringify({ token: by("token").value }) });
      by("door-says").textContent = answer.ok ? "" : "This is not the token.";
      by("door-says").classList.toggle("wrong", !answer.ok);
      if (!answer.ok) return;
      door.close();
      entering = null;
      done();
    };
    door.oncancel = (event) => event.preventDefault();
    door.showModal();
  });
  return entering;
}
