"""What the operating system's errors mean to a caller: one sentence, and whether trying again may help."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from thumbsmith.errors import StoreError

# Conditions that pass by themselves or that somebody clears: a full disk, too many open files, a device or a server
# that does not answer. EFBIG is none of them: the same object meets the same limit again.
TRANSIENT: Final = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EDQUOT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.ENOTCONN,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)

# What it means when a name leads to nothing that can be read: nothing is there, or a file or a symbolic link where a
# folder should be.
GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EMLINK})

# What a file system answers to a name that it cannot hold.
UNUSABLE_NAME: Final = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ})

# Conditions of one file or folder, or of a file system that is mounted below the root. They say nothing about the rest
# of the store. Some systems lack some of the names.
_OF_ONE_OBJECT: Final = frozenset(
    getattr(errno, name)
    for name in (
        *("EACCES", "EPERM", "EIO", "EBADMSG", "ENAMETOOLONG", "EINVAL", "EILSEQ"),
        *("ESTALE", "ENOTCONN", "EHOSTDOWN", "EHOSTUNREACH", "EREMOTEIO", "ENXIO", "ENODEV", "EUCLEAN", "ENOKEY"),
    )
    if hasattr(errno, name)
)


@contextmanager
def failing(subject: object) -> Iterator[None]:
    """Raise what the operating system reports as StoreError: "photos/a.jpg: No space left on device".

    `subject` is a key or a path, or something whose text is one.
    """
    try:
        yield
    except OSError as error:
        raise as_store_error(subject, error) from error
    except UnicodeEncodeError as error:
        words = f"no file can have this name in this process's encoding, {error.encoding}: set LC_ALL=C.UTF-8"
        raise StoreError(f"{shown(str(subject))}: {words}", transient=False, only_here=True) from error


def as_store_error(subject: object, error: OSError) -> StoreError:
    """Return the StoreError that `failing` raises for this error of the operating system."""
    words = os.strerror(error.errno) if error.errno else str(error)
    message, transient = f"{shown(str(subject))}: {words}", error.errno in TRANSIENT
    return StoreError(message, transient=transient, only_here=error.errno in _OF_ONE_OBJECT)


def shown(subject: str) -> str:
    """Return a key or path as one line for people: as it is where it can be printed, else quoted with escapes."""
    return subject if subject.isprintable() else ascii(subject)
