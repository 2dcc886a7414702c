// Which view is shown, by the part of the address behind "#"; and what is dropped anywhere.

import * as detail from "./detail.js";
import { by, tell } from "./elements.js";
import * as gallery from "./gallery.js";
import * as recipe from "./recipe.js";
import * as rejected from "./rejected.js";
import { upload } from "./upload.js";

const VIEWS = { images: gallery, rejected, recipe };
const TITLES = { images: "Images", rejected: "Rejected", recipe: "Recipe" };
let shown = null;

async function route() {
  const path = decodeURI(location.hash.replace(/^#\/?/, "").split("/")[0]) || "images";
  if (path === "main") return;
  const key = location.hash.startsWith("#/image/") ? decodeURIComponent(location.hash.slice("#/image/".length)) : null;
  const view = path in VIEWS ? path : "images";
  if (key === null) detail.hide();
  for (const name of Object.keys(VIEWS)) by(name).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    const current = link.getAttribute("href") === (view === "images" ? "#/" : `#/${view}`);
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = key ? `${key} · Thumbsmith` : view === "images" ? "Thumbsmith" : `${TITLES[view]} · Thumbsmith`;
  if (shown !== view || view !== "images") await VIEWS[view].show();
  shown = view;
  if (key !== null) await detail.show(key, gone);
}

function gone(key) {
  gallery.remove(key);
  by("detail").close();
  gallery.show();
}

function take(files) {
  if (!files.length) return;
  if (!location.hash.startsWith("#/") || shown !== "images") location.hash = "#/";
  upload(files, gallery.arrived);
}

let typing = null;

function begin() {
  by("choose").addEventListener("click", () => by("files").click());
  by("files").addEventListener("change", () => {
    take([...by("files").files]);
    by("files").value = "";
  });
  by("search").addEventListener("submit", (event) => event.preventDefault());
  by("prefix").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(gallery.show, 200);
  });
  by("more").addEventListener("click", gallery.more);
  by("more-rejections").addEventListener("click", rejected.more);
  by("detail").addEventListener("close", () => {
    if (location.hash.startsWith("#/image/")) history.replaceState(null, "", "#/");
    document.title = "Thumbsmith";
  });
  by("detail").addEventListener("click", (event) => {
    if (event.target === by("detail")) by("detail").close();
  });
  recipe.begin();
  drops();
  window.addEventListener("hashchange", route);
}

function drops() {
  let depth = 0;
  const over = (change) => {
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dragged", depth > 0);
  };
  document.addEventListener("dragenter", (event) => { event.preventDefault(); over(1); });
  document.addEventListener("dragleave", () => over(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    over(0);
    take([...event.dataTransfer.files]);
  });
}

begin();
route().catch((error) => tell(error.message));
