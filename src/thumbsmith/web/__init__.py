"""The upload API and the page: one ASGI application over any two stores. Needs the extra `web`.

It is thin: it calls the same `converge` as the commands. `application` makes the thumbnails itself, as
`thumbsmith serve` does. `app_on_aws.app_on_aws` leaves that to another Lambda function.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thumbsmith.web.app_local import application
    from thumbsmith.web.settings import WebSettings
    from thumbsmith.web.settings import WebSettings as Settings

# `Settings` is the former name of `WebSettings`, and still works.
_EXPORTS = {
    "WebSettings": ("settings", "WebSettings"),
    "Settings": ("settings", "WebSettings"),
    "application": ("app_local", "application"),
}

__all__ = ["Settings", "WebSettings", "application"]


def __getattr__(name: str) -> object:
    """Return an exported name. Its module is imported here, because AWS needs neither the workers nor the watcher."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _EXPORTS[name]
    return getattr(import_module(f"{__name__}.{module}"), attribute)
