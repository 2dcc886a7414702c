"""A HEIC sequence: tracks of HEVC pictures. The first picture is described like items. ISO/IEC 23008-12, section 7."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from thumbsmith.image.containers.base import Window
from thumbsmith.image.containers.isobmff import Box, Place, find_description
from thumbsmith.image.containers.items import Items
from thumbsmith.image.containers.tracks import Track, read_sample_places, read_tracks
from thumbsmith.reader import BytesReader

# Major brands of files that are meant to be shown as a sequence, although they may also contain a still image.
_BRANDS: Final = frozenset({b"msf1", b"hevc", b"hevx", b"hevm", b"hevs"})

_CODECS: Final = frozenset({b"hvc1", b"hev1"})

# Properties of a sample entry that mean the same for an item.
_PROPERTIES: Final = frozenset({b"hvcC", b"colr", b"pixi", b"clap", b"auxi"})

# The matrix of a track (a, b, c, d, without their fractions) -> the same as properties of an item.
_ORIENTATIONS: Final[Mapping[tuple[int, ...], tuple[tuple[bytes, int], ...]]] = {
    (0, 1, -1, 0): ((b"irot", 3),),
    (-1, 0, 0, -1): ((b"irot", 2),),
    (0, -1, 1, 0): ((b"irot", 1),),
    (-1, 0, 0, 1): ((b"imir", 1),),
    (1, 0, 0, -1): ((b"imir", 0),),
    (0, 1, 1, 0): ((b"irot", 1), (b"imir", 0)),
    (0, -1, -1, 0): ((b"irot", 1), (b"imir", 1)),
}


@dataclass(frozen=True, slots=True)
class HeicSequence:
    """The tracks of colors and of alpha, and the first picture of both: item 1, whose alpha is item 2."""

    colors: Track
    alpha: Track | None
    first: Items


def read_sequence(file: Window) -> HeicSequence | None:
    """Return the sequence of a HEIC file, None if its still image comes first.

    A still image comes first unless the major brand is one of sequences. Raises Rejected(corrupt), ShortRead.
    """
    if file.read(8, 4) not in _BRANDS and find_description(file, b"meta"):
        return None
    moov = find_description(file, b"moov")
    if moov is None:
        return None
    # The description gets a buffer of its own: it may be far from the frames.
    tracks = read_tracks(Window.over(BytesReader(moov.read_all())), _CODECS)
    colors = next((track for track in tracks if not track.auxiliary and track.frames), None)
    if colors is None:
        return None
    alpha = next((track for track in tracks if track.alpha and track.frames), None)
    return HeicSequence(colors, alpha, _first(file, colors, alpha))


def _first(file: Window, colors: Track, alpha: Track | None) -> Items:
    both = [colors, *([alpha] if alpha else [])]
    properties = {item: _properties(track) for item, track in enumerate(both, 1)}
    orientation = _ORIENTATIONS.get(tuple(number >> 16 for number in colors.matrix), ())
    properties[1] += tuple(Box(kind, _window(bytes((value,)))) for kind, value in orientation)
    return Items(
        file,
        primary=1,
        properties=properties,
        references=((b"prem", 1, (2,)),) if colors.premultiplied else (),
        alphas={1: 2} if alpha else {},
        kinds=dict.fromkeys(properties, b"hvc1"),
        places={item: Place(0, False, read_sample_places(track, 1)) for item, track in enumerate(both, 1)},
    )


def _properties(track: Track) -> tuple[Box, ...]:
    size = Box(b"ispe", _window(struct.pack(">4xII", *track.coded_size)))
    return (size, *(each for each in track.configuration if each.kind in _PROPERTIES))


def _window(content: bytes) -> Window:
    return Window.over(BytesReader(content))
