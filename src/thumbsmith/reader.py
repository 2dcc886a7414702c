"""Range readers: how parts of an object are read, from any store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


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
