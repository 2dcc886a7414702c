"""HEIC sequences whose tables or headers lie about sizes, numbers and places."""

import struct
from collections.abc import Iterator
from functools import cache

from PIL import Image

from tests.hostile.headers import LARGE, LYING
from tests.hostile.samples import Sample
from tests.image.heic_films import REORDERED, film
from tests.image.pictures import textured

SIZE = (96, 64)


@cache
def good_films() -> tuple[bytes, ...]:
    """Return valid sequences: in order, reordered, with alpha, in 10 bits."""
    scenes = [textured(*SIZE).rotate(30 * number) for number in range(5)]
    clear = [scene.convert("RGBA") for scene in scenes[:3]]
    for scene in clear:
        scene.putalpha(Image.linear_gradient("L").resize(SIZE))
    return (
        film(scenes, [100] * 5),
        film(scenes, [100] * 5, references=REORDERED),
        film(clear, [100] * 3),
        film(scenes[:3], [100] * 3, depth=10),
    )


def edited(data: bytes, kind: bytes, at: int, new: bytes) -> bytes:
    """Return a file with bytes replaced in the first box of a kind, from an offset in its body."""
    start = data.index(kind) + 4 + at
    return data[:start] + new + data[start + len(new) :]


@cache
def lying_films() -> tuple[Sample, ...]:
    """Return sequences that are to be rejected if their frames are kept."""
    return tuple(_lying_films())


def _lying_films() -> Iterator[Sample]:
    plain = good_films()[0]
    most = struct.pack(">I", 0xFFFFFFFF)
    yield Sample("film-65535-pixels", edited(plain, b"hvc1", 24, b"\xff" * 4), "reject", LARGE)
    yield Sample("film-0-pixels", edited(plain, b"hvc1", 24, bytes(4)), "reject", LYING)
    yield Sample("film-2-32-frames", edited(plain, b"stsz", 8, most), "reject", ("too_many_frames",))
    yield Sample("film-400-frames", edited(plain, b"stsz", 8, struct.pack(">I", 400)), "reject", LYING)
    yield Sample("film-frames-of-4-gb", edited(plain, b"stsz", 4, most), "reject", LYING)
    yield Sample("film-first-frame-of-4-gb", edited(plain, b"stsz", 12, most), "reject", LYING)
    yield Sample("film-chunks-of-2-32", edited(edited(plain, b"stsc", 12, most), b"stsz", 12, most), "reject", LYING)
    yield Sample("film-2-32-chunks", edited(edited(plain, b"stco", 4, most), b"stsc", 12, bytes(4)), "reject", LYING)
    yield Sample("film-beyond-its-end", edited(plain, b"stco", 8, most), "reject", LYING)
    yield Sample("film-within-its-header", edited(plain, b"stco", 8, bytes(4)), "reject", LYING)
    yield Sample("film-2-32-durations", edited(plain, b"stts", 4, most), "either", LYING)
    yield Sample("film-durations-of-2-32", edited(plain, b"stts", 12, most), "thumbnail")
    yield Sample("film-2-32-parameters", edited(plain, b"hvcC", 22, b"\xff" * 4), "reject", LYING)
    yield Sample("film-parameters-of-64-kb", edited(plain, b"hvcC", 26, b"\xff\xff"), "reject", LYING)
    large = film([Image.new("RGB", (4096, 2304), shade) for shade in ("red", "blue")], [100, 100])
    yield Sample("film-larger-than-it-says", edited(large, b"hvc1", 24, struct.pack(">HH", *SIZE)), "reject", LYING)
    alpha = good_films()[2]
    second = alpha.index(b"hvc1", alpha.index(b"auxv"))
    huge = alpha[: second + 28] + b"\xff" * 4 + alpha[second + 32 :]
    yield Sample("film-with-alpha-of-65535-pixels", huge, "reject", (*LYING, "unsupported_format"))
    fewer = alpha.index(b"stsz", second)
    yield Sample(
        "film-with-less-alpha", alpha[: fewer + 12] + struct.pack(">I", 1) + alpha[fewer + 16 :], "reject", LYING
    )
