"""Range readers: how parts of an object are read, from any store, from memory or from a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Protocol, TypeAlias, cast

from thumbsmith.errors import UsageError


class RangeReader(Protocol):
    """Reads ranges of bytes from one version of one object.

    When the object is replaced or deleted, `read` raises SourceChanged. It never mixes two versions.
    """

    @property
    def size(self) -> int:
        """Return the size of the whole object in bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`, or fewer at the end of the object.

        Raises StoreError if the store fails, and SourceChanged if the object was replaced or deleted.
        """
        ...


@dataclass(frozen=True, slots=True)
class BytesReader:
    """A range reader of bytes in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """Return the size in bytes."""
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        """Return at most `length` bytes from `offset`."""
        return self.data[offset : offset + length]


@dataclass(frozen=True, slots=True)
class FileReader:
    """A range reader of a binary file that can seek. `size` is in bytes."""

    file: BinaryIO
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Return at most `length` bytes from `offset`. Raises OSError."""
        self.file.seek(offset)
        return self.file.read(length)


# What `render` reads an image from. A text is the path of a file.
Image: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO | RangeReader


@contextmanager
def opened(image: Image, max_bytes: int) -> Iterator[RangeReader]:
    """Yield a reader of bytes, of a file by its path, of an open binary file, or of a reader.

    Of a file that cannot seek, such as a pipe, at most `max_bytes` and one more are read. The position in a file that
    can seek stays as it was. Raises OSError for a file that cannot be read, and UsageError for any other value.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        yield BytesReader(bytes(image))
    elif isinstance(image, str | os.PathLike):
        with open(image, "rb") as file:  # noqa: PTH123 - pathlib is loaded where it is needed
            yield FileReader(file, os.fstat(file.fileno()).st_size)
    elif hasattr(image, "seek") and hasattr(image, "read"):
        with _of_file(cast("BinaryIO", image), max_bytes) as reader:
            yield reader
    elif hasattr(image, "size") and hasattr(image, "read"):
        yield cast("RangeReader", image)
    else:
        raise UsageError(
            f"expected the bytes of an image, a path, an open binary file or a range reader, found"
            f" {type(image).__name__}"
        )


@contextmanager
def _of_file(file: BinaryIO, max_bytes: int) -> Iterator[RangeReader]:
    if not isinstance(file.read(0), bytes):
        raise UsageError("expected a file that is opened in binary mode, found one in text mode")
    if not file.seekable():
        yield BytesReader(file.read(max_bytes + 1))
        return
    position = file.tell()
    try:
        file.seek(0, os.SEEK_END)
        yield FileReader(file, file.tell())
    finally:
        file.seek(position)
