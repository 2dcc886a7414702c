"""Permissions to upload one file: straight to S3 by a presigned request, or to a one-time URL of this server."""

from __future__ import annotations

import secrets
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Final

from thumbsmith.store import Store

# The number of one-time URLs that are valid at once. The oldest is dropped for a new one.
_MAX_OPEN_TICKETS: Final = 10_000

# A name that is taken gets the first free number up to this one. After that it gets random characters.
_MAX_NAME_NUMBER: Final = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file that a client may upload. `expires` is in seconds since 1970."""

    key: str
    type: str
    bytes: int
    replace: bool
    expires: float


def grant_upload(store: Store, tickets: Tickets, upload: Upload, seconds: int) -> tuple[Upload, dict[str, Any]]:
    """Return the upload with a free key, and the request that makes it: method, URL and headers. Raises StoreError.

    The request is valid for `seconds`.
    """
    if not upload.replace:
        upload = replace(upload, key=_free_key(store, tickets, upload.key))
    presigned = store.presigned_put(upload.key, upload.type, upload.bytes, replace=upload.replace, seconds=seconds)
    if presigned:
        return upload, {"method": "PUT", "url": presigned.url, "headers": dict(presigned.headers)}
    url = f"/uploads/{tickets.issue(upload)}"
    return upload, {"method": "PUT", "url": url, "headers": {"Content-Type": upload.type}}


def _free_key(store: Store, tickets: Tickets, name: str) -> str:
    """Return the name, with a number before its extension if an image or an open upload has it. Raises StoreError."""
    folder, slash, last = name.rpartition("/")
    stem, dot, extension = last.rpartition(".")
    if not stem:
        stem, dot, extension = last, "", ""
    for number in range(1, _MAX_NAME_NUMBER + 1):
        key = name if number == 1 else f"{folder}{slash}{stem}-{number}{dot}{extension}"
        if not tickets.has_key(key) and not store.head(key):
            return key
    return f"{folder}{slash}{stem}-{secrets.token_hex(6)}{dot}{extension}"


@dataclass(slots=True)
class Tickets:
    """Uploads by the secret in their one-time URL. May be used by several threads."""

    _open: OrderedDict[str, Upload] = field(default_factory=OrderedDict)  # in the order in which they expire
    _keys: Counter[str] = field(default_factory=Counter)
    _in_use: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def issue(self, upload: Upload) -> str:
        """Return a new secret for the upload."""
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            self._open[ticket] = upload
            self._keys[upload.key] += 1
            while len(self._open) > _MAX_OPEN_TICKETS:
                self._remove(next(iter(self._open)))
        return ticket

    def find(self, ticket: str) -> Upload | None:
        """Return the upload, or None if the ticket was never issued, was used, or has expired."""
        with self._lock:
            upload = self._open.get(ticket)
        return upload if upload and time.time() < upload.expires else None

    def reserve(self, ticket: str) -> bool:
        """Reserve the ticket for one request; return whether it is valid and no other request has it."""
        if self.find(ticket) is None:
            return False
        with self._lock:
            is_free = ticket not in self._in_use
            self._in_use.add(ticket)
        return is_free

    def give_back(self, ticket: str) -> None:
        """Make a reserved ticket usable again: its upload failed."""
        with self._lock:
            self._in_use.discard(ticket)

    def finish(self, ticket: str) -> None:
        """Make a reserved ticket invalid: its upload is complete."""
        with self._lock:
            self._remove(ticket)

    def has_key(self, key: str) -> bool:
        """Return whether there is a valid ticket for an upload with this key."""
        now = time.time()
        with self._lock:
            while self._open and next(iter(self._open.values())).expires <= now:
                self._remove(next(iter(self._open)))
            return key in self._keys

    def _remove(self, ticket: str) -> Upload | None:
        upload = self._open.pop(ticket, None)
        self._in_use.discard(ticket)
        if upload:
            self._keys[upload.key] -= 1
            if not self._keys[upload.key]:
                del self._keys[upload.key]
        return upload
