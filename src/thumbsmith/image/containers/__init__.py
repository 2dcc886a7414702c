"""Container formats of images: headers are read, and outputs checked, without an image library."""
