"""The endpoint `/metrics` and what it measures."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from thumbsmith.dispatch.metrics import MEDIA_TYPE, Metrics, metric_lines
from thumbsmith.reader import RangeReader
from thumbsmith.recipe import Recipe
from thumbsmith.reconcile.converge import Renderer

if TYPE_CHECKING:
    from thumbsmith.worker import Work


@dataclass(frozen=True, slots=True)
class MeasuredRenderer:
    """A renderer that counts its calls and their time."""

    renderer: Renderer
    metrics: Metrics

    def render(self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None) -> Work:
        """Return the renditions, as `Renderer.render` does."""
        start = time.monotonic()
        try:
            return self.renderer.render(reader, recipe, wanted)
        finally:
            self.metrics.count_render(time.monotonic() - start)


@dataclass(frozen=True, slots=True)
class MetricsEndpoint:
    """The endpoint `/metrics`. `load` returns how many updates wait, and how many are being made."""

    metrics: Metrics
    load: Callable[[], tuple[int, int]]

    async def show(self, _: Request) -> Response:
        """Answer with all metrics."""
        queued, running = self.load()
        lines = [
            *self.metrics.lines(),
            *metric_lines("queue", "gauge", "Updates that wait.", queued),
            *metric_lines("running", "gauge", "Updates that are being made.", running),
        ]
        return Response("\n".join(lines) + "\n", headers={"Cache-Control": "no-store", "Content-Type": MEDIA_TYPE})
