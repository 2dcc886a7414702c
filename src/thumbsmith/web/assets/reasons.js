// Why the server rejects a file, in plain words. The codes are those of the API.

const REASONS = {
  empty: "The file is empty.",
  unsupported_format: "This is not an image format that Thumbsmith reads.",
  corrupt: "The file is damaged.",
  encrypted: "The file is protected by a password. Remove the password first.",
  truncated: "The file is incomplete. Upload it again.",
  too_many_bytes: "The file is too large.",
  too_many_pixels: "The image has too many pixels.",
  too_long_side: "The image is too wide or too high.",
  too_many_frames: "The animation has too many frames.",
  too_many_scans: "The JPEG has too many scans, which make it slow to read.",
  over_memory: "The image needs too much memory.",
  over_time: "The image takes too much time to read.",
  archived: "The file is in an archive of the bucket. Restore it first.",
  unsupported_key: "The name cannot be used for thumbnails. Rename the file.",
  key_too_long: "The name is too long. Rename the file.",
};

// Returns the reason as a sentence, or the detail of an unknown code.
export const reasonOf = ({ code, detail }) => REASONS[code] || sentence(detail);

// Returns the reason and the detail.
export const reasonText = (rejection) => `${reasonOf(rejection)} ${sentence(rejection.detail)}`;

export function sentence(text) {
  const start = text.charAt(0).toUpperCase() + text.slice(1);
  return start.endsWith(".") ? start : `${start}.`;
}
