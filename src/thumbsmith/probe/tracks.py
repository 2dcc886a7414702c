"""The tracks of an image sequence: an animated AVIF. ISO/IEC 14496-12, section 8."""

from __future__ import annotations

from dataclasses import dataclass

from thumbsmith.probe.isobmff import Box, boxes, find, is_alpha
from thumbsmith.probe.window import Window


@dataclass(frozen=True, slots=True)
class Track:
    """One track of AV1 pictures. `auxiliary` says that it belongs to another, `alpha` that it is its alpha."""

    width: int
    height: int
    frames: int
    auxiliary: bool
    alpha: bool
    configuration: tuple[Box, ...]


def read_tracks(moov: Window) -> tuple[Track, ...]:
    """Return the tracks of AV1 pictures in the body of a `moov` box. Raises Rejected(corrupt) for a broken one."""
    tracks = (_track(box.body) for box in boxes(moov) if box.kind == b"trak")
    return tuple(track for track in tracks if track)


def _track(body: Window) -> Track | None:
    header, table = find(body, b"tkhd"), find(body, b"mdia", b"minf", b"stbl")
    samples = (find(table, b"stsz") or find(table, b"stz2")) if table else None
    description = find(table, b"stsd") if table else None
    entry = next(boxes(description, 8), None) if description else None
    if header is None or samples is None or entry is None or entry.kind != b"av01":
        return None
    width, height = header.unpack(">II", 88 if header.byte(0) == 1 else 76)
    configuration = tuple(boxes(entry.body, 78))
    auxiliary = find(body, b"tref", b"auxl") is not None
    return Track(
        width=width >> 16,  # a fixed-point number, 16 bits on each side
        height=height >> 16,
        frames=samples.unpack(">I", 8)[0],
        auxiliary=auxiliary,
        alpha=auxiliary and any(box.kind == b"auxi" and is_alpha(box.body) for box in configuration),
        configuration=configuration,
    )
