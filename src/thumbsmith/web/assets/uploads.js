// The panel of uploads: the progress of all and of each one, with cancel and retry. Failures come first.

import { announce, byId, createButton, createElement, formatBytes, formatCount } from "./elements.js";
import { isImageName, loadFormats, refusal } from "./formats.js";
import { reasonText } from "./reasons.js";
import { transfer } from "./transfer.js";

const MAX_AT_ONCE = 3;

// The states of a job, in the order in which the panel shows them.
const ORDER = ["failed", "active", "waiting", "canceled", "done"];

let jobs = [];
let onImage = () => {};

// Sets what is called with the key of each image that has its thumbnails, and with null for a rejected one.
export function onUploaded(callback) {
  onImage = callback;
}

// Adds files. Files in folders that are no images are left out, and counted in the summary.
export async function upload(files) {
  const formats = await loadFormats();
  const accepted = files.filter(({ name, isInFolder }) => !isInFolder || isImageName(formats, name));
  if (jobs.every((job) => job.state === "done" || job.state === "canceled")) jobs = [];
  for (const { file, name } of accepted) {
    const job = { file, name, state: "waiting", text: formatBytes(file.size), fraction: 0, controller: null };
    const problem = refusal(formats, file, name);
    if (problem) fail(job, problem, false);
    jobs.push(job);
  }
  byId("uploads").dataset.ignored = String(files.length - accepted.length);
  byId("uploads").hidden = jobs.length === 0 && accepted.length === files.length;
  render();
  startNext(formats);
}

function startNext(formats) {
  while (jobs.filter((job) => job.state === "active").length < MAX_AT_ONCE) {
    const job = jobs.find((each) => each.state === "waiting");
    if (!job) break;
    run(job, formats);
  }
}

async function run(job, formats) {
  job.state = "active";
  job.controller = new AbortController();
  const onProgress = (fraction, text) => {
    Object.assign(job, { fraction, text: fraction > 0 && fraction < 1 ? `${Math.round(fraction * 100)} %` : text });
    renderSoon();
  };
  renderSoon();
  try {
    const key = await transfer(job, formats, { signal: job.controller.signal, onProgress });
    Object.assign(job, { state: "done", text: "Done", fraction: 1 });
    onImage(key);
  } catch (error) {
    if (error.name === "AbortError") Object.assign(job, { state: "canceled", text: "Canceled" });
    else if (error.problem?.rejection) fail(job, reasonText(error.problem.rejection), false);
    else fail(job, error.message, true);
    if (error.status === 422) onImage(null);
  }
  renderSoon();
  startNext(formats);
  if (jobs.every((each) => each.state !== "active" && each.state !== "waiting")) announce(summary());
}

function fail(job, text, canRetry) {
  Object.assign(job, { state: "failed", text, canRetry });
}

function retry(failed) {
  for (const job of failed) Object.assign(job, { state: "waiting", text: "Waiting", fraction: 0 });
  render();
  loadFormats().then(startNext);
}

function cancel(running) {
  for (const job of running) {
    if (job.state === "waiting") Object.assign(job, { state: "canceled", text: "Canceled" });
    else job.controller.abort();
  }
  render();
}

const counted = (state) => jobs.filter((job) => job.state === state);

function summary() {
  const failed = counted("failed").length;
  const ignored = Number(byId("uploads").dataset.ignored);
  const parts = [`${counted("done").length} of ${formatCount(jobs.length, "image")} uploaded`];
  if (failed) parts.push(`${failed} failed`);
  if (counted("canceled").length) parts.push(`${counted("canceled").length} canceled`);
  if (ignored) parts.push(`${formatCount(ignored, "file")} left out: not an image`);
  return parts.join(", ");
}

// Many changes become one update of the panel.
let isScheduled = false;

function renderSoon() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => {
    isScheduled = false;
    render();
  });
}

function render() {
  const unfinished = [...counted("active"), ...counted("waiting")];
  const total = jobs.reduce((sum, job) => sum + job.file.size, 0);
  const sent = jobs.reduce((sum, job) => sum + job.file.size * (isFinal(job) ? 1 : (job.fraction ?? 1)), 0);
  byId("uploads-summary").textContent = summary();
  byId("uploads-total").value = total ? sent / total : 1;
  byId("uploads-cancel").hidden = !unfinished.length;
  byId("uploads-close").hidden = unfinished.length > 0;
  byId("uploads-retry").hidden = !counted("failed").some((job) => job.canRetry);
  const list = byId("uploads-list");
  const rows = [...jobs].sort((one, other) => ORDER.indexOf(one.state) - ORDER.indexOf(other.state)).map(updatedRow);
  if (rows.length === list.children.length && rows.every((row, index) => list.children[index] === row)) return;
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  list.replaceChildren(...rows);
  focused?.focus(); // it moved with its row
}

const isFinal = (job) => job.state === "done" || job.state === "failed" || job.state === "canceled";

function updatedRow(job) {
  job.row ??= createRow(job);
  const { item, state, bar, action } = job.row;
  item.className = `upload ${job.state}`;
  state.textContent = job.text;
  bar.hidden = job.state !== "active";
  if (job.fraction === null) bar.removeAttribute("value");
  else bar.value = job.fraction;
  const canRetry = job.state === "canceled" || (job.state === "failed" && job.canRetry);
  action.textContent = canRetry ? "Retry" : "Cancel";
  action.setAttribute("aria-label", `${action.textContent}: ${job.name}`);
  action.hidden = !canRetry && isFinal(job);
  return item;
}

function createRow(job) {
  const state = createElement("span", { class: "state" });
  const bar = createElement("progress", { max: 1, value: 0, "aria-label": `Upload of ${job.name}` });
  const action = createButton("Cancel", () => (isFinal(job) ? retry([job]) : cancel([job])), { class: "small" });
  const item = createElement("li", {}, createElement("span", { class: "name", title: job.name }, job.name), action, state, bar);
  return { item, state, bar, action };
}

export function addListeners() {
  byId("uploads-cancel").addEventListener("click", () => cancel([...counted("active"), ...counted("waiting")]));
  byId("uploads-retry").addEventListener("click", () => retry(counted("failed").filter((job) => job.canRetry)));
  byId("uploads-close").addEventListener("click", () => {
    jobs = [];
    byId("uploads").hidden = true;
    render();
  });
}
