"""The process's environment variables: the only place where they are read."""

from __future__ import annotations

import os
from typing import Final

RECIPE: Final = "THUMBSMITH_RECIPE"
TOKEN: Final = "THUMBSMITH_TOKEN"  # noqa: S105 - the name, not the token

# Where the dynamic linker looks for libraries: an interpreter that was started with one of these needs it again.
LINKER: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")

# A forked process pays for every page of memory that it is the first to touch. Measured on a 10-megapixel JPEG that
# takes 100 ms in a warm process: a child took 120 ms, with 7,800 page faults; and 110 ms, with 1,200, once glibc's
# allocator was told to ask for large pages, to grow its heap by 64 MiB, and to take from it all that is smaller than
# 32 MiB. Resident memory stayed as it was. Binding all symbols in the template took 1.5 ms off each child.
# https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html and ld.so(8)
TUNING: Final = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=67108864:glibc.malloc.mmap_threshold=33554432",
    "LD_BIND_NOW": "1",
}


def recipe_setting() -> str | None:
    """Return what THUMBSMITH_RECIPE holds, a path or the TOML itself; None where it is not set or empty."""
    return os.environ.get(RECIPE) or None


def token_setting() -> str | None:
    """Return what THUMBSMITH_TOKEN holds; None where it is not set or empty."""
    return os.environ.get(TOKEN) or None


def aws_settings() -> frozenset[tuple[str, str]]:
    """Return the variables that tell AWS's libraries where to go and as whom: all whose names begin with AWS_."""
    return frozenset((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))


def aws_region() -> str | None:
    """Return AWS_REGION, else AWS_DEFAULT_REGION; None where neither is set."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None


def worker_environment() -> dict[str, str]:
    """Return the whole environment of a worker process: nothing of this one's but where libraries are."""
    return TUNING | {name: os.environ[name] for name in LINKER if os.environ.get(name)}


def cache_folder() -> str | None:
    """Return the folder for caches: $XDG_CACHE_HOME, else ~/.cache; None for a user without a home.

    A path that is not absolute is ignored (https://specifications.freedesktop.org/basedir-spec/latest/).
    """
    folders = (os.environ.get("XDG_CACHE_HOME", ""), os.environ.get("HOME", "") + "/.cache")
    return next((folder for folder in folders if folder.startswith("/") and folder != "/.cache"), None)
