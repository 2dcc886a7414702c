"""Animations with every kind of blending and disposal, and what they display by the specifications."""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from tests.containers.files import chunk

SIDE = 24

# Colors of the palette; the last index is transparent if a frame says so.
PALETTE = (
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 0),
    (0, 255, 255),
    (40, 40, 40),
    (250, 250, 250),
    (9, 9, 9),
)
CLEAR = len(PALETTE) - 1


@dataclass(frozen=True)
class Patch:
    """A frame as a file holds it: where it lies, its pixels, what becomes of it, and for how long it is seen.

    For a GIF `pixels` are indexes and `dispose` 0 to 3; for a PNG they are RGBA and `dispose` 0 to 2.
    """

    left: int
    top: int
    pixels: np.ndarray
    dispose: int = 1
    duration: int = 100  # milliseconds
    over: bool = True  # PNG: laid over what is there, instead of in its place; GIF: the last colour is transparent

    @property
    def box(self) -> tuple[slice, slice]:
        """Return the area of the canvas."""
        height, width = self.pixels.shape[:2]
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def gif(patches: list[Patch], loop: int | None = 0, side: int = SIDE) -> bytes:
    """Return a GIF; `loop` is the number in its application extension."""
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x82, 0, 0) + b"".join(map(bytes, PALETTE))
    again = b"" if loop is None else b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", loop) + b"\0"
    return head + again + b"".join(map(_gif_frame, patches)) + b";"


def _gif_frame(patch: Patch) -> bytes:
    height, width = patch.pixels.shape
    control = struct.pack("<BHB", patch.dispose << 2 | patch.over, patch.duration // 10, CLEAR)
    # Codes of 8 bits, and the table cleared before they would need 9: no compression, but no coder either.
    codes, indexes = bytearray(), patch.pixels.astype(np.uint8).tobytes()
    for start in range(0, len(indexes), 100):
        codes += b"\x80" + indexes[start : start + 100]
    codes += b"\x81"
    blocks = b"".join(bytes((len(part),)) + part for part in (codes[at : at + 255] for at in range(0, len(codes), 255)))
    place = struct.pack("<HHHHB", patch.left, patch.top, width, height, 0)
    return b"!\xf9\x04" + control + b"\0," + place + b"\x07" + blocks + b"\0"


def apng(patches: list[Patch], plays: int = 0, side: int = SIDE, aside: np.ndarray | None = None) -> bytes:
    """Return an animated PNG; `aside` is a first image that is no frame, for viewers without animation."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0))
    parts = [head, chunk(b"acTL", struct.pack(">II", len(patches), plays))]
    if aside is not None:
        parts.append(chunk(b"IDAT", _rows(aside)))
    number = 0
    for index, patch in enumerate(patches):
        height, width = patch.pixels.shape[:2]
        place = (number, width, height, patch.left, patch.top, patch.duration, 1000, patch.dispose, patch.over)
        parts.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", *place)))
        number += 1
        if index == 0 and aside is None:
            parts.append(chunk(b"IDAT", _rows(patch.pixels)))
        else:
            parts.append(chunk(b"fdAT", struct.pack(">I", number) + _rows(patch.pixels)))
            number += 1
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def _rows(pixels: np.ndarray) -> bytes:
    return zlib.compress(b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in pixels))


def seen_gif(patches: list[Patch], side: int = SIDE) -> list[np.ndarray]:
    """Return the canvas of a GIF after each frame, in RGBA (GIF89a, 23; a transparent background, as in browsers)."""
    canvas, shown = np.zeros((side, side, 4), np.uint8), []
    for patch in patches:
        before = canvas.copy()
        drawn = ~((patch.pixels == CLEAR) & patch.over)
        colors = np.concatenate([np.array(PALETTE, np.uint8)[patch.pixels], np.full((*patch.pixels.shape, 1), 255)], 2)
        canvas[patch.box][drawn] = colors[drawn]
        shown.append(canvas.copy())
        if patch.dispose == 2:
            canvas[patch.box] = 0
        elif patch.dispose == 3:
            canvas = before
    return shown


def seen_apng(patches: list[Patch], side: int = SIDE) -> list[np.ndarray]:
    """Return the canvas of an animated PNG after each frame, in RGBA (PNG, third edition, 11.3.6.2)."""
    canvas, shown = np.zeros((side, side, 4), np.uint8), []
    for index, patch in enumerate(patches):
        before = canvas.copy()
        canvas[patch.box] = _over(patch.pixels, canvas[patch.box]) if patch.over else patch.pixels
        shown.append(canvas.copy())
        if patch.dispose == 1 or (patch.dispose == 2 and index == 0):
            canvas[patch.box] = 0
        elif patch.dispose == 2:
            canvas = before
    return shown


def _over(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return one picture blended over another, both RGBA and not premultiplied."""
    top, bottom = above[..., 3:] / 255, below[..., 3:] / 255
    alpha = top + bottom * (1 - top)
    colors = (above[..., :3] * top + below[..., :3] * bottom * (1 - top)) / np.where(alpha, alpha, 1)
    return np.round(np.concatenate([colors, alpha * 255], 2)).astype(np.uint8)
