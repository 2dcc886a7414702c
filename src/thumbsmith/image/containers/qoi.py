"""QOI: size and channels. https://qoiformat.org/qoi-specification.pdf."""

from __future__ import annotations

from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe, Window

_RGB, _RGBA = 3, 4
HEADER_BYTES: Final = 14


def read(data: Window) -> Probe:
    """Return what the header of a QOI says. Raises Rejected(corrupt), ShortRead."""
    width, height, channels, _ = data.unpack(">IIBB", 4)
    if not (width and height) or channels not in (_RGB, _RGBA):
        raise Rejected(Code.CORRUPT, f"the QOI claims to be {width} x {height} with {channels} channels")
    return Probe(format="qoi", bytes=data.size, width=width, height=height, channels=channels, alpha=channels == _RGBA)
