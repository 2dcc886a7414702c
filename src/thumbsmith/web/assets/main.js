// The views: the part of the address after "#" selects one. Also the files that are dropped, pasted or chosen.

import * as detail from "./detail.js";
import { announce, byId } from "./elements.js";
import { chosenFiles, droppedFiles, pastedFiles } from "./files.js";
import { acceptList, formatNames, loadFormats } from "./formats.js";
import * as gallery from "./gallery.js";
import * as recipe from "./recipe.js";
import * as rejected from "./rejected.js";
import * as selection from "./selection.js";
import * as uploads from "./uploads.js";

const VIEWS = { images: gallery, rejected, recipe };
const TITLES = { images: "Images", rejected: "Rejected", recipe: "Recipe" };
let currentView = null;

async function showView() {
  const path = decodeURI(location.hash.replace(/^#\/?/, "").split("/")[0]) || "images";
  if (path === "main") return;
  const key = location.hash.startsWith("#/image/") ? decodeURIComponent(location.hash.slice("#/image/".length)) : null;
  const view = path in VIEWS ? path : "images";
  if (key === null) detail.hide();
  for (const name of Object.keys(VIEWS)) byId(name).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    const isCurrent = link.getAttribute("href") === (view === "images" ? "#/" : `#/${view}`);
    if (isCurrent) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = key ? `${key} · Thumbsmith` : view === "images" ? "Thumbsmith" : `${TITLES[view]} · Thumbsmith`;
  if (currentView !== view || view !== "images") await VIEWS[view].show();
  currentView = view;
  if (key !== null) await detail.show(key, gallery.neighbors);
}

async function uploadFiles(files) {
  if (!files.length) return;
  if (currentView !== "images" || byId("detail").open) location.hash = "#/";
  await uploads.upload(files);
}

function addListeners() {
  for (const name of ["files", "folder"]) {
    byId(`choose-${name}`).addEventListener("click", () => byId(name).click());
    byId(name).addEventListener("change", () => {
      uploadFiles(chosenFiles(byId(name)));
      byId(name).value = "";
    });
  }
  byId("detail").addEventListener("close", () => {
    const key = location.hash.startsWith("#/image/") ? decodeURIComponent(location.hash.slice("#/image/".length)) : null;
    if (key !== null) history.replaceState(null, "", "#/");
    if (key !== null) gallery.focus(key);
    document.title = "Thumbsmith";
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) uploadFiles(pastedFiles(event.clipboardData));
  });
  addDropListeners();
  window.addEventListener("hashchange", showView);
  for (const part of [gallery, detail, recipe, rejected, uploads]) part.addListeners();
  selection.addListeners((keys) => {
    gallery.remove(keys);
    rejected.remove(keys);
    rejected.updateBadge();
  });
  uploads.onUploaded((key) => {
    gallery.add(key);
    if (key === null) rejected.updateBadge();
  });
}

function addDropListeners() {
  let depth = 0; // dragenter and dragleave also fire for every element inside the page
  const changeDepth = (change) => {
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dragged", depth > 0);
  };
  const hasFiles = (event) => event.dataTransfer.types.includes("Files");
  document.addEventListener("dragenter", (event) => { if (hasFiles(event)) { event.preventDefault(); changeDepth(1); } });
  document.addEventListener("dragleave", () => changeDepth(-1));
  document.addEventListener("dragover", (event) => { if (hasFiles(event)) event.preventDefault(); });
  document.addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    changeDepth(0);
    uploadFiles(await droppedFiles(event.dataTransfer));
  });
}

async function showFormats() {
  const formats = await loadFormats();
  byId("files").accept = acceptList(formats);
  byId("drop-hint").textContent = formatNames(formats);
}

addListeners();
Promise.all([showView(), showFormats(), rejected.updateBadge()]).catch((error) => announce(error.message));
