// The connection to the server: a message while it does not answer, and the end of all waiting when it does.

import { announce, byId } from "./elements.js";

const PAUSE_MS = 2000;
let connected = null;

// Resolves when the server answers again. Requests that fail at the same time wait for the same check.
export async function whenConnected(address, signal) {
  connected ??= check(address).finally(() => { connected = null; });
  await connected;
  signal?.throwIfAborted();
}

async function check(address) {
  show("The server does not answer. This page continues when it does. If it was stopped, start it again.");
  byId("connection").hidden = false;
  for (;;) {
    const response = await fetch(address, { cache: "no-store" }).catch(() => null);
    if (response?.ok) break;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  byId("connection").hidden = true;
  announce("The server answers again.");
}

function show(text) {
  byId("connection").textContent = text;
}
