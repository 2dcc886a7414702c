"""The endpoint `/recipe/plan`: what a recipe would change for the images of this server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from thumbsmith.bulk.cost import Model, Totals
from thumbsmith.bulk.scan import Scope, scan
from thumbsmith.bulk.status import inspect
from thumbsmith.errors import Stopped
from thumbsmith.web.http import Problem, json_response, read_field, read_json_object
from thumbsmith.web.library import ImageLibrary
from thumbsmith.web.recipes import recipe_from_text

# How long the plan of a recipe may take.
_PLAN_SECONDS: Final = 50.0


@dataclass(frozen=True, slots=True)
class RecipePlanEndpoint:
    """The endpoint `/recipe/plan`. It makes one plan at a time."""

    scope: Scope
    library: ImageLibrary
    jobs: int
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def plan(self, request: Request) -> Response:
        """Answer with the number of images and files that would change, and the time and cost: 200; 400, 503."""
        content = await read_json_object(request, frozenset({"toml"}))
        recipe = recipe_from_text(read_field(content, "toml", str))
        async with self._lock:
            totals = await self.library.run(self._totals, replace(self.scope, recipe=recipe))
        model = Model.between(recipe, self.scope.source.url, self.scope.destination.url)
        dollars = model.bill(totals.amount).total if model.reads or model.writes else None
        return json_response(
            {
                "sources": sum(totals.sources.values()) + totals.failed,
                "updated": totals.to_make,
                "deleted": totals.orphaned,
                "ignored": totals.ignored,
                "bytes": totals.to_read,
                "seconds": round(model.seconds(totals.amount, self.jobs), 3),
                "dollars": dollars,
            }
        )

    def _totals(self, scope: Scope) -> Totals:
        """Return what a sync would do. Raises Problem (503) after _PLAN_SECONDS, and StoreError."""
        totals, deadline = Totals(), time.monotonic() + _PLAN_SECONDS

        def is_late() -> bool:
            return time.monotonic() > deadline

        with contextlib.suppress(Stopped), scan(scope, is_late) as found:
            totals.ignored = found.join.ignored
            for status in inspect(found, stop=is_late):
                totals.add(status)
        if is_late():
            detail = "There are too many images for a quick plan. Use the command thumbsmith plan."
            raise Problem(503, detail, code="too_many_images")
        return totals
