"""The first thumbnail with only boto3 and Pillow, for cold.py.

It is written for speed: the JPEG is decoded at a reduced scale, and each thumbnail is made from the larger one.
"""

from __future__ import annotations

import io
import json
import sys

import boto3
from PIL import Image, ImageOps

HEADERS = {"ContentType": "image/webp", "CacheControl": "public, max-age=60"}


def main(bucket: str, key: str, destination: str) -> None:
    """Make three thumbnails and a manifest of one photograph."""
    s3 = boto3.client("s3")
    data = s3.get_object(Bucket=bucket, Key=f"photos/{key}")["Body"].read()
    image: Image.Image = Image.open(io.BytesIO(data))
    image.thumbnail((1024, 1024))
    large = ImageOps.exif_transpose(image)
    small = large.copy()
    small.thumbnail((256, 256))
    made = {"large": large, "small": small, "icon": ImageOps.fit(small, (64, 64))}
    for name, picture in made.items():
        out = io.BytesIO()
        picture.save(out, "webp", quality=80)
        s3.put_object(Bucket=bucket, Key=f"{destination}/{key}/{name}.webp", Body=out.getvalue(), **HEADERS)
    manifest = json.dumps({name: picture.size for name, picture in made.items()}).encode()
    s3.put_object(
        Bucket=bucket, Key=f"{destination}/{key}/manifest.json", Body=manifest, ContentType="application/json"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
