"""Processes without power, in which pixels are handled.

A `Workers` keeps a few *templates*: interpreters with an empty environment that have imported all that decoding needs.
For every source a template forks a *child*, which gives up what it could still do (sandbox.py), asks for the source's
bytes over a socket, and says over it what it made. A picture that breaks its decoder breaks one child; and a child
that a picture has taken over can open no file and no connection, and never sees another source.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thumbsmith.worker.parent import Work
    from thumbsmith.worker.pool import Workers, shared, usable_cores

__all__ = ["Work", "Workers", "shared", "usable_cores"]


def __getattr__(name: str) -> object:
    """Return one of these names. A template is in this package too, and does without the parent's side of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'parent' if name == 'Work' else 'pool'}"), name)
