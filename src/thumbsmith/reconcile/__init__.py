"""One source: its manifest, what to do about it, and the protocol that makes its thumbnails agree with it."""
