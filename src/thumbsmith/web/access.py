"""Access control: the host names that the server answers to, the sites that may use it, and the token.

Two attacks reach a server on 127.0.0.1 through the user's browser. A page of another site sends requests here (CSRF):
its Origin is another one. A site points its own name to 127.0.0.1 (DNS rebinding): the Host is another one.
https://owasp.org/www-community/attacks/csrf and https://en.wikipedia.org/wiki/DNS_rebinding
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from thumbsmith.web.http import Problem, read_field, read_json_object
from thumbsmith.web.root_path import own_path, url_path
from thumbsmith.web.settings import WebSettings

COOKIE: Final = "thumbsmith"

# Load balancers check it by the address of the machine. It answers to any Host, and reveals nothing.
HEALTH: Final = "/health"

# Servers of S3 send notifications there, with a token of their own, which allows nothing else.
EVENTS: Final = "/events"

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@\s]+)(?::\d{1,5})?")

# Paths that need no token because they reveal nothing about images: the page, the API description, health, login.
_PUBLIC_PATHS: Final = re.compile(r"/|/page/[^/]*|/docs|/openapi\.json|/health|/session")

# Requests that need no token because their URL contains a secret: as with presigned URLs of S3.
_UPLOAD_PATH: Final = re.compile(r"/uploads/[^/]+")
_SIGNED_PATH: Final = re.compile(r"/on-demand/(?s:.+)")
_PATHS_WITH_SECRET: Final = {"PUT": _UPLOAD_PATH, "GET": _SIGNED_PATH, "HEAD": _SIGNED_PATH}


@dataclass(frozen=True, slots=True)
class AccessMiddleware:
    """ASGI middleware: refuses requests that are not allowed, with 400, 401, 403 or 421."""

    app: ASGIApp
    settings: WebSettings

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
        if own_path(request) != HEALTH:
            self._check_host(request.headers)
        self._check_origin(request.headers, method)
        if own_path(request) == EVENTS:
            self._check_events_token(request.headers)
        elif self.settings.token and _needs_token(request, method):
            self._check_token(request, self.settings.token)

    def _check_host(self, headers: Headers) -> None:
        hosts = headers.getlist("host")
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None:
            raise Problem(400, "Host: expected one host name.", code="bad_host")
        if self.settings.hosts is not None and match[1].lower() not in self.settings.hosts:
            raise Problem(421, "Host: this server does not answer to this name.", code="bad_host")

    def _check_origin(self, headers: Headers, method: str) -> None:
        origin = headers.get("origin")
        if origin is None:
            # Browsers that send no Origin still send this header: https://www.w3.org/TR/fetch-metadata/
            is_foreign = method not in _SAFE_METHODS and headers.get("sec-fetch-site", "none") not in {
                "none",
                "same-origin",
            }
        else:
            own = {f"{scheme}://{headers.get('host', '')}".lower() for scheme in ("http", "https")}
            is_foreign = origin.lower() not in own | self.settings.origins
        if is_foreign:
            raise Problem(403, "Origin: pages of this site are not allowed here.", code="bad_origin")

    def _check_token(self, request: HTTPConnection, token: str) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _are_equal(given.strip(), token):
            return
        if _are_equal(request.cookies.get(COOKIE, ""), _session_value(token)):
            return
        challenge = {"WWW-Authenticate": 'Bearer realm="thumbsmith"'}
        raise Problem(401, "Authorization: expected Bearer and the token.", code="unauthorized", headers=challenge)

    def _check_events_token(self, headers: Headers) -> None:
        """Check the token of a notification. It may also be the password of a URL, where a sender sets no header."""
        token = self.settings.events_token or self.settings.token
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            given = _password(given)
        if token and not (scheme.lower() in {"bearer", "basic"} and _are_equal(given.strip(), token)):
            challenge = {"WWW-Authenticate": 'Bearer realm="thumbsmith events"'}
            detail = "Authorization: expected Bearer and the token for events."
            raise Problem(401, detail, code="unauthorized", headers=challenge)


def _password(credentials: str) -> str:
    """Return the password in the credentials of Basic authentication (RFC 7617); an empty text if there is none."""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _needs_token(request: HTTPConnection, method: str) -> bool:
    if method == "OPTIONS" and "access-control-request-method" in request.headers:
        return False  # a CORS preflight cannot send a token
    path = own_path(request)
    path_with_secret = _PATHS_WITH_SECRET.get(method)
    return not (_PUBLIC_PATHS.fullmatch(path) or (path_with_secret and path_with_secret.fullmatch(path)))


@dataclass(frozen=True, slots=True)
class SessionEndpoint:
    """The endpoint `/session`. An `<img>` of a page cannot send a token, but it sends a cookie."""

    settings: WebSettings

    async def create(self, request: Request) -> Response:
        """Exchange the token for a cookie that replaces it until the browser closes: 204, or 401 for a wrong token."""
        content = await read_json_object(request, frozenset({"token"}))
        given, token = read_field(content, "token", str), self.settings.token
        if token is None:
            return Response(status_code=204)
        if not _are_equal(given, token):
            raise Problem(401, "The token is wrong.", code="unauthorized")
        response = Response(status_code=204)
        is_secure = request.url.scheme == "https"
        path = url_path(request, "/")
        response.set_cookie(
            COOKIE, _session_value(token), path=path, httponly=True, samesite="strict", secure=is_secure
        )
        return response


def _session_value(token: str) -> str:
    """Return the value of the cookie. The token cannot be computed from it."""
    return hmac.digest(token.encode(), b"thumbsmith session", hashlib.sha256).hex()


def _are_equal(one: str, other: str) -> bool:
    """Compare in constant time, so that the duration reveals nothing."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
