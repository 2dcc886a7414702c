"""Tracks of pictures in an AVIF or HEIC: their descriptions, and the places and times of their samples.

A sample is one coded picture. ISO/IEC 14496-12, section 8, and 23008-12, section 7.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise, repeat
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Window
from thumbsmith.image.containers.isobmff import Box, boxes, find, is_alpha

# Bytes of a VisualSampleEntry before its boxes, and the offset of width and height in it (12.1.3).
SAMPLE_ENTRY_BYTES: Final = 78
_CODED_SIZE_OFFSET: Final = 24

# Bytes of a box before the entries of its table: version, flags, and their number.
_TABLE_HEADER: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One track of images. An `auxiliary` track belongs to another; with `alpha` it is the alpha of that track.

    `table` and `media` are the bodies of its `stbl` and `mdhd`; `matrix` are the numbers a, b, c, d of its matrix.
    """

    width: int
    height: int
    coded_size: tuple[int, int]
    frames: int
    auxiliary: bool
    alpha: bool
    premultiplied: bool
    configuration: tuple[Box, ...]
    matrix: tuple[int, ...]
    table: Window
    media: Window


def read_tracks(moov: Window, codecs: frozenset[bytes]) -> tuple[Track, ...]:
    """Return the tracks with these sample entries in the body of a `moov` box. Raises Rejected(corrupt), ShortRead."""
    tracks = (_read_track(box.body, codecs) for box in boxes(moov) if box.kind == b"trak")
    return tuple(track for track in tracks if track)


def _read_track(body: Window, codecs: frozenset[bytes]) -> Track | None:
    header, media, table = find(body, b"tkhd"), find(body, b"mdia", b"mdhd"), find(body, b"mdia", b"minf", b"stbl")
    samples = (find(table, b"stsz") or find(table, b"stz2")) if table else None
    description = find(table, b"stsd") if table else None
    entry = next(boxes(description, _TABLE_HEADER), None) if description else None
    if header is None or table is None or samples is None or entry is None or entry.kind not in codecs:
        return None
    numbers = header.unpack(">9iII", 52 if header.byte(0) == 1 else 40)
    coded_width, coded_height = entry.body.unpack(">HH", _CODED_SIZE_OFFSET)
    configuration = tuple(boxes(entry.body, SAMPLE_ENTRY_BYTES))
    auxiliary = find(body, b"tref", b"auxl") is not None
    return Track(
        width=numbers[9] >> 16,  # fixed point, 16.16 bits
        height=numbers[10] >> 16,
        coded_size=(coded_width, coded_height),
        frames=samples.unpack(">I", 8)[0],
        auxiliary=auxiliary,
        alpha=auxiliary and any(box.kind == b"auxi" and is_alpha(box.body) for box in configuration),
        premultiplied=find(body, b"tref", b"prem") is not None,
        configuration=configuration,
        matrix=(numbers[0], numbers[1], numbers[3], numbers[4]),
        table=table,
        media=media or body.window(body.size),
    )


def read_sample_places(track: Track, count: int) -> tuple[tuple[int, int], ...]:
    """Return offset in the file and length of the first `count` samples.

    Raises Rejected(corrupt) for tables that end too early, ShortRead.
    """
    found: list[tuple[int, int]] = []
    sizes = _sizes(track.table)
    for offset, samples in _chunks(track.table):
        for length in islice(sizes, min(samples, count - len(found))):
            found.append((offset, length))
            offset += length  # noqa: PLW2901 - samples of a chunk follow each other
        if len(found) == count:
            return tuple(found)
    raise Rejected(Code.CORRUPT, f"the file places {len(found)} of {count} frames")


def read_durations(track: Track, count: int) -> tuple[float, ...]:
    """Return the milliseconds for which the first `count` samples are shown, in the order of their display.

    Raises Rejected(corrupt) for a time scale of 0, or tables that end too early; ShortRead.
    """
    long = track.media.byte(0) == 1
    (scale,) = track.media.unpack(">I", 20 if long else 12)
    deltas = _runs(track.table, b"stts", count, signed=False)
    shifts = _runs(track.table, b"ctts", count, signed=True) if find(track.table, b"ctts") else [0] * count
    if not scale or len(deltas) < count or len(shifts) < count:
        raise Rejected(Code.CORRUPT, "the file does not say how long its frames are shown")
    starts = accumulate(deltas[:-1], initial=0)
    shown = sorted((start + shift, delta) for start, shift, delta in zip(starts, shifts, deltas, strict=True))
    times = [time for time, _ in shown] + [shown[-1][0] + shown[-1][1]]
    return tuple(1000 * (after - before) / scale for before, after in pairwise(times))


def _sizes(table: Window) -> Iterator[int]:
    """Yield the length of each sample, from `stsz` or `stz2` (8.7.3)."""
    plain, compact = find(table, b"stsz"), find(table, b"stz2")
    if plain:
        fixed, count = plain.unpack(">II", 4)
        yield from repeat(fixed, count) if fixed else (plain.unpack(">I", 12 + 4 * each)[0] for each in range(count))
    elif compact:
        bits, count = compact.byte(7), compact.unpack(">I", 8)[0]
        if bits not in (4, 8, 16):
            raise Rejected(Code.CORRUPT, f"sizes of frames have {bits} bits")
        for each in range(count):
            if bits == 16:
                yield compact.unpack(">H", 12 + 2 * each)[0]
            else:
                byte = compact.byte(12 + each * bits // 8)
                yield byte if bits == 8 else (byte & 15 if each % 2 else byte >> 4)


def _chunks(table: Window) -> Iterator[tuple[int, int]]:
    """Yield the offset of each chunk, and the number of its samples (8.7.4 and 8.7.5)."""
    groups, short, long = find(table, b"stsc"), find(table, b"stco"), find(table, b"co64")
    offsets, layout, width = (short, ">I", 4) if short else (long, ">Q", 8)
    if groups is None or offsets is None:
        raise Rejected(Code.CORRUPT, "the file does not say where its frames are")
    (number,), (count,) = groups.unpack(">I", 4), offsets.unpack(">I", 4)
    index, samples, next_group = 0, 0, 1
    for chunk in range(1, count + 1):
        while index < number and chunk >= next_group:
            _, samples, _ = groups.unpack(">III", _TABLE_HEADER + 12 * index)
            index += 1
            next_group = groups.unpack(">I", _TABLE_HEADER + 12 * index)[0] if index < number else count + 1
        yield offsets.unpack(layout, _TABLE_HEADER + width * (chunk - 1))[0], samples


def _runs(table: Window, kind: bytes, count: int, *, signed: bool) -> list[int]:
    """Return the values of a table of runs (`stts`, `ctts`, 8.6.1), at most `count` of them.

    Numbers of `ctts` have a sign in version 1. Many files of version 0 have one too.
    """
    body = find(table, kind)
    found: list[int] = []
    for index in range(body.unpack(">I", 4)[0] if body else 0):
        if body is None or len(found) >= count:
            break
        repeats, value = body.unpack(">Ii" if signed else ">II", _TABLE_HEADER + 8 * index)
        found += [value] * min(repeats, count - len(found))
    return found
