"""Metrics for Prometheus, in its text format.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response

from thumbsmith.errors import Code
from thumbsmith.reader import RangeReader
from thumbsmith.recipe import Recipe
from thumbsmith.reconcile.converge import Renderer, Result

if TYPE_CHECKING:
    from thumbsmith.worker import Work

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class Metrics:
    """Counts what the application does from its start. May be used by several threads.

    A source counts when its thumbnails are made, its rejection is recorded, or an update fails.
    """

    _made: int = 0
    _failed: int = 0
    _deleted: int = 0
    _rejected: Counter[str] = field(default_factory=Counter)
    _renders: int = 0
    _render_seconds: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def count(self, result: Result) -> None:
        """Count the result of one update."""
        outcome = result.outcome
        with self._lock:
            if result.error:
                self._failed += 1
            elif outcome and outcome.status == "rejected" and outcome.recorded:
                self._rejected[outcome.code or ""] += 1
            elif outcome and outcome.status == "made":
                self._made += 1
            elif outcome and outcome.status == "deleted":
                self._deleted += 1

    def count_render(self, seconds: float) -> None:
        """Count one source that a worker rendered or rejected, and how long that took."""
        with self._lock:
            self._renders += 1
            self._render_seconds += seconds

    def text(self, queued: int, running: int) -> str:
        """Return all metrics. `queued` and `running` are the numbers of updates at the moment."""
        with self._lock:
            lines = [
                *_metric("made_total", "counter", "Sources whose thumbnails were made.", self._made),
                *_metric("failed_total", "counter", "Updates that failed. They are tried again.", self._failed),
                *_metric("deleted_total", "counter", "Deleted sources whose thumbnails were deleted.", self._deleted),
                *_heading("rejected_total", "counter", "Sources that were rejected, by code."),
                *(f'thumbsmith_rejected_total{{code="{code}"}} {self._rejected[code]}' for code in Code),
                *_heading("render_seconds", "summary", "Seconds from request to result of a worker, for one source."),
                f"thumbsmith_render_seconds_sum {self._render_seconds:.6f}",
                f"thumbsmith_render_seconds_count {self._renders}",
                *_metric("queue", "gauge", "Updates that wait.", queued),
                *_metric("running", "gauge", "Updates that are being made.", running),
            ]
        return "\n".join(lines) + "\n"


def _heading(name: str, kind: str, about: str) -> Iterator[str]:
    yield f"# HELP thumbsmith_{name} {about}"
    yield f"# TYPE thumbsmith_{name} {kind}"


def _metric(name: str, kind: str, about: str, value: int) -> Iterator[str]:
    yield from _heading(name, kind, about)
    yield f"thumbsmith_{name} {value}"


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
        text = self.metrics.text(*self.load())
        return Response(text, headers={"Cache-Control": "no-store", "Content-Type": MEDIA_TYPE})
