"""The endpoint `/formats`: which files can be uploaded, for clients that choose or check them before."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from thumbsmith.web.library import ImageLibrary
from thumbsmith.web.media_types import FORMATS


@dataclass(frozen=True, slots=True)
class FormatsEndpoint:
    """The endpoint `/formats`."""

    library: ImageLibrary

    async def show(self, _: Request) -> Response:
        """Answer with the table of formats, and the largest size of a file in bytes."""
        formats = [
            {"name": each.name, "suffixes": sorted(each.suffixes), "types": sorted(each.media_types)}
            for each in FORMATS
        ]
        content = {"formats": formats, "max_bytes": self.library.recipe.limits.max_bytes}
        return JSONResponse(content, headers={"Cache-Control": "no-cache"})
