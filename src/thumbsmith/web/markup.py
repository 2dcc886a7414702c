"""The endpoint `/html`: the `<picture>` element of an image, as `thumbsmith html` prints it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from thumbsmith.errors import UsageError
from thumbsmith.reconcile import html
from thumbsmith.web.http import Problem, key_from_path
from thumbsmith.web.library import ImageLibrary
from thumbsmith.web.root_path import url_path


@dataclass(frozen=True, slots=True)
class MarkupEndpoint:
    """The endpoint `/html`."""

    library: ImageLibrary

    async def show(self, request: Request) -> Response:
        """Answer with the element as plain text: 200; 404 without thumbnails or for an unknown variant; 422."""
        key, query = key_from_path(request), request.query_params
        image = await self.library.run(self.library.image, key)
        if image is None:
            raise Problem(404, "There is no image with this key.", code="not_found")
        manifest = image.manifest
        if manifest is None:
            raise Problem(404, "The thumbnails of this image are not made yet.", code="not_found")
        if manifest.rejection:
            raise Problem(422, manifest.rejection.detail, code=manifest.rejection.code)
        choice = html.Choice(
            base=query.get("base") or url_path(request, "/renditions"),
            variant=query.get("variant"),
            sizes=query.get("sizes", ""),
            alt=query.get("alt", ""),
        )
        try:
            text = html.picture(manifest, choice)
        except UsageError as error:
            raise Problem(404, str(error), code="not_found") from None
        # Plain text: opened as a page of this server, the element would load the pictures.
        return PlainTextResponse(text, headers={"Cache-Control": "no-cache"})
