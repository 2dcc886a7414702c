// The markup that shows an image on another page: every format, every width, the place held by its color.

const ORDER = ["avif", "webp", "png", "jpeg"];

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");

export function markup(manifest, base) {
  const address = (path) => escaped(`${base}/renditions/${path}`);
  const set = (format) => manifest.srcset[format].split(", ").map((entry) => address(entry)).join(", ");
  const formats = ORDER.filter((format) => manifest.srcset[format]);
  const fallback = formats.at(-1);
  const whole = manifest.renditions.filter((each) => each.format === fallback && inSet(each, manifest));
  const largest = (whole.length ? whole : manifest.renditions).reduce((one, other) => (other.width > one.width ? other : one));
  const path = largest.key.split("/").map(encodeURIComponent).join("/");
  const size = `width="${largest.width}" height="${largest.height}"`;
  const image = `<img src="${address(path)}" ${size} alt="" loading="lazy" style="background: ${manifest.placeholder.color}">`;
  if (!formats.length) return image;
  const sizes = `sizes="(max-width: ${largest.width}px) 100vw, ${largest.width}px"`;
  const sources = formats.map((format) => `  <source type="image/${format}" srcset="${set(format)}" ${sizes}>`);
  return ["<picture>", ...sources, `  ${image}`, "</picture>"].join("\n");
}

function inSet(rendition, manifest) {
  return manifest.srcset[rendition.format].includes(`?v=${rendition.sha256.slice(0, 8)} `);
}
