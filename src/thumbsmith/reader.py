"""Range readers: how bytes of one source are asked for, wherever they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class RangeReader(Protocol):
    """Bytes of one version of one object, read by ranges.

    `size` is the number of bytes in the whole object. A reader stays on the version that it was opened on:
    when the object is replaced or removed meanwhile, `read` raises `SourceChanged` instead of mixing two versions.
    """

    @property
    def size(self) -> int:
        """Return the number of bytes in the whole object."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from `offset`, `length` of them, or fewer where the object ends.

        Raises StoreError when the store fails, SourceChanged when the object is no longer the one opened.
        """
        ...


@dataclass(frozen=True, slots=True)
class BytesReader:
    """A range reader over bytes in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        """Return the slice from `offset`, at most `length` bytes."""
        return self.data[offset : offset + length]
