"""The page: a few files of this package, without anything from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thumbsmith.store import Store
from thumbsmith.store.s3 import S3Store
from thumbsmith.web.conditions import is_known
from thumbsmith.web.problems import Problem

_TYPES: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def routes(source: Store) -> list[Route]:
    """Return the routes of the page, which may send what is dropped on it to the source's own address."""
    policy = _policy(source)

    async def index(request: Request) -> Response:
        return _file(request, "index.html", policy)

    async def part(request: Request) -> Response:
        return _file(request, request.path_params["name"], policy)

    return [Route("/", index, name="page"), Route("/page/{name}", part, name="part")]


@cache
def _files() -> Mapping[str, tuple[bytes, str]]:
    """Return the content and the type of each file, by name."""
    folder = files("thumbsmith.web") / "assets"
    return {
        each.name: (each.read_bytes(), _TYPES[each.name.rpartition(".")[2]])
        for each in folder.iterdir()
        if each.name.rpartition(".")[2] in _TYPES
    }


def _file(request: Request, name: str, policy: str) -> Response:
    content, kind = _files().get(name, (None, ""))
    if content is None:
        raise Problem(404, "There is no such page.", code="not_found")
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache", "Content-Security-Policy": policy}
    if is_known(etag, request.headers):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=kind)


def _policy(source: Store) -> str:
    """Return the Content-Security-Policy: everything from here, but uploads to where the source takes them."""
    upload = ""
    if isinstance(source, S3Store):
        endpoint = urlsplit(source.client.endpoint)
        upload = f" {endpoint.scheme}://{endpoint.netloc} {endpoint.scheme}://{source.bucket}.{endpoint.netloc}"
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'{upload};"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
