"""The record of what `make` wrote, by which it recognizes its own thumbnails later, under any name.

A thumbnail has no mark in its file. So the size and the digest of each file are kept in the user's cache folder. The
record is only a help: without it, `make` recognizes thumbnails by their names (make_images.py).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from thumbsmith.environment import cache_folder
from thumbsmith.reader import RangeReader

# Files of 50 bytes for each thumbnail. A larger record loses its older half.
MAX_RECORD_BYTES: Final = 8 << 20


class Record:
    """Sizes and digests of files that `make` wrote on this machine, in a file; in memory only for None."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._known: dict[int, set[str]] = {}
        self._new: list[str] = []
        for line in self._lines():
            size, _, digest = line.partition(" ")
            if size.isdecimal():
                self._known.setdefault(int(size), set()).add(digest)

    @classmethod
    def of_user(cls) -> Record:
        """Return the record in the user's cache folder."""
        folder = cache_folder()
        return cls(Path(folder, "thumbsmith", "made") if folder else None)

    def add(self, data: bytes, source: RangeReader) -> None:
        """Record a thumbnail with this content, unless it is the same file as its source, which stays an image."""
        if len(data) != source.size or data != source.read(0, source.size):
            self._new.append(f"{len(data)} {_digest(data)}")

    def has(self, path: Path) -> bool:
        """Return whether `make` wrote a file with this content. Only files of a recorded size are read."""
        try:
            digests = self._known.get(path.stat().st_size)
            return digests is not None and _digest(path.read_bytes()) in digests
        except OSError:  # the command reports it when it opens the file
            return False

    def save(self) -> None:
        """Write what was added. A record that cannot be written is not an error."""
        if not self._new or self._file is None:
            return
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            if self._file.exists() and self._file.stat().st_size > MAX_RECORD_BYTES:
                lines = self._lines()
                self._file.write_text("".join(f"{line}\n" for line in lines[len(lines) // 2 :]), encoding="ascii")
            with self._file.open("a", encoding="ascii") as file:
                file.write("".join(f"{line}\n" for line in self._new))

    def _lines(self) -> list[str]:
        try:
            return self._file.read_text(encoding="ascii").splitlines() if self._file else []
        except (OSError, UnicodeDecodeError):
            return []


def _digest(data: bytes) -> str:
    import hashlib  # noqa: PLC0415 - it loads OpenSSL, and a first run reads no file

    return hashlib.blake2b(data, digest_size=16).hexdigest()
