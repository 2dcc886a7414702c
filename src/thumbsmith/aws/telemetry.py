"""What the function prints: one line of JSON for each image, with its metrics in CloudWatch's embedded metric format.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from thumbsmith.aws.converger import KeyResult
from thumbsmith.errors import ThumbsmithError
from thumbsmith.events import Ignored

NAMESPACE: Final = "Thumbsmith"

_UNITS: Final = {
    "LookMilliseconds": "Milliseconds",
    "RenderMilliseconds": "Milliseconds",
    "StoreMilliseconds": "Milliseconds",
    "TotalMilliseconds": "Milliseconds",
    "QueueMilliseconds": "Milliseconds",
    "CpuMilliseconds": "Milliseconds",
    "BytesIn": "Bytes",
    "BytesOut": "Bytes",
    "Pixels": "Count",
}

# Of a sentence or a traceback, this many characters are told: a line has at most 256 KB.
_MAX_WORDS: Final = 8_000


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Tells what happens in one invocation of a function, of which both names are Lambda's."""

    function: str
    request_id: str

    def image(self, done: KeyResult) -> None:
        """Tell what became of one key, with its metrics: `Images` by `Outcome`, and what it took."""
        outcome, error = done.outcome, done.error
        word = outcome.status if outcome else "failed"
        said = {
            "level": "ERROR" if error else "INFO",
            "event": "image",
            "key": done.job.key,
            "outcome": word,
            "code": outcome.code if outcome else _kind(error),
            "detail": outcome.detail if outcome else _words(str(error)),
            "error": type(error).__name__ if error else None,
            "traceback": _traceback(error),
            "renditions": len(outcome.renditions) if outcome else None,
            "written": outcome.written if outcome else None,
            "deleted": outcome.deleted if outcome else None,
            "peak_memory": done.work.peak_memory if done.work else None,
        }
        numbers = _numbers(done)
        metrics = [_directive(("Function", "Outcome"), {"Images": "Count"}), _directive(("Function",), numbers)]
        self._tell({**said, "Outcome": word, "Images": 1, **numbers}, metrics)

    def ignored(self, other: Ignored) -> None:
        """Tell of an event that changes no thumbnail, and count it: `Ignored` by `Reason`."""
        said = {"level": "INFO", "event": "ignored", "reason": other.reason, "detail": _words(other.detail)}
        directive = _directive(("Function", "Reason"), {"Ignored": "Count"})
        self._tell({**said, "Reason": other.reason, "Ignored": 1}, [directive])

    def unreadable(self, detail: str, message: str | None = None) -> None:
        """Tell of a payload that nobody understands, and count it: `Unreadable`. `message` is its id in the queue."""
        said = {"level": "ERROR", "event": "unreadable", "message": message, "detail": _words(detail)}
        self._tell({**said, "Unreadable": 1}, [_directive(("Function",), {"Unreadable": "Count"})])

    def _tell(self, said: Mapping[str, Any], metrics: list[dict[str, Any]]) -> None:
        aws = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": metrics}
        _print({**said, "request_id": self.request_id, "Function": self.function, "_aws": aws})


def tell_metrics(event: str, function: str, numbers: Mapping[str, float], **said: object) -> None:
    """Print one line that says this, with its numbers as metrics of the function."""
    directive = _directive(("Function",), numbers)
    aws = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    _print({"level": "INFO", "event": event.lower(), **said, "Function": function, **numbers, "_aws": aws})


def tell_problem(problem: Exception) -> None:
    """Tell why the function cannot do anything, before its first invocation."""
    _print({"level": "ERROR", "event": "settings", "error": type(problem).__name__, "detail": str(problem)})


def tell_isolation(layers: Mapping[str, bool]) -> None:
    """Print which layers of isolation (worker/isolation.py) hold where pictures are handled, and which are open."""
    _print(
        {
            "level": "INFO",
            "event": "isolation",
            "layers": [name for name in layers if layers[name]],
            "open": [name for name in layers if not layers[name]],
        }
    )


def tell(**said: object) -> None:
    """Print one line that says this."""
    _print(said)


def _print(said: Mapping[str, Any]) -> None:
    """Print one line. All but ASCII is escaped: nothing that a key holds is taken for a line's end."""
    line = json.dumps({name: value for name, value in said.items() if value is not None})
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _numbers(done: KeyResult) -> dict[str, float]:
    """Return what an image took, as far as it is known."""
    work, sent = done.work, done.job.sent
    seconds = {
        "LookMilliseconds": done.look,
        "RenderMilliseconds": done.render,
        "StoreMilliseconds": done.store,
        "TotalMilliseconds": done.total,
        "QueueMilliseconds": max(time.time() - done.total - sent, 0.0) if sent is not None else None,
        "CpuMilliseconds": work.cpu_seconds if work else None,
    }
    counts = {
        "BytesIn": work.probe.bytes if work else None,
        "BytesOut": sum(len(made.data) for made in work.renditions) if work else None,
        "Pixels": work.probe.width * work.probe.height if work else None,
    }
    milliseconds = {name: round(1000 * value, 3) for name, value in seconds.items() if value is not None}
    return milliseconds | {name: value for name, value in counts.items() if value is not None}


def _directive(dimensions: tuple[str, ...], names: Mapping[str, object]) -> dict[str, Any]:
    """Return what tells CloudWatch which members of a line are metrics, and of what."""
    metrics = [{"Name": name, "Unit": _UNITS.get(name, "Count")} for name in names]
    return {"Namespace": NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": metrics}


def _kind(error: Exception | None) -> str:
    """Return in one word what an error means: for now, for good, or a mistake in this program."""
    if isinstance(error, ThumbsmithError):
        return "transient" if error.transient else "permanent"
    return "bug"


def _traceback(error: Exception | None) -> str | None:
    """Return where an error happened that nobody named."""
    if error is None or isinstance(error, ThumbsmithError):
        return None
    return "".join(traceback.format_exception(error))[-_MAX_WORDS:]


def _words(text: str) -> str:
    return text[:_MAX_WORDS]
