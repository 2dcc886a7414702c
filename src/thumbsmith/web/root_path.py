"""The path prefix of the application: behind a proxy (`--root-path`), or mounted in another ASGI application.

ASGI calls it `root_path`; `path` begins with it: https://asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# The characters that need no encoding: the prefix then looks the same in `path`, in `raw_path` and in URLs.
PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")

_MAX_PREFIX_CHARACTERS: Final = 256


def own_path(connection: HTTPConnection) -> str:
    """Return the path below the prefix: `/images/x.jpg`."""
    path: str = connection.scope["path"]
    return path.removeprefix(connection.scope.get("root_path", ""))


def url_path(connection: HTTPConnection, path: str) -> str:
    """Return the path for a client: the prefix, and this path of the API."""
    return quote(connection.scope.get("root_path", "")) + path


@dataclass(frozen=True, slots=True)
class RootPathMiddleware:
    """ASGI middleware: applies the prefix, whether or not the proxy removed it from the path.

    With `trusts_proxy`, the header X-Forwarded-Prefix takes precedence over `prefix`.
    """

    app: ASGIApp
    prefix: str = ""
    trusts_proxy: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its prefix. The prefix alone is redirected to the page, which has relative links."""
        if scope["type"] == "http":
            scope = _prefixed(scope, self._prefix(scope))
            if scope["path"] == scope["root_path"] and scope["method"] in {"GET", "HEAD"}:
                await RedirectResponse(quote(scope["root_path"]) + "/")(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _prefix(self, scope: Scope) -> str:
        given = Headers(scope=scope).get("x-forwarded-prefix", "").rstrip("/") if self.trusts_proxy else ""
        is_valid = len(given) <= _MAX_PREFIX_CHARACTERS and PREFIX.fullmatch(given)
        return given if given and is_valid else self.prefix


def _prefixed(scope: Scope, prefix: str) -> dict[str, Any]:
    """Return the scope with the prefix after that of the host, and with paths that contain both."""
    mounted_at = scope.get("root_path", "")
    path = scope["path"].removeprefix(mounted_at)
    if f"{path}/".startswith(f"{prefix}/"):
        return {**scope, "root_path": mounted_at + prefix}
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    start = quote(mounted_at).encode()
    return {
        **scope,
        "root_path": mounted_at + prefix,
        "path": mounted_at + prefix + path,
        "raw_path": start + prefix.encode() + raw.removeprefix(start),
    }
