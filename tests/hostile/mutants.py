"""Damaged files: valid ones with random changes, the same ones for the same seed."""

import random
import struct
from collections.abc import Iterator, Sequence

from tests.containers.files import good, pdf, svg
from tests.hostile.bombs import frames_apng, frames_gif, frames_webp, scans_jpeg
from tests.hostile.headers import grid

# Numbers that are written into files: the limits of 8, 16 and 32 bits, signed and unsigned.
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def seeds() -> list[bytes]:
    """Return the files that mutants are made from: valid ones of every kind, and some unusual ones."""
    odd = [frames_gif(5), frames_webp(5), frames_apng(5), scans_jpeg(64, 3, 1), grid(2, 3, 190, 120, 64, 6)]
    return [data for _, data in sorted(good().items())] + odd


# The formats that need care of their own: texts, tables of offsets, and foreign decoders.
NEW_KINDS = ("ico", "jp2", "psd", "qoi", "pnm", "raw", "svg", "pdf")


def new_kinds() -> list[bytes]:
    """Return valid documents, drawings, raw photographs and files of other kinds."""
    drawn = svg(
        '<style>.a{fill:red}</style><defs><linearGradient id="g"><stop stop-color="lime"/></linearGradient>'
        '<mask id="m"><rect width="9" height="9"/></mask><filter id="f"><feGaussianBlur stdDeviation="2"/></filter>'
        '</defs><g mask="url(#m)" transform="rotate(9)"><use xlink:href="#p"/>'
        '<path id="p" d="M1 1L9 9Z" stroke="url(#g)"/></g>'
        '<text x="2" y="20" font-family="Times" filter="url(#f)">text</text>'
    )
    text = pdf(b"BT /H 9 Tf (text) Tj ET q 5 0 0 5 0 0 cm 0 0 m 3 3 4 4 5 5 c S Q", more=[b"0 0 9 9"])
    return [data for name, data in sorted(good().items()) if name.startswith(NEW_KINDS)] + [drawn, text]


def mutants(seed: int, count: int, originals: Sequence[bytes] = ()) -> Iterator[bytes]:
    """Yield this number of damaged files, made from `originals` or by default from `seeds()`."""
    chance = random.Random(seed)
    files = list(originals) or seeds()
    for _ in range(count):
        data = bytearray(chance.choice(files))
        for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
            chance.choice(DAMAGE)(data, chance, files)
        yield bytes(data)


def _flip(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    if data:
        data[_place(data, chance)] ^= 1 << chance.randrange(8)


def _stomp(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    start = _place(data, chance)
    data[start : start + chance.randrange(1, 17)] = chance.randbytes(chance.randrange(1, 17))


def _number(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    """Overwrite a possible size, offset or count with one of the numbers."""
    size, order = chance.choice((1, 2, 4)), chance.choice("<>")
    value = chance.choice(NUMBERS) & (1 << 8 * size) - 1
    start = _place(data, chance)
    data[start : start + size] = struct.pack(order + {1: "B", 2: "H", 4: "I"}[size], value)


def _cut(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    del data[_place(data, chance) :]


def _remove(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    start = _place(data, chance)
    del data[start : start + chance.randrange(1, 64)]


def _repeat(data: bytearray, chance: random.Random, _: list[bytes]) -> None:
    start = _place(data, chance)
    part = bytes(data[start : start + chance.randrange(1, 64)])
    data[start:start] = part * chance.choice((1, 2, 50))


def _splice(data: bytearray, chance: random.Random, files: list[bytes]) -> None:
    """Continue with the bytes of another file, from a random offset."""
    other = chance.choice(files)
    data[_place(data, chance) :] = other[chance.randrange(len(other)) :]


def _place(data: bytearray, chance: random.Random) -> int:
    """Return an offset, half of the time in the first hundred bytes, which contain most of the structure."""
    length = max(1, len(data))
    return chance.randrange(min(100, length)) if chance.random() < 0.5 else chance.randrange(length)


DAMAGE = (_flip, _stomp, _number, _cut, _remove, _repeat, _splice)
