"""Who may come in: the names the server answers to, the pages that may ask, and the token.

A page from elsewhere can make a browser on this machine send requests here (CSRF), and can give its own name this
machine's address (DNS rebinding): the first brings a foreign Origin, the second a foreign Host.
https://owasp.org/www-community/attacks/csrf and https://en.wikipedia.org/wiki/DNS_rebinding
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from thumbsmith.web.http import Problem, read_field, read_object
from thumbsmith.web.settings import Settings

COOKIE: Final = "thumbsmith"

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@\s]+)(?::\d{1,5})?")

# What tells nothing about any image: the page, its description, whether the server is up, and the door itself.
_OPEN: Final = re.compile(r"/|/page/[^/]*|/openapi\.json|/health|/session")

# An upload whose URL was given out is let in by the secret in it, as S3 does with what is presigned.
_TICKET: Final = re.compile(r"/uploads/[^/]+")

# A picture on demand is let in by the signature in its address.
_SIGNED: Final = re.compile(r"/on-demand/(?s:.+)")


@dataclass(frozen=True, slots=True)
class Gate:
    """ASGI middleware: refuses what may not come in with 400, 401, 403 or 421."""

    app: ASGIApp
    settings: Settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with a problem."""
        if scope["type"] == "http":
            try:
                self._check(HTTPConnection(scope), scope["method"])
            except Problem as problem:
                await problem.response()(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _check(self, request: HTTPConnection, method: str) -> None:
        self._check_host(request.headers)
        self._check_origin(request.headers, method)
        if self.settings.token and not _is_open(request, method):
            self._check_token(request, self.settings.token)

    def _check_host(self, headers: Headers) -> None:
        hosts = headers.getlist("host")
        found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if found is None:
            raise Problem(400, "Host: expected one name.", code="bad_host")
        if self.settings.hosts is not None and found[1].lower() not in self.settings.hosts:
            raise Problem(421, "Host: this server does not answer to this name.", code="bad_host")

    def _check_origin(self, headers: Headers, method: str) -> None:
        origin = headers.get("origin")
        if origin is None:
            # https://www.w3.org/TR/fetch-metadata/: what a browser says of itself where it sends no Origin
            foreign = method not in _SAFE and headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}
        else:
            own = {f"{scheme}://{headers['host']}".lower() for scheme in ("http", "https")}
            foreign = origin.lower() not in own | self.settings.origins
        if foreign:
            raise Problem(403, "Origin: pages from elsewhere may not ask here.", code="bad_origin")

    def _check_token(self, request: HTTPConnection, token: str) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(given.strip(), token):
            return
        if _same(request.cookies.get(COOKIE, ""), session(token)):
            return
        challenge = {"WWW-Authenticate": 'Bearer realm="thumbsmith"'}
        raise Problem(401, "Authorization: expected Bearer and the token.", code="unauthorized", headers=challenge)


def _is_open(request: HTTPConnection, method: str) -> bool:
    """Return whether this may be asked for without the token."""
    path = request.scope["path"]
    if method == "OPTIONS" and "access-control-request-method" in request.headers:
        return True
    by_secret = {"PUT": _TICKET, "GET": _SIGNED, "HEAD": _SIGNED}.get(method)
    return bool(_OPEN.fullmatch(path) or (by_secret and by_secret.fullmatch(path)))


@dataclass(frozen=True, slots=True)
class Door:
    """The endpoint of `/session`: for pictures in a page, which can bring a cookie but no token."""

    settings: Settings

    async def enter(self, request: Request) -> Response:
        """Take the token and answer with a cookie that stands for it until the browser is closed: 204, or 401."""
        content = await read_object(request, frozenset({"token"}))
        given, token = read_field(content, "token", str), self.settings.token
        if token is None:
            return Response(status_code=204)
        if not _same(given, token):
            raise Problem(401, "This is not the token.", code="unauthorized")
        answer = Response(status_code=204)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, session(token), httponly=True, samesite="strict", secure=secure)
        return answer


def session(token: str) -> str:
    """Return what stands for the token in a cookie, and from which it cannot be told."""
    return hmac.digest(token.encode(), b"thumbsmith session", hashlib.sha256).hex()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
