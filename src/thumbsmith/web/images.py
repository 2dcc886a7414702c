"""`/images`: how each image stands, the list of all, and their removal."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from thumbsmith.errors import ThumbsmithError
from thumbsmith.reconcile.manifest import Manifest
from thumbsmith.store.base import ObjectInfo
from thumbsmith.web.http import Problem, encoded, from_error, is_known, key_of
from thumbsmith.web.library import ImageStatus, Keeping, Library

PAGE: Final = 50
MAX_PAGE: Final = 200

# Keys looked at for one page of a list by status: beyond that the page is short, or empty, and has a cursor.
_MAX_LOOKED_AT: Final = 1_000

STATUSES: Final = ("ok", "rejected", "making")


@dataclass(frozen=True, slots=True)
class Images:
    """The endpoints of `/images`."""

    library: Library
    keeper: Keeping
    max_wait: float

    async def show(self, request: Request) -> Response:
        """Answer with the manifest: 200; 202 while it is made; 422 for a rejected source; 404 where there is none."""
        key, wait = key_of(request), _wait(request, self.max_wait)
        standing = await self.library.run(self.library.standing, key)
        if standing and standing.status == "making":
            await self.keeper.settled(key, wait)
            standing = await self.library.run(self.library.standing, key) if wait else standing
        if standing is None:
            raise Problem(404, "There is no such image.", code="not_found")
        return self._answer(request, key, standing)

    async def remove(self, request: Request) -> Response:
        """Delete the source, and what was made of it: 204, or 404 where there is none."""
        key = key_of(request)
        if await self.library.run(self.library.standing, key) is None:
            raise Problem(404, "There is no such image.", code="not_found")
        await self.library.run(self.library.source.delete, key)
        if self.keeper.changed(key):
            await asyncio.shield(self.keeper.settled(key, self.max_wait))
            if failure := self.keeper.failure(key):
                raise from_error(failure)
        return Response(status_code=204)

    async def browse(self, request: Request) -> Response:
        """Answer with a page of the images whose keys begin with `prefix`, in their order, and the next `cursor`."""
        query = request.query_params
        prefix, status = query.get("prefix", ""), query.get("status")
        if status is not None and status not in STATUSES:
            raise Problem(400, f"status: expected one of {', '.join(STATUSES)}.", code="bad_query")
        after, limit = _after(query.get("cursor")), _limit(query.get("limit"))
        images, cursor = await self.library.run(self._page, prefix, after, limit, status)
        return _json({"images": images, **({"cursor": _cursor(cursor)} if cursor else {})})

    def _page(self, prefix: str, after: str, limit: int, status: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page, and the key after which the next one begins."""
        looked_at = _MAX_LOOKED_AT if status else limit
        sources = self.library.page(prefix, after, looked_at + 1)
        images: list[dict[str, Any]] = []
        for number, source in enumerate(sources):
            if number == looked_at or len(images) == limit:
                return images, sources[number - 1].key
            standing = self.library.standing(source.key)
            if standing and status in {None, standing.status}:
                images.append(summary(standing))
            if standing and standing.status == "making":
                self.keeper.pursued(source.key)
        return images, None

    def _answer(self, request: Request, key: str, standing: ImageStatus) -> Response:
        manifest = standing.manifest
        if manifest is None:
            return _making(key, standing.source, self.keeper.failure(key))
        if manifest.rejection:
            content = manifest.as_dict()
            code, detail = manifest.rejection.code, manifest.rejection.detail
            more = {"rejection": content["rejection"], "source": content["source"]}
            raise Problem(422, detail, code=code, headers={"Cache-Control": "no-cache"}, more=more)
        body, etag = _written(manifest)
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        if is_known(etag, request.headers):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/json")


def summary(standing: ImageStatus) -> dict[str, Any]:
    """Return an image as a list shows it."""
    source, manifest = standing.source, standing.manifest
    about: dict[str, Any] = {"key": source.key, "bytes": source.size, "status": standing.status}
    if manifest and manifest.rejection:
        return {**about, "rejection": {"code": manifest.rejection.code, "detail": manifest.rejection.detail}}
    return {**about, **(_pictures(manifest) if manifest else {})}


def _pictures(manifest: Manifest) -> dict[str, Any]:
    source, key = manifest.source, encoded(manifest.source.key)
    renditions = [
        {
            "variant": each.variant,
            "type": each.type,
            "width": each.width,
            "height": each.height,
            "bytes": each.bytes,
            "url": f"/renditions/{key}/{each.name}?v={each.sha256[:8]}",
        }
        for each in manifest.renditions
    ]
    about = {"width": source.width, "height": source.height, "format": source.format, "color": manifest.color}
    return {**{name: value for name, value in about.items() if value is not None}, "renditions": renditions}


def _making(key: str, source: ObjectInfo, failure: ThumbsmithError | None) -> Response:
    """Answer that the thumbnails are being made; where that failed and will not pass by itself, with a problem."""
    if failure and not failure.transient:
        raise from_error(failure)
    trouble = {"detail": str(failure)} if failure else {}
    about = {"key": key, "status": "making", "source": {"bytes": source.size}, **trouble}
    return _json(about, 202, {"Retry-After": "1"})


@lru_cache(maxsize=1_024)
def _written(manifest: Manifest) -> tuple[bytes, str]:
    """Return the manifest as JSON, and the etag of that."""
    body = json.dumps(manifest.as_dict(), sort_keys=True, ensure_ascii=False).encode()
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps(content, ensure_ascii=False).encode()
    return Response(body, status, {"Cache-Control": "no-store", **(headers or {})}, "application/json")


def _wait(request: Request, most: float) -> float:
    text = request.query_params.get("wait", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise Problem(400, "wait: expected a number of seconds, 0 or more.", code="bad_query")
    return min(seconds, most)


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= MAX_PAGE:
        raise Problem(400, f"limit: expected a whole number from 1 to {MAX_PAGE}.", code="bad_query")
    return int(text)


def _cursor(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _after(cursor: str | None) -> str:
    if not cursor:
        return ""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return base64.b64decode(padded, b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise Problem(400, "cursor: expected one that an earlier page gave.", code="bad_query") from None
