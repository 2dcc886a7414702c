"""Square crops by libvips and smartcrop.py, run by gravity.py in another environment.

    ls *.png | .venv-peers/bin/python bench/peers.py

Prints one JSON object for each line: method -> left, top, right, bottom. smartcrop.py needs an older Pillow than ours.
"""

from __future__ import annotations

import json
import sys

import pyvips
import smartcrop
from PIL import Image


def vips(path: str, interesting: str) -> list[int]:
    """Return libvips' crop with one of its strategies (https://www.libvips.org/API/current/enum.Interesting.html)."""
    image = pyvips.Image.new_from_file(path)
    side = min(image.width, image.height)
    cropped = image.smartcrop(side, side, interesting=interesting)
    left, top = -cropped.xoffset, -cropped.yoffset
    return [left, top, left + side, top + side]


def smart(path: str) -> list[int]:
    """Return the best crop of smartcrop.py (https://github.com/smartcrop/smartcrop.py)."""
    image = Image.open(path).convert("RGB")
    side = min(image.size)
    found = smartcrop.SmartCrop().crop(image, 100, 100, prescale=True, max_scale=1.0, min_scale=1.0)["top_crop"]
    left, top = round(found["x"]), round(found["y"])
    return [left, top, left + side, top + side]


for line in sys.stdin:
    name = line.strip()
    answer = {
        "libvips attention": vips(name, "attention"),
        "libvips entropy": vips(name, "entropy"),
        "smartcrop": smart(name),
    }
    print(json.dumps(answer), flush=True)
