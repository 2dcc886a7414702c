// CloudFront Function at viewer responses: a thumbnail whose very content is named by `?v=` may be kept for a year.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-event-structure.html

// The version is the beginning of the content's SHA-256: 8 digits in hexadecimal.
const VERSION = /^[0-9a-f]{8}$/;

// Headers of S3 that clients do not need.
const PRIVATE = /^x-amz-(meta-|server-side-|version-id|expiration)/;

function handler(event) {
  const response = event.response;
  const headers = response.headers;
  const version = event.request.querystring.v;
  const digest = headers["x-amz-meta-thumbsmith-sha256"];
  if (version && VERSION.test(version.value) && digest && digest.value.startsWith(version.value)) {
    headers["cache-control"] = { value: "public, max-age=31536000, immutable" };
  }
  // A browser that kept an answer without CORS headers must not use it where a page needs them.
  headers["vary"] = { value: "Accept, Origin" };
  Object.keys(headers).forEach((name) => {
    if (PRIVATE.test(name)) delete headers[name];
  });
  return response;
}
