"""The endpoints `/images`: the status of one image, the list of images, and deletion."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar, get_args

from starlette.requests import Request
from starlette.responses import Response

from thumbsmith.errors import ThumbsmithError
from thumbsmith.reconcile.manifest import Manifest
from thumbsmith.store.base import ObjectInfo
from thumbsmith.web.conditional import Validators
from thumbsmith.web.http import (
    Problem,
    encode_key,
    flag_from_query,
    is_unicode,
    json_response,
    key_from_path,
    problem_from_error,
    wait_seconds,
)
from thumbsmith.web.library import ImageLibrary, ImageStatus, Query, Rank, Sort, Status, Updater
from thumbsmith.web.root_path import url_path

T = TypeVar("T")

# The number of images on a page.
DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200

# The number of keys that are checked for one page of a list by status. A page may be short or empty and still have a
# cursor.
_MAX_CHECKED_KEYS: Final = 1_000

STATUSES: Final[tuple[Status, ...]] = get_args(Status)
SORTS: Final[tuple[Sort, ...]] = get_args(Sort)


@dataclass(frozen=True, slots=True)
class ImageEndpoints:
    """The endpoints `/images`. `max_wait` is in seconds."""

    library: ImageLibrary
    updater: Updater
    max_wait: float

    async def show(self, request: Request) -> Response:
        """Answer with the manifest: 200; 202 until it is made; 304; 422 for a rejected source; 404 for no source."""
        key, wait = key_from_path(request), wait_seconds(request, self.max_wait)
        image = await self.library.run(self.library.image, key)
        if image and image.status == "making":
            await self.updater.wait(key, wait)
            image = await self.library.run(self.library.image, key) if wait else image
        if image is None:
            raise _no_image()
        return self._status_response(request, key, image)

    async def created(self, request: Request, key: str, wait: float) -> Response:
        """Answer after an upload: 201 with the manifest if it is made within `wait` seconds, else 202; 422."""
        await self.updater.wait(key, wait)
        image = await self.library.run(self.library.image, key)
        if image is None:
            raise _no_image()
        headers = {"Location": image_path(request, key)}
        if image.manifest is None:
            return _making_response(key, image.source, self.updater.failure(key), headers)
        if image.manifest.rejection:
            raise _rejection_problem(image.manifest, headers)
        body, etag = _manifest_json(image.manifest)
        headers |= {**Validators(etag, image.modified).headers(), "Cache-Control": "no-cache"}
        return Response(body, 201, headers, "application/json")

    async def remove(self, request: Request) -> Response:
        """Delete the source and its thumbnails: 204, or 404 if there is no source."""
        key = key_from_path(request)
        if await self.library.run(self.library.image, key) is None:
            raise _no_image()
        await self.library.run(self.library.source.delete, key)
        if self.updater.enqueue(key):
            await asyncio.shield(self.updater.wait(key, self.max_wait))
            if failure := self.updater.failure(key):
                raise problem_from_error(failure)
        return Response(status_code=204)

    async def browse(self, request: Request) -> Response:
        """Answer with a page of the images that the query selects, and the `cursor` of the next page."""
        parameters = request.query_params
        query = Query(
            prefix=parameters.get("prefix", ""),
            contains=parameters.get("q", ""),
            sort=_one_of(SORTS, "sort", parameters.get("sort", "name")),
        )
        status = _one_of(STATUSES, "status", parameters["status"]) if "status" in parameters else None
        after, limit = _parse_cursor(parameters.get("cursor"), query), _parse_limit(parameters.get("limit"))
        images, last = await self.library.run(self._page, query, after, limit, status)
        for image in images:
            for each in image.get("renditions", ()):
                each["url"] = url_path(request, each["url"])
        content: dict[str, Any] = {"images": images, **({"cursor": _cursor(last)} if last else {})}
        if flag_from_query(request, "total"):
            content["total"] = await self.library.run(self.library.count_sources, query)
        return json_response(content)

    def _page(
        self, query: Query, after: Rank | None, limit: int, status: str | None
    ) -> tuple[list[dict[str, Any]], Rank | None]:
        """Return a page, and the rank after which the next page begins; None for the last page."""
        max_checked = _MAX_CHECKED_KEYS if status else limit
        sources = self.library.list_sources(query, after, max_checked + 1)
        images: list[dict[str, Any]] = []
        for number, source in enumerate(sources):
            if number == max_checked or len(images) == limit:
                return images, query.rank(sources[number - 1])
            image = self.library.image(source.key)
            if image and status in {None, image.status}:
                images.append(_summary(image))
            if image and image.status == "making":
                self.updater.ensure_queued(source.key)
        return images, None

    def _status_response(self, request: Request, key: str, image: ImageStatus) -> Response:
        manifest = image.manifest
        if manifest is None:
            return _making_response(key, image.source, self.updater.failure(key))
        if manifest.rejection:
            raise _rejection_problem(manifest, {"Cache-Control": "no-cache"})
        body, etag = _manifest_json(manifest)
        validators = Validators(etag, image.modified)
        headers = {**validators.headers(), "Cache-Control": "no-cache"}
        if validators.match(request.headers):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/json")


def _no_image() -> Problem:
    return Problem(404, "There is no image with this key.", code="not_found")


def image_path(request: Request, key: str) -> str:
    """Return the path of an image for the client that sent the request."""
    return url_path(request, f"/images/{encode_key(key)}")


def _rejection_problem(manifest: Manifest, headers: Mapping[str, str]) -> Problem:
    content = manifest.as_dict()
    more = {"rejection": content["rejection"], "source": content["source"]}
    return Problem(422, more["rejection"]["detail"], code=more["rejection"]["code"], headers=headers, more=more)


def _making_response(
    key: str, source: ObjectInfo, failure: ThumbsmithError | None, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer 202 while the thumbnails are made. Raises Problem if that failed and another try would not help."""
    if failure and not failure.transient:
        raise problem_from_error(failure)
    detail = {"detail": str(failure)} if failure else {}
    content = {"key": key, "status": "making", "source": {"bytes": source.size}, **detail}
    return json_response(content, 202, {"Retry-After": "1", **(headers or {})})


@lru_cache(maxsize=1_024)
def _manifest_json(manifest: Manifest) -> tuple[bytes, str]:
    """Return the manifest as JSON, and the etag of the JSON."""
    body = json.dumps(manifest.as_dict(), sort_keys=True, ensure_ascii=False).encode()
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _summary(image: ImageStatus) -> dict[str, Any]:
    """Return the entry of an image in a list: the schema `Image` of the API."""
    source, manifest = image.source, image.manifest
    entry: dict[str, Any] = {"key": source.key, "bytes": source.size, "status": image.status}
    if source.modified is not None:
        entry["modified"] = int(source.modified)
    if manifest and manifest.rejection:
        return {**entry, "rejection": {"code": manifest.rejection.code, "detail": manifest.rejection.detail}}
    return {**entry, **(_thumbnails(manifest) if manifest else {})}


def _thumbnails(manifest: Manifest) -> dict[str, Any]:
    source, key = manifest.source, encode_key(manifest.source.key)
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
    color = None if source.alpha else manifest.color  # it would stay visible through transparent parts
    facts = {
        "width": source.width,
        "height": source.height,
        "format": source.format,
        "alpha": source.alpha,
        "color": color,
    }
    return {**{name: value for name, value in facts.items() if value is not None}, "renditions": renditions}


def _parse_limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= MAX_LIMIT:
        raise Problem(400, f"limit: expected a whole number from 1 to {MAX_LIMIT}.", code="bad_query")
    return int(text)


def _one_of(choices: tuple[T, ...], name: str, text: str) -> T:
    for each in choices:
        if each == text:
            return each
    raise Problem(400, f"{name}: expected one of {', '.join(map(str, choices))}.", code="bad_query")


def _cursor(rank: Rank) -> str:
    return base64.urlsafe_b64encode(json.dumps(rank).encode()).decode().rstrip("=")


def _parse_cursor(cursor: str | None, query: Query) -> Rank | None:
    """Return the rank in the cursor; None, before all images, if there is no cursor."""
    if not cursor:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        rank = json.loads(base64.b64decode(padded, b"-_", validate=True))
        types = [type(each) for each in rank] if isinstance(rank, list) else []
    except (ValueError, RecursionError, binascii.Error):
        rank, types = [], []
    if types not in ([[str]] if query.sort == "name" else [[int, str], [float, str]]) or not is_unicode(rank[-1]):
        detail = "cursor: expected the cursor of an earlier page in the same order."
        raise Problem(400, detail, code="bad_query")
    return tuple(rank)
