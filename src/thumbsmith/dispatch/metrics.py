"""Metrics for Prometheus, in its text format.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, Protocol

from thumbsmith.errors import Code
from thumbsmith.reconcile.protocol import Outcome

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Counted(Protocol):
    """The result of one update: its outcome, or its error."""

    @property
    def outcome(self) -> Outcome | None:
        """Return the outcome; None after an error."""
        ...

    @property
    def error(self) -> Exception | None:
        """Return the error; None after success."""
        ...


@dataclass(slots=True)
class Metrics:
    """Counts what a process does from its start. May be used by several threads.

    A source counts when its thumbnails are made, its rejection is recorded, or an update fails.
    """

    _made: int = 0
    _failed: int = 0
    _deleted: int = 0
    _rejected: Counter[str] = field(default_factory=Counter)
    _renders: int = 0
    _render_seconds: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def count(self, result: Counted) -> None:
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

    def lines(self) -> list[str]:
        """Return the lines of all metrics."""
        with self._lock:
            return [
                *metric_lines("made_total", "counter", "Sources whose thumbnails were made.", self._made),
                *metric_lines("failed_total", "counter", "Updates that failed. They are tried again.", self._failed),
                *metric_lines(
                    "deleted_total", "counter", "Deleted sources whose thumbnails were deleted.", self._deleted
                ),
                *heading_lines("rejected_total", "counter", "Sources that were rejected, by code."),
                *(f'thumbsmith_rejected_total{{code="{code}"}} {self._rejected[code]}' for code in Code),
                *heading_lines(
                    "render_seconds", "summary", "Seconds from request to result of a worker, for one source."
                ),
                f"thumbsmith_render_seconds_sum {self._render_seconds:.6f}",
                f"thumbsmith_render_seconds_count {self._renders}",
            ]


def heading_lines(name: str, kind: str, about: str) -> Iterator[str]:
    """Yield the two lines before the values of a metric."""
    yield f"# HELP thumbsmith_{name} {about}"
    yield f"# TYPE thumbsmith_{name} {kind}"


def metric_lines(name: str, kind: str, about: str, value: int) -> Iterator[str]:
    """Yield the lines of a metric with one value."""
    yield from heading_lines(name, kind, about)
    yield f"thumbsmith_{name} {value}"
