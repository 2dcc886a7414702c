// CloudFront Function at viewer requests: a name without an extension, as /photo.jpg/small, becomes that of the file in
// the format that `Accept` wants most. It is written in what the runtime knows of JavaScript, without for-of or spreads:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-javascript-runtime-20.html

// What there is of each variant: [media type, extension], the smallest first. Filled in when it is deployed.
const VARIANTS = {};

// Of formats that a client asks for by a wildcard alone, the one that more clients can read comes first.
const KNOWN_EVERYWHERE = ["image/jpeg", "image/png", "image/webp", "image/avif"];

const QUALITY = /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/;

function handler(event) {
  const request = event.request;
  const name = request.uri.slice(request.uri.lastIndexOf("/") + 1).replace("%40", "@");
  if (has(VARIANTS, name)) request.uri += "." + best(VARIANTS[name], ranges(request.headers.accept));
  return request;
}

// How much each media range of the header is wanted, by its type; of none or an empty one, everything.
function ranges(header) {
  const wanted = {};
  const value = header && header.value.trim() ? header.value : "*/*";
  value.toLowerCase().split(",").slice(0, 64).forEach((part) => {
    const pieces = part.split(";").map((piece) => piece.trim());
    const quality = pieces.slice(1).filter((piece) => piece.startsWith("q="))[0];
    const number = quality ? quality.slice(2) : "1";
    if (QUALITY.test(number) && !has(wanted, pieces[0])) wanted[pieces[0]] = Number(number);
  });
  return wanted;
}

// The extension of the format that is wanted most; of equal ones, one that is named; of these, the smallest.
// If none is wanted, it is the one that most clients can read: better than no picture.
function best(formats, wanted) {
  const rated = formats.map((format, place) => rate(format, place, wanted));
  rated.sort((one, other) => one.quality - other.quality || one.named - other.named || one.place - other.place);
  return rated[0].extension;
}

// All numbers are better the smaller they are.
function rate(format, place, wanted) {
  const range = [format[0], "image/*", "*/*"].filter((each) => has(wanted, each))[0];
  const named = range === format[0] && wanted[range] > 0;
  return {
    extension: format[1],
    quality: range ? -wanted[range] : 0,
    named: named ? 0 : 1,
    place: named ? place : KNOWN_EVERYWHERE.indexOf(format[0]),
  };
}

function has(object, name) {
  return Object.prototype.hasOwnProperty.call(object, name);
}
