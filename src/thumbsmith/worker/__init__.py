"""Processes without rights, in which pictures are decoded and encoded.

`Workers` keeps a few templates: interpreters with an empty environment that have imported what decoding needs. A
template forks a child for every source, or for many sources of one owner if isolation is "shared". The child gives up
its remaining rights (sandbox.py), requests the bytes of a source over a socket, and sends what it made over the same
socket. A picture that crashes its decoder ends one child. A child that a picture has taken over can open no file and no
connection. If it is not shared, it never reads another source.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from thumbsmith.worker.parent import Work
    from thumbsmith.worker.pool import Workers, shared

# Threads that converge keys, for each worker: while one thread waits for its store, another has an image in the worker.
THREADS_PER_WORKER: Final = 2

__all__ = ["THREADS_PER_WORKER", "Work", "Workers", "shared", "usable_cores"]


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def __getattr__(name: str) -> object:
    """Return one of these names. They are imported late because a template must not load the side of the parent."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'parent' if name == 'Work' else 'pool'}"), name)
