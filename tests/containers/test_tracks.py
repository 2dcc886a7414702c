"""Places and times of the samples of a track, from every kind of table."""

import struct

import pytest

from tests.containers.files import box
from thumbsmith.errors import Rejected
from thumbsmith.image.containers.base import Window
from thumbsmith.image.containers.tracks import Track, read_durations, read_sample_places, read_tracks
from thumbsmith.reader import BytesReader

SIZES = (10, 3, 200, 7, 90, 5, 15)


def full(kind: bytes, *parts: bytes, version: int = 0) -> bytes:
    """Return a box with a version and no flags."""
    return box(kind, bytes((version, 0, 0, 0)), *parts)


def stsz(sizes=SIZES, fixed: int = 0) -> bytes:
    """Return the table of sizes in 32 bits, or of one size for all."""
    return full(
        b"stsz", struct.pack(">II", fixed, len(sizes)), *(struct.pack(">I", each) for each in sizes if not fixed)
    )


def stz2(bits: int, sizes) -> bytes:
    """Return the table of sizes in 4, 8 or 16 bits."""
    packed = {
        4: lambda: bytes(high << 4 | low for high, low in zip(sizes[::2], [*sizes[1::2], 0], strict=False)),
        8: lambda: bytes(sizes),
        16: lambda: struct.pack(f">{len(sizes)}H", *sizes),
    }
    data = packed[bits]() if bits in packed else b""
    return full(b"stz2", bytes((0, 0, 0, bits)), struct.pack(">I", len(sizes)), data)


def stsc(*groups: tuple[int, int]) -> bytes:
    """Return the table of chunks: the first chunk of each group, and the samples of one chunk."""
    return full(b"stsc", struct.pack(">I", len(groups)), *(struct.pack(">III", *each, 1) for each in groups))


def chunks(*offsets: int, long: bool = False) -> bytes:
    """Return the table of offsets of chunks."""
    layout = ">Q" if long else ">I"
    entries = (struct.pack(layout, each) for each in offsets)
    return full(b"co64" if long else b"stco", struct.pack(">I", len(offsets)), *entries)


def runs(kind: bytes, *entries: tuple[int, int], version: int = 0) -> bytes:
    """Return a table of runs: number and value."""
    return full(
        kind, struct.pack(">I", len(entries)), *(struct.pack(">Ii", *each) for each in entries), version=version
    )


def track(*tables: bytes, scale: int = 1000, version: int = 0) -> Track:
    """Return a track with these tables."""
    times = struct.pack(">QQI" if version else ">III", 0, 0, scale)
    entry = box(b"hvc1", bytes(24), struct.pack(">HH", 64, 48), bytes(50), box(b"hvcC", bytes(23)))
    table = box(b"stbl", full(b"stsd", struct.pack(">I", 1), entry), *tables)
    media = box(b"mdia", full(b"mdhd", times, bytes(8), version=version), box(b"minf", table))
    header = full(b"tkhd", bytes(80 if version else 68), struct.pack(">4xII", 64 << 16, 48 << 16), version=version)
    moov = Window.over(BytesReader(box(b"trak", header, media)))
    (found,) = read_tracks(moov, frozenset({b"hvc1"}))
    return found


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize(
    ("groups", "offsets", "expected"),
    [
        ([(1, 7)], [1000], [1000, 1010, 1013, 1213, 1220, 1310, 1315]),
        ([(1, 1)], range(100, 800, 100), [100, 200, 300, 400, 500, 600, 700]),
        ([(1, 3), (2, 1), (4, 9)], [900, 500, 700, 100], [900, 910, 913, 500, 700, 100, 105]),
        ([(1, 0), (2, 7)], [5, 1000], [1000, 1010, 1013, 1213, 1220, 1310, 1315]),
    ],
)
def test_samples_follow_each_other_in_chunks(groups, offsets, expected, long):
    """Chunks have any number of samples, by groups of chunks, and any place in the file."""
    found = read_sample_places(track(stsz(), stsc(*groups), chunks(*offsets, long=long)), len(SIZES))
    assert found == tuple(zip(expected, SIZES, strict=True))
    assert read_sample_places(track(stsz(), stsc(*groups), chunks(*offsets, long=long)), 1) == found[:1]


@pytest.mark.parametrize(("bits", "sizes"), [(4, (1, 15, 7, 9, 3)), (8, (1, 255, 7)), (16, (1, 65535, 300))])
def test_sizes_may_have_few_bits(bits: int, sizes: tuple[int, ...]):
    """Sizes have 4, 8 or 16 bits, two of 4 bits in a byte."""
    found = track(stz2(bits, sizes), stsc((1, 9)), chunks(40))
    assert tuple(length for _, length in read_sample_places(found, len(sizes))) == sizes
    assert found.frames == len(sizes)


def test_all_samples_may_have_one_size():
    """The header of the table may have one size for all samples."""
    found = read_sample_places(track(stsz(SIZES, fixed=50), stsc((1, 9)), chunks(40)), 3)
    assert found == ((40, 50), (90, 50), (140, 50))


@pytest.mark.parametrize(
    "tables",
    [
        (stsz(), stsc((1, 3)), chunks(40)),
        (stsz(), stsc(), chunks(40)),
        (stsz(), stsc((1, 9)), chunks()),
        (stsz(), chunks(40)),
        (stsz(), stsc((1, 9))),
        (stz2(5, SIZES), stsc((1, 9)), chunks(40)),
        (stsz(SIZES[:3]), stsc((1, 9)), chunks(40)),
    ],
)
def test_tables_that_end_too_early_are_corrupt(tables):
    """Missing samples, chunks and tables, and sizes of 5 bits, are corrupt."""
    with pytest.raises(Rejected) as problem:
        read_sample_places(track(*tables), len(SIZES))
    assert problem.value.code.value == "corrupt"


@pytest.mark.parametrize("version", [0, 1])
def test_frames_are_shown_until_the_next_one(version: int):
    """Durations are differences of times of display, in the time scale of the track; the last one is its own."""
    plain = track(stsz(), runs(b"stts", (2, 5), (9, 20)), scale=100, version=version)
    assert read_durations(plain, 4) == (50, 50, 200, 200)
    shifts = runs(b"ctts", (1, 10), (1, 40), (1, -5), (1, 0), version=1)
    reordered = track(stsz(), runs(b"stts", (4, 10)), shifts, scale=1000, version=version)
    assert read_durations(reordered, 4) == (5, 15, 20, 10)  # at 10, 50, 15 and 30


@pytest.mark.parametrize(
    ("tables", "scale"),
    [
        ((), 1000),
        ((runs(b"stts", (3, 5)),), 1000),
        ((runs(b"stts", (9, 5)), runs(b"ctts", (3, 5))), 1000),
        ((runs(b"stts", (9, 5)),), 0),
    ],
)
def test_missing_times_are_corrupt(tables, scale):
    """Tables of times that end too early, and a time scale of 0, are corrupt."""
    with pytest.raises(Rejected):
        read_durations(track(stsz(), *tables, scale=scale), 4)
