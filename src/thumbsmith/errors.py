"""The exceptions of this package. The class says what failed; `transient` says whether a retry may help.

    ThumbsmithError
    ├─ Rejected              the source cannot become a thumbnail: record it, do not retry
    ├─ UsageError            an option, address or setting is wrong: report it, stop (exit code 2)
    │  ├─ RecipeError        the recipe, or one of its values, is invalid
    │  └─ MassDeletionRefused  a sync would delete more than half of all thumbnails
    ├─ StoreError            a store could not do an operation; `transient` depends on its answer
    │  ├─ StoreFull          the store has no room for more
    │  ├─ SourceChanged      the object was replaced or deleted while it was read: read it again
    │  └─ S3Error            S3 answered with an error status
    ├─ WorkerError           a worker process failed, and the image is not the cause: retry
    │  ├─ WorkerDied         the process ended before it answered
    │  └─ NotIsolated        a required isolation layer is missing
    ├─ MissingDecoder        the package that reads this format is not installed
    ├─ OutOfTime             a Lambda invocation ends before this key is done: retry
    ├─ EventFailed           a Lambda invocation could not process its whole event: retry
    └─ Stopped               the user stopped the operation

The stage that failed decides which class is raised, never the text of another exception.
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """Why a source was rejected. Manifests record these words; they stay stable."""

    EMPTY = "empty"
    UNSUPPORTED_FORMAT = "unsupported_format"
    CORRUPT = "corrupt"
    ENCRYPTED = "encrypted"
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
    """The base of all errors of this package. `transient`: a retry may help."""

    transient: bool = False

    def about(self, key: str) -> str:
        """Return the message without `key` at its start, for a line that names the key already."""
        message = str(self)
        for name in (key, key.removesuffix("/"), ascii(key)):
            message = message.removeprefix(f"{name}: ")
        return message


class Rejected(ThumbsmithError):
    """The source cannot become a thumbnail. `code` is stable; `detail` is one sentence for people."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class UsageError(ThumbsmithError):
    """An option, address, setting or argument is wrong, or an optional package is missing."""


class RecipeError(UsageError):
    """The recipe is not valid, or a value of it is not."""


class MassDeletionRefused(UsageError):
    """A sync would delete more than half of all thumbnails. `finding` is the message without the options of `sync`."""

    def __init__(self, finding: str) -> None:
        super().__init__(f"{finding}: check the source; use --yes to delete them, or --keep-orphans to keep them")
        self.finding = finding


class StoreError(ThumbsmithError):
    """A store could not do an operation. `one_object`: only this object is affected, and the store itself works."""

    def __init__(self, message: str, *, transient: bool, one_object: bool = False) -> None:
        super().__init__(message)
        self.transient = transient
        self.one_object = one_object


class StoreFull(StoreError):
    """Nothing can be written because there is no space. Deleting something may help."""


class SourceChanged(StoreError):
    """An object was replaced or deleted between two reads of it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, transient=True)


class S3Error(StoreError):
    """S3 answered a request with an error. `status` is the HTTP status; `code` is S3's code, else the status."""

    def __init__(self, message: str, *, transient: bool, status: int, code: str) -> None:
        super().__init__(message, transient=transient)
        self.status = status
        self.code = code

    @property
    def no_such_object(self) -> bool:
        """Return whether the object does not exist. An answer to HEAD has a status and no code."""
        return self.status == 404 and self.code != "NoSuchBucket"

    @property
    def changed(self) -> bool:
        """Return whether the object with the requested etag was replaced or deleted."""
        return self.status in {412, 416} or self.no_such_object

    @property
    def archived(self) -> bool:
        """Return whether the object is in an archive and must be restored before it can be read.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, "InvalidObjectState"
        """
        return self.code == "InvalidObjectState"


class WorkerError(ThumbsmithError):
    """A worker process failed, and as far as is known the image is not the cause."""

    transient = True


class WorkerDied(WorkerError):
    """A worker process ended before it answered. A new process may succeed."""


class NotIsolated(WorkerError):
    """This system lacks an isolation layer, and the settings require all of them: no image is processed."""


class MissingDecoder(ThumbsmithError):
    """The package that reads this format is not installed. The message has the command that installs it here.

    `extra` is the extra that has the package, None for the plain install. `detail` is the message without the command,
    which a worker process cannot find out.
    """

    transient = True

    def __init__(self, detail: str, extra: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra

    def __str__(self) -> str:
        from thumbsmith.installation import install_command  # noqa: PLC0415 - only needed where a package is missing

        return f"{self.detail}: run {install_command(self.extra)}"


class OutOfTime(ThumbsmithError):
    """A Lambda invocation ends before this key can be processed."""

    transient = True


class EventFailed(ThumbsmithError):
    """A Lambda invocation could not process its whole event: Lambda retries it or sends it to the failure queue."""

    transient = True


class Stopped(ThumbsmithError):
    """The user stopped the operation before it finished."""

    transient = True

    def __init__(self) -> None:
        super().__init__("stopped before it was finished")
