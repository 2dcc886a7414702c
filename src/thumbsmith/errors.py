"""The tree of errors. Each says one thing a caller acts on: whether trying again may help.

    ThumbsmithError
    ├─ Rejected        the source will never give a thumbnail: record it, acknowledge it
    ├─ RecipeError     the recipe, or what was asked, is impossible: say so, stop
    ├─ StoreError      a store did not do what it was asked; `.transient` as the store's answer implies
    │  └─ SourceChanged  the object was replaced or removed while it was read: look again
    ├─ WorkerError     a worker process died or hung for a reason that is not the picture's: retry
    ├─ MissingDecoder  the picture is fine, but the package that reads it is not installed
    └─ Stopped         the user asked to stop before this was done

Which one is raised is decided by the stage that failed, never by the text of somebody else's exception.
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """Why a source was rejected; the stable words of the manifest."""

    EMPTY = "empty"
    UNSUPPORTED_FORMAT = "unsupported_format"
    CORRUPT = "corrupt"
    TRUNCATED = "truncated"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_LONG_SIDE = "too_long_side"
    TOO_MANY_FRAMES = "too_many_frames"
    TOO_MANY_SCANS = "too_many_scans"
    OVER_MEMORY = "over_memory"
    OVER_TIME = "over_time"
    ARCHIVED = "archived"
    UNSUPPORTED_KEY = "unsupported_key"
    KEY_TOO_LONG = "key_too_long"


class ThumbsmithError(Exception):
    """Something went wrong that has a name. `transient` says whether trying again may help."""

    transient: bool = False

    def about(self, key: str) -> str:
        """Return the message for a line that names the key already: without the key at its beginning."""
        message = str(self)
        for name in (key, key.removesuffix("/"), ascii(key)):
            message = message.removeprefix(f"{name}: ")
        return message


class Rejected(ThumbsmithError):
    """The source will never give a thumbnail. `code` is stable; `detail` is one sentence for people."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class RecipeError(ThumbsmithError):
    """The recipe or the request cannot be carried out as written."""


class StoreError(ThumbsmithError):
    """A store did not do what it was asked."""

    def __init__(self, message: str, *, transient: bool, only_here: bool = False) -> None:
        super().__init__(message)
        self.transient = transient
        self.only_here = only_here


class SourceChanged(StoreError):
    """An object was replaced or removed between two reads of it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, transient=True)


class WorkerError(ThumbsmithError):
    """A worker process died or hung, and not by the picture's fault as far as can be told."""

    transient = True


class NotIsolated(WorkerError):
    """This system lacks a layer of isolation, and the settings require all: no picture is handled."""


class MissingDecoder(ThumbsmithError):
    """The package that reads this format is not installed; the sentence names the extra that brings it."""

    transient = True


class Stopped(ThumbsmithError):
    """The user asked to stop before this was done."""

    transient = True

    def __init__(self) -> None:
        super().__init__("stopped before it was finished")
