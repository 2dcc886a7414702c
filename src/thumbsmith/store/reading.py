"""A reader over one version of a file, and what tells versions apart."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from io import FileIO

from thumbsmith.errors import SourceChanged
from thumbsmith.store.failures import failing, shown
from thumbsmith.store.types import ObjectInfo


def info(key: str, found: os.stat_result) -> ObjectInfo:
    """Return the object that a file with this status is. Its etag is another one after anything was written to it.

    A file that is replaced has another inode number, or the same one at another time; one that is written to has other
    times, of which ctime cannot be set back. So a change of owner or mode counts as well; that the bytes are
    the same then, a digest has to tell. Two versions that were
    written within one tick of the file system's clock, in place and of one size, are taken for one.
    """
    identity = f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
    return ObjectInfo(key, hashlib.sha256(identity.encode()).hexdigest()[:32], found.st_size)


@dataclass(frozen=True, slots=True)
class OpenFile:
    """One version of a file. It stays readable when the file is replaced or removed, not when it is written to."""

    info: ObjectInfo
    _file: FileIO
    _opened: os.stat_result

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return self.info.size

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from `offset`, `length` of them, or fewer where the object ends.

        Raises SourceChanged when the file was written to since it was opened, StoreError when it cannot be read.
        """
        with failing(self.info.key):
            content = self._pread(offset, min(length, self.size - offset))
            changed = self._is_changed(os.fstat(self._file.fileno()))
        if changed:
            raise SourceChanged(f"{shown(self.info.key)}: written to while it was read")
        return content

    def close(self) -> None:
        """Let go of the file. Safe to repeat."""
        self._file.close()

    def _pread(self, offset: int, length: int) -> bytes:
        pieces: list[bytes] = []
        while length > 0 and (piece := os.pread(self._file.fileno(), length, offset)):
            pieces.append(piece)
            offset += len(piece)
            length -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _is_changed(self, now: os.stat_result) -> bool:
        if (now.st_size, now.st_mtime_ns) != (self._opened.st_size, self._opened.st_mtime_ns):
            return True
        # To be replaced by a rename, or to be removed, takes a link away, and that too moves ctime.
        return now.st_ctime_ns != self._opened.st_ctime_ns and now.st_nlink == self._opened.st_nlink
