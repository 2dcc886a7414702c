// The markup that shows an image on another page: every format and width, on the average color while it loads.

// A browser uses the first format that it can read.
const FORMAT_ORDER = ["avif", "webp", "png", "jpeg"];

const escape = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");

export function markup(manifest, base) {
  const address = (path) => escape(`${base}/renditions/${path}`);
  const srcset = (format) => manifest.srcset[format].split(", ").map((entry) => address(entry)).join(", ");
  const formats = FORMAT_ORDER.filter((format) => manifest.srcset[format]);
  const fallback = formats.at(-1);
  const candidates = manifest.renditions.filter((each) => each.format === fallback && isInSrcset(each, manifest));
  const largest = (candidates.length ? candidates : manifest.renditions)
    .reduce((one, other) => (other.width > one.width ? other : one));
  const path = largest.key.split("/").map(encodeURIComponent).join("/");
  const size = `width="${largest.width}" height="${largest.height}"`;
  const image = `<img src="${address(path)}" ${size} alt="" loading="lazy" style="background: ${manifest.placeholder.color}">`;
  if (!formats.length) return image;
  const sizes = `sizes="(max-width: ${largest.width}px) 100vw, ${largest.width}px"`;
  const sources = formats.map((format) => `  <source type="image/${format}" srcset="${srcset(format)}" ${sizes}>`);
  return ["<picture>", ...sources, `  ${image}`, "</picture>"].join("\n");
}

function isInSrcset(rendition, manifest) {
  return manifest.srcset[rendition.format].includes(`?v=${rendition.sha256.slice(0, 8)} `);
}
