// The formats that the server reads: for the file dialog, and to refuse other files before they are sent.

import { sendJson } from "./api.js";
import { formatBytes } from "./elements.js";

let table = null;

export async function loadFormats() {
  table ??= await sendJson("/formats");
  return table;
}

// The value of `accept` of a file input.
export const acceptList = ({ formats }) => formats.flatMap((each) => [...each.types, ...each.suffixes]).join(",");

export const formatNames = ({ formats }) => formats.map((each) => (each.name === "webp" ? "WebP" : each.name.toUpperCase())).join(", ");

export function isImageName({ formats }, name) {
  return formats.some((each) => each.suffixes.some((suffix) => name.toLowerCase().endsWith(suffix)));
}

// The media type of a file: what the browser says if the server knows it, else by the suffix. Empty: the content decides.
export function typeOf({ formats }, file) {
  if (formats.some((each) => each.types.includes(file.type))) return file.type;
  return formats.find((each) => each.suffixes.some((suffix) => file.name.toLowerCase().endsWith(suffix)))?.types[0] || "";
}

// Returns why a file cannot be uploaded, or null.
export function refusal(formats, file, name) {
  if (file.size === 0) return "The file is empty.";
  if (file.size > formats.max_bytes) return `Too large: ${formatBytes(file.size)}. The limit is ${formatBytes(formats.max_bytes)}.`;
  const isKnown = typeOf(formats, file) || !name.split("/").pop().includes(".");
  return isKnown ? null : `Not an image. Thumbsmith reads ${formatNames(formats)}.`;
}
