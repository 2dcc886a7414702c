"""A hostile file: its bytes, its name, and the expected outcome."""

import zlib
from dataclasses import dataclass
from typing import Literal

Expected = Literal["thumbnail", "reject", "either"]


@dataclass(frozen=True)
class Sample:
    """A file. `expected` is a thumbnail, a rejection, or either; a rejection has one of `codes`, if there are any."""

    name: str
    data: bytes
    expected: Expected
    codes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the name, so that a failing test does not print megabytes."""
        return self.name


def repeated(data: bytes, times: int) -> bytes:
    """Return a zlib stream of these bytes, this many times, without compressing them more than once.

    Its checksum at the end is wrong, which is noticed after all of it is uncompressed.
    """
    packer = zlib.compressobj(9)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + piece * times + packer.flush()
