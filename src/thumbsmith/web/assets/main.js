// The views: the part of the address after "#" selects one. Also the files that are dropped or chosen.

import * as detail from "./detail.js";
import { announce, byId } from "./elements.js";
import * as gallery from "./gallery.js";
import * as recipe from "./recipe.js";
import * as rejected from "./rejected.js";
import { upload } from "./upload.js";

const VIEWS = { images: gallery, rejected, recipe };
const TITLES = { images: "Images", rejected: "Rejected", recipe: "Recipe" };
const FILTER_DELAY_MS = 200;
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
  if (key !== null) await detail.show(key, removeDeleted);
}

function removeDeleted(key) {
  gallery.remove(key);
  byId("detail").close();
  gallery.show();
}

function uploadFiles(files) {
  if (!files.length) return;
  if (!location.hash.startsWith("#/") || currentView !== "images") location.hash = "#/";
  upload(files, gallery.add);
}

function addListeners() {
  byId("choose").addEventListener("click", () => byId("files").click());
  byId("files").addEventListener("change", () => {
    uploadFiles([...byId("files").files]);
    byId("files").value = "";
  });
  byId("search").addEventListener("submit", (event) => event.preventDefault());
  let filterTimer = null;
  byId("prefix").addEventListener("input", () => {
    clearTimeout(filterTimer);
    filterTimer = setTimeout(gallery.show, FILTER_DELAY_MS);
  });
  byId("more").addEventListener("click", gallery.more);
  byId("more-rejections").addEventListener("click", rejected.more);
  byId("detail").addEventListener("close", () => {
    if (location.hash.startsWith("#/image/")) history.replaceState(null, "", "#/");
    document.title = "Thumbsmith";
  });
  byId("detail").addEventListener("click", (event) => {
    if (event.target === byId("detail")) byId("detail").close();
  });
  recipe.addListeners();
  addDropListeners();
  window.addEventListener("hashchange", showView);
}

function addDropListeners() {
  let depth = 0; // dragenter and dragleave also fire for every element inside the page
  const changeDepth = (change) => {
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dragged", depth > 0);
  };
  document.addEventListener("dragenter", (event) => { event.preventDefault(); changeDepth(1); });
  document.addEventListener("dragleave", () => changeDepth(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    changeDepth(0);
    uploadFiles([...event.dataTransfer.files]);
  });
}

addListeners();
showView().catch((error) => announce(error.message));
