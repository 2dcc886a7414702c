"""Errors of the operating system as errors of a store: one sentence, and whether a retry may help."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from thumbsmith.errors import StoreError
from thumbsmith.store.base import printable_key

# Conditions that end by themselves or that an operator ends: a full disk, too many open files, a device or a server
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

# The disk is full, or the user has no more space on it.
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

# The name does not exist, or a file or a symbolic link is where a folder should be.
MISSING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EMLINK})

# The file system cannot store such a name.
UNUSABLE_NAME: Final = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ})

# Conditions of one file or folder, or of a file system that is mounted below the root. The rest of the store may be
# fine. Some systems lack some of the names.
_OF_ONE_OBJECT: Final = frozenset(
    getattr(errno, name)
    for name in (
        *("EACCES", "EPERM", "EIO", "EBADMSG", "ENAMETOOLONG", "EINVAL", "EILSEQ"),
        *("ESTALE", "ENOTCONN", "EHOSTDOWN", "EHOSTUNREACH", "EREMOTEIO", "ENXIO", "ENODEV", "EUCLEAN", "ENOKEY"),
    )
    if hasattr(errno, name)
)


@contextmanager
def translate_os_errors(subject: object) -> Iterator[None]:
    """Raise StoreError for an OSError of the block: "photos/a.jpg: No space left on device".

    `subject` is a key or a path, or an object whose text is one.
    """
    try:
        yield
    except OSError as error:
        raise as_store_error(subject, error) from error
    except UnicodeEncodeError as error:
        problem = f"no file can have this name in this process's encoding, {error.encoding}: set LC_ALL=C.UTF-8"
        raise StoreError(f"{printable_key(str(subject))}: {problem}", transient=False, one_object=True) from error


def as_store_error(subject: object, error: OSError) -> StoreError:
    """Return the StoreError that `translate_os_errors` raises for this error."""
    message, transient = f"{printable_key(str(subject))}: {reason(error)}", error.errno in TRANSIENT
    return StoreError(message, transient=transient, one_object=error.errno in _OF_ONE_OBJECT)


def reason(error: OSError) -> str:
    """Return what the system says about an error, without names: "Permission denied"."""
    return os.strerror(error.errno) if error.errno else str(error)
