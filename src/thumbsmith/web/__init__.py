"""The API and the page: one ASGI application over any two stores, the same on a laptop and elsewhere.

Needs the extra `web`. It is thin: pictures are made by the same `converge` that every shell calls. `application` makes
them itself; `hosted.hosted` is for where others do, as on AWS.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thumbsmith.web.local import application
    from thumbsmith.web.settings import Settings

_PLACES = {"Settings": "settings", "application": "local"}

__all__ = ["Settings", "application"]


def __getattr__(name: str) -> object:
    """Return one of these names: what is hosted does without the workers, and without what follows a folder."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
