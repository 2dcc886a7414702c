"""Ways for an upload into a source: straight to S3 by a presigned request, else by a URL of ours that works once."""

from __future__ import annotations

import secrets
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final, Protocol

from thumbsmith.errors import StoreError
from thumbsmith.store import Headers, Store
from thumbsmith.store.folder import FolderStore
from thumbsmith.store.s3 import S3Store
from thumbsmith.web.presigned import Grant, presigned_put

# URLs given out and not used yet; the oldest is taken back for a new one.
_MAX_OPEN: Final = 10_000


class Writer(Protocol):
    """A file that is written piece by piece and takes its place in the store once it is whole."""

    def write(self, piece: bytes) -> None:
        """Append a piece. Raises StoreError."""
        ...

    def commit(self, *, replace: bool) -> bool:
        """Put it into its place; return False where one is that may not be replaced. Raises StoreError."""
        ...

    def close(self) -> None:
        """Let go of it; what was not committed is gone."""
        ...


@dataclass(slots=True)
class Tickets:
    """Grants by the secret in their URL. Each is given back once."""

    _open: OrderedDict[str, Grant] = field(default_factory=OrderedDict)  # in the order in which they run out
    _keys: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def issue(self, grant: Grant) -> str:
        """Return a secret for the grant."""
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            self._open[ticket] = grant
            self._keys[grant.key] += 1
            while len(self._open) > _MAX_OPEN:
                self._forget(next(iter(self._open)))
        return ticket

    def peek(self, ticket: str) -> Grant | None:
        """Return the grant, or None where it was never given, was used, or has run out."""
        with self._lock:
            grant = self._open.get(ticket)
        return grant if grant and time.time() < grant.until else None

    def use(self, ticket: str) -> Grant | None:
        """Return the grant and forget it, or None as `peek` does."""
        with self._lock:
            grant = self._forget(ticket)
        return grant if grant and time.time() < grant.until else None

    def holds(self, key: str) -> bool:
        """Return whether an upload under this key is still open."""
        now = time.time()
        with self._lock:
            while self._open and next(iter(self._open.values())).until <= now:
                self._forget(next(iter(self._open)))
            return key in self._keys

    def _forget(self, ticket: str) -> Grant | None:
        grant = self._open.pop(ticket, None)
        if grant:
            self._keys[grant.key] -= 1
            if not self._keys[grant.key]:
                del self._keys[grant.key]
        return grant


@dataclass(slots=True)
class Collected:
    """A file for a store that takes objects whole: memory."""

    store: Store
    key: str
    type: str
    _pieces: list[bytes] = field(default_factory=list)

    def write(self, piece: bytes) -> None:
        """Keep the piece."""
        self._pieces.append(piece)

    def commit(self, *, replace: bool) -> bool:
        """Store all of it, unless there is an object already that may not be replaced."""
        if not replace and self.store.head(self.key):
            return False
        self.store.put(self.key, b"".join(self._pieces), Headers(content_type=self.type))
        return True

    def close(self) -> None:
        """Forget the pieces."""
        self._pieces.clear()


def writer(store: Store, grant: Grant) -> Writer:
    """Return a file to write into the store. Raises StoreError."""
    return store.receive(grant.key) if isinstance(store, FolderStore) else Collected(store, grant.key, grant.type)


def can_hold(store: Store, key: str) -> bool:
    """Return whether an object can have this key in the store."""
    if not 0 < len(key.encode()) <= store.longest_key:
        return False
    if not isinstance(store, FolderStore):
        return True
    # NAME_MAX of the file systems there are: https://man7.org/linux/man-pages/man7/path_resolution.7.html
    return bool(store.naming.places(key)) and all(len(part.encode()) <= 255 for part in key.split("/"))


def granted(store: Store, tickets: Tickets, grant: Grant, seconds: int) -> dict[str, Any]:
    """Return how the upload is to be made: method, URL, headers. Raises StoreError."""
    if isinstance(store, S3Store):
        presigned = presigned_put(store, grant, seconds)
        return {"method": "PUT", "url": presigned.url, "headers": dict(presigned.headers)}
    return {
        "method": "PUT",
        "url": f"/uploads/{tickets.issue(grant)}",
        "headers": {"Content-Type": grant.type},
    }


def free_key(store: Store, tickets: Tickets, name: str) -> str:
    """Return the name, or where it is taken the same with a number before its extension. Raises StoreError."""
    folder, slash, last = name.rpartition("/")
    stem, dot, extension = last.rpartition(".")
    if not stem:
        stem, dot, extension = last, "", ""
    for number in range(1, 100):
        key = name if number == 1 else f"{folder}{slash}{stem}-{number}{dot}{extension}"
        if not tickets.holds(key) and not store.head(key):
            return key
    return f"{folder}{slash}{stem}-{secrets.token_hex(6)}{dot}{extension}"


def conflict(error: StoreError) -> bool:
    """Return whether the store cannot hold the file where it belongs, whatever is tried."""
    return not error.transient
