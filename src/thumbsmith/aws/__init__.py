"""The functions on AWS: make thumbnails, serve the API, audit a bucket, fill the catalogue; and the task."""
