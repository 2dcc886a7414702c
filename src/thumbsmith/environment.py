"""The process's environment variables: the only place where they are read."""

from __future__ import annotations

import os
from typing import Final

from thumbsmith.errors import UsageError

RECIPE: Final = "THUMBSMITH_RECIPE"
SOURCE: Final = "THUMBSMITH_SOURCE"
DESTINATION: Final = "THUMBSMITH_DESTINATION"
CATALOGUE: Final = "THUMBSMITH_CATALOGUE"
QUEUE: Final = "THUMBSMITH_QUEUE"
LARGE: Final = "THUMBSMITH_LARGE"
BACKFILL: Final = "THUMBSMITH_BACKFILL"

# Variables that send requests through a proxy, in letters of either case.
PROXIES: Final = frozenset({"http_proxy", "https_proxy", "all_proxy"})
TOKEN: Final = "THUMBSMITH_TOKEN"  # noqa: S105 - the name, not the token

PYTHON: Final = "THUMBSMITH_PYTHON"
ISOLATION: Final = "THUMBSMITH_ISOLATION"
ORIGINS: Final = "THUMBSMITH_ORIGINS"
SIGNING_SECRET: Final = "THUMBSMITH_SIGNING_SECRET"  # noqa: S105 - as above

# Where the dynamic linker looks for libraries: an interpreter that was started with one of these needs it again.
LINKER: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")

# Where an interpreter that was moved, or that another program embeds, finds its standard library.
HOME: Final = "PYTHONHOME"

# A forked process pays for every page of memory that it is the first to touch. Measured on a 10-megapixel JPEG that
# takes 100 ms in a warm process: a child took 120 ms, with 7,800 page faults; and 110 ms, with 1,200, once glibc's
# allocator was told to ask for large pages, to grow its heap by 64 MiB, and to take from it all that is smaller than
# 32 MiB. Resident memory stayed as it was. libvips computes in a thread, which would begin a heap of its own.
# Binding all symbols in the template took 1.5 ms off each child.
# https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html and ld.so(8)
TUNING: Final = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=67108864"
    ":glibc.malloc.mmap_threshold=33554432:glibc.malloc.arena_max=1",
    "LD_BIND_NOW": "1",
}


def recipe_setting() -> str | None:
    """Return what THUMBSMITH_RECIPE holds, a path or the TOML itself; None where it is not set or empty."""
    return os.environ.get(RECIPE) or None


def source_setting() -> str | None:
    """Return what THUMBSMITH_SOURCE holds, the address of the store with the sources; None where it is not set."""
    return os.environ.get(SOURCE) or None


def destination_setting() -> str | None:
    """Return what THUMBSMITH_DESTINATION holds, the address of the store for thumbnails; None where it is not set."""
    return os.environ.get(DESTINATION) or None


def catalogue_setting() -> str | None:
    """Return what THUMBSMITH_CATALOGUE holds, the name of the catalogue's table; None where it is not set."""
    return os.environ.get(CATALOGUE) or None


def queue_setting() -> str | None:
    """Return what THUMBSMITH_QUEUE holds, the URL of the queue that a task works off; None where it is not set."""
    return os.environ.get(QUEUE) or None


def large_setting() -> str | None:
    """Return what THUMBSMITH_LARGE holds, the URL of the queue for sources that are too large here; None if not set."""
    return os.environ.get(LARGE) or None


def backfill_setting() -> str | None:
    """Return what THUMBSMITH_BACKFILL holds, the URL of the queue that repairs are sent to; None where not set."""
    return os.environ.get(BACKFILL) or None


def function_name() -> str:
    """Return this Lambda function's name; outside of Lambda the empty text."""
    return os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")


def function_memory() -> int | None:
    """Return the bytes of memory that this Lambda function has, all of its processes together; None outside of Lambda.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    size = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    return int(size) << 20 if size.isdecimal() else None


def function_folder() -> str:
    """Return the folder of this Lambda function's code; outside of Lambda the empty path, which is where we are."""
    return os.environ.get("LAMBDA_TASK_ROOT", "")


def token_setting() -> str | None:
    """Return what THUMBSMITH_TOKEN holds; None where it is not set or empty."""
    return os.environ.get(TOKEN) or None


def signing_secret_setting() -> str | None:
    """Return what THUMBSMITH_SIGNING_SECRET holds; None where it is not set or empty."""
    return os.environ.get(SIGNING_SECRET) or None


def origins_setting() -> frozenset[str]:
    """Return the web origins that THUMBSMITH_ORIGINS lists, with commas between them; none where it is not set."""
    return frozenset(each.strip().lower() for each in os.environ.get(ORIGINS, "").split(",") if each.strip())


def python_setting() -> str | None:
    """Return what THUMBSMITH_PYTHON holds, the path of the interpreter for workers; None where it is not set."""
    return os.environ.get(PYTHON) or None


def isolation_required() -> bool:
    """Return whether THUMBSMITH_ISOLATION is `required`: no picture is handled where a layer of isolation is missing.

    Raises UsageError for a value that is neither that nor empty.
    """
    found = os.environ.get(ISOLATION, "")
    if found not in {"", "required"}:
        raise UsageError(f"the environment variable {ISOLATION}: expected 'required' or nothing, found {found!r}")
    return found == "required"


def aws_settings() -> frozenset[tuple[str, str]]:
    """Return the variables that tell AWS's tools where to go and as whom: all that begin with AWS_, and proxies."""
    return frozenset(
        (name, value)
        for name, value in os.environ.items()
        if name.startswith("AWS_") or (value and name.lower() in PROXIES)
    )


def ca_bundle_setting() -> str | None:
    """Return what REQUESTS_CA_BUNDLE holds, the authorities that AWS's tools trust where they are given no others."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or None


def has_aws_files() -> bool:
    """Return whether AWS's tools would find files with settings or credentials, and something in them."""
    config = os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config"
    credentials = os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"
    return any(_holds_something(path) for path in (config, credentials))


def _holds_something(path: str) -> bool:
    from pathlib import Path  # noqa: PLC0415 - a worker is started before it is loaded

    try:
        return Path(path).expanduser().stat().st_size > 0
    except (OSError, RuntimeError):  # nothing there; a user without a home
        return False


def aws_region() -> str | None:
    """Return AWS_REGION, else AWS_DEFAULT_REGION; None where neither is set."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None


def worker_environment() -> dict[str, str]:
    """Return the whole environment of a worker process: of this one's only where libraries are."""
    return TUNING | {name: os.environ[name] for name in (*LINKER, HOME) if os.environ.get(name)}


def program_environment(*, first_on_path: str | os.PathLike[str]) -> dict[str, str]:
    """Return this process's environment for a program that finds others in that folder before all other places."""
    return os.environ | {"PATH": os.pathsep.join(filter(None, (os.fspath(first_on_path), os.environ.get("PATH"))))}


def cache_folder() -> str | None:
    """Return the folder for caches: $XDG_CACHE_HOME, else ~/.cache; None for a user without a home.

    A path that is not absolute is ignored (https://specifications.freedesktop.org/basedir-spec/latest/).
    """
    folders = (os.environ.get("XDG_CACHE_HOME", ""), os.environ.get("HOME", "") + "/.cache")
    return next((folder for folder in folders if folder.startswith("/") and folder != "/.cache"), None)
