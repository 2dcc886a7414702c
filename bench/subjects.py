"""Labeled pictures: each has a subject that must survive a crop.

A label is a box in fractions of width and height (left, top, right, bottom) of the upright picture: the part that a
person would not crop. Labels were set by eye on a grid. The photographs are those of the project, those of
scikit-image, and those of the corpus if it is there; the latter two are not copied. Each photograph is used whole, and
as frames of two shapes with the subject at one side, in the middle and at the other. Subjects are also placed on busy
backgrounds: gravel, grass and bricks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import skimage
from PIL import Image, ImageDraw, ImageFilter, ImageOps

Box = tuple[float, float, float, float]

SAMPLES = Path(__file__).parents[1] / "src" / "thumbsmith" / "samples"
LIBRARY = Path(skimage.__file__).parent / "data"
CORPUS = Path(os.environ.get("THUMBSMITH_CORPUS") or Path(__file__).parents[2] / "shared" / "corpus") / "photos"

LABELS: dict[Path, dict[str, Box]] = {
    SAMPLES: {
        "astronaut.jpg": (0.30, 0.03, 0.58, 0.38),
        "camera.png": (0.28, 0.12, 0.66, 0.45),
        "chelsea.jpg": (0.28, 0.25, 0.82, 0.90),
        "coffee.webp": (0.29, 0.05, 0.70, 0.75),
        "rocket.jpg": (0.47, 0.30, 0.55, 0.97),
    },
    LIBRARY: {
        "motorcycle_left.png": (0.36, 0.27, 0.80, 0.85),
        "cell.png": (0.64, 0.43, 0.91, 0.74),
        "clock_motion.png": (0.37, 0.28, 0.68, 0.70),
    },
    CORPUS: {
        "beacon-street-sunset.jpg": (0.80, 0.30, 0.97, 0.60),
        "blue-periwinkle.jpg": (0.44, 0.42, 0.60, 0.60),
        "canyon-wren.jpg": (0.36, 0.20, 0.49, 0.50),
        "casa-mila.jpg": (0.30, 0.20, 0.70, 0.65),
        "extreme-desert-hike.jpg": (0.28, 0.78, 0.41, 0.89),
        "high-trestle-trail.jpg": (0.30, 0.42, 0.70, 0.95),
        "lake-sherburne.jpg": (0.20, 0.15, 0.50, 0.50),
        "oakland-zoo-otters.jpg": (0.30, 0.27, 0.60, 0.75),
        "ocean-waves.jpg": (0.50, 0.15, 0.95, 0.45),
        "perched-osprey.jpg": (0.30, 0.20, 0.47, 0.85),
        "piazza-gae-aulenti.jpg": (0.25, 0.22, 0.45, 0.82),
        "roman-colosseum.jpg": (0.05, 0.20, 0.50, 0.80),
        "saturnian-profile.jpg": (0.33, 0.15, 0.67, 0.70),
        "singaporean-cityscape.jpg": (0.40, 0.22, 0.82, 0.58),
    },
}
BACKGROUNDS = ("gravel.png", "grass.png", "brick.png")
PASTED = ("astronaut.jpg", "chelsea.jpg", "coffee.webp")

SHAPES = (2.0, 0.5)  # width to height of a frame
PLACES = (0.25, 0.5, 0.75)  # of the subject's center along the longer side
SHARES = (0.8, 0.65, 0.5, 0.4, 0.3)  # of the photograph's height; the first that fits is used
LONGER = 960


@dataclass(frozen=True)
class Labelled:
    """A picture and the box that must survive a crop to a square, in pixels."""

    name: str
    kind: str
    image: Image.Image
    box: Box

    def survives(self, crop: Box) -> bool:
        """Return whether a crop keeps 95 % of the box."""
        left, top, right, bottom = self.box
        kept = (min(right, crop[2]) - max(left, crop[0]), min(bottom, crop[3]) - max(top, crop[1]))
        return min(kept) > 0 and kept[0] * kept[1] >= 0.95 * (right - left) * (bottom - top)


def pictures() -> Iterator[Labelled]:
    """Yield all pictures whose photographs exist, in a fixed order."""
    for folder, labels in LABELS.items():
        for name, shares in labels.items():
            if (folder / name).is_file():
                image = opened(folder / name)
                box = pixels(image, shares)
                yield Labelled(name, "whole", image, box)
                yield from frames(name, image, box)
    yield from pasted()


def frames(name: str, image: Image.Image, box: Box) -> Iterator[Labelled]:
    """Yield the largest frames of a photograph with the subject at each place."""
    for shape in SHAPES:
        for place in PLACES:
            found = (framed(name, image, box, shape, place, share) for share in SHARES)
            yield from next(([each] for each in found if each), [])


def framed(name: str, image: Image.Image, box: Box, shape: float, place: float, share: float) -> Labelled | None:
    """Return a frame with this fraction of the photograph's height, or None if it does not fit."""
    height = min(image.height, image.width / shape) * share
    width = height * shape
    across, down = (place, 0.5) if shape > 1 else (0.5, place)
    left = min(max((box[0] + box[2]) / 2 - across * width, 0), image.width - width)
    top = min(max((box[1] + box[3]) / 2 - down * height, 0), image.height - height)
    moved = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    stands = (moved[0] + moved[2]) / 2 / width if shape > 1 else (moved[1] + moved[3]) / 2 / height
    fits = min(moved) >= 0 and moved[2] <= width and moved[3] <= height
    if abs(stands - place) > 0.05 or not fits or max(box[2] - box[0], box[3] - box[1]) > min(width, height):
        return None
    frame = image.crop((round(left), round(top), round(left + width), round(top + height)))
    return Labelled(f"{name} {shape:g} {place:g}", "framed", frame, moved)


def pasted() -> Iterator[Labelled]:
    """Yield subjects that are blended into a texture."""
    for background in BACKGROUNDS:
        texture = opened(LIBRARY / background).convert("RGB")
        for name in PASTED:
            image = opened(SAMPLES / name)
            subject = image.crop(tuple(round(edge) for edge in pixels(image, LABELS[SAMPLES][name])))
            subject.thumbnail((180, 180))
            for place in PLACES:
                yield laid(f"{name} on {background} {place:g}", texture, subject, place)


def laid(name: str, texture: Image.Image, subject: Image.Image, place: float) -> Labelled:
    """Return a subject on a texture twice as wide as high."""
    board = ImageOps.fit(texture, (600, 300))
    left, top = round(place * 600 - subject.width / 2), 150 - subject.height // 2
    mask = Image.new("L", subject.size)
    ImageDraw.Draw(mask).ellipse((6, 6, subject.width - 7, subject.height - 7), fill=255)
    board.paste(subject, (left, top), mask.filter(ImageFilter.GaussianBlur(4)))
    return Labelled(name, "pasted", board, (left, top, left + subject.width, top + subject.height))


def opened(path: Path) -> Image.Image:
    """Return a photograph, upright and small."""
    image = Image.open(path)
    image.draft("RGB", (LONGER, LONGER))
    image = ImageOps.exif_transpose(image).convert("RGB")
    image.thumbnail((LONGER, LONGER))
    return image


def pixels(image: Image.Image, shares: Box) -> Box:
    """Return a box in pixels."""
    return (
        shares[0] * image.width,
        shares[1] * image.height,
        shares[2] * image.width,
        shares[3] * image.height,
    )
