"""The function's log: one line of JSON for each event, with metrics in CloudWatch's embedded metric format.

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
from thumbsmith.reconcile.converge import outcome_word

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

# The length of a message or a traceback in the log. CloudWatch accepts lines of at most 256 KB.
_MAX_TEXT_CHARACTERS: Final = 8_000


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Logs the events of one invocation. `function` and `request_id` are names that Lambda gives."""

    function: str
    request_id: str

    def image(self, result: KeyResult) -> None:
        """Log the result of one key, with its metrics: `Images` by `Outcome`, and its times and sizes."""
        outcome, error = result.outcome, result.error
        word = outcome_word(outcome)
        fields = {
            "level": "ERROR" if error else "INFO",
            "event": "image",
            "key": result.job.key,
            "outcome": word,
            "code": outcome.code if outcome else _error_code(error),
            "detail": outcome.detail if outcome else _shortened(str(error)),
            "error": type(error).__name__ if error else None,
            "traceback": _traceback(error),
            "renditions": len(outcome.renditions) if outcome else None,
            "written": outcome.written if outcome else None,
            "deleted": outcome.deleted if outcome else None,
            "peak_memory": result.work.peak_memory if result.work else None,
        }
        numbers = _numbers(result)
        metrics = [_directive(("Function", "Outcome"), {"Images": "Count"}), _directive(("Function",), numbers)]
        self._log({**fields, "Outcome": word, "Images": 1, **numbers}, metrics)

    def ignored(self, event: Ignored) -> None:
        """Log an event that changes no thumbnail, and count it: `Ignored` by `Reason`."""
        fields = {"level": "INFO", "event": "ignored", "reason": event.reason, "detail": _shortened(event.detail)}
        directive = _directive(("Function", "Reason"), {"Ignored": "Count"})
        self._log({**fields, "Reason": event.reason, "Ignored": 1}, [directive])

    def unreadable(self, detail: str, message: str | None = None) -> None:
        """Log an unreadable event, and count it: `Unreadable`. `message` is the identifier of its queue message."""
        fields = {"level": "ERROR", "event": "unreadable", "message": message, "detail": _shortened(detail)}
        self._log({**fields, "Unreadable": 1}, [_directive(("Function",), {"Unreadable": "Count"})])

    def _log(self, fields: Mapping[str, Any], metrics: list[dict[str, Any]]) -> None:
        aws = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": metrics}
        log(**fields, request_id=self.request_id, Function=self.function, _aws=aws)


def log_metrics(event: str, function: str, numbers: Mapping[str, float], **fields: object) -> None:
    """Print a line with these fields, and with these numbers as metrics of the function."""
    directive = _directive(("Function",), numbers)
    aws = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    log(level="INFO", event=event.lower(), **fields, Function=function, **numbers, _aws=aws)


def log_problem(problem: Exception) -> None:
    """Print the reason why this process cannot work: an error in its settings, or of its queue."""
    log(level="ERROR", event="settings", error=type(problem).__name__, detail=str(problem))


def log_isolation(layers: Mapping[str, bool]) -> None:
    """Print which layers of isolation (worker/isolation.py) are active in the workers, and which are missing."""
    log(
        level="INFO",
        event="isolation",
        layers=[name for name in layers if layers[name]],
        open=[name for name in layers if not layers[name]],
    )


def log(**fields: object) -> None:
    """Print one line with the fields that are not None. It is ASCII: no character of a key can end the line."""
    line = json.dumps({name: value for name, value in fields.items() if value is not None})
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _numbers(result: KeyResult) -> dict[str, float]:
    """Return the times and sizes of one key, as far as they are known."""
    work, sent = result.work, result.job.sent
    seconds = {
        "LookMilliseconds": result.before_seconds,
        "RenderMilliseconds": result.render_seconds,
        "StoreMilliseconds": result.after_seconds,
        "TotalMilliseconds": result.total_seconds,
        "QueueMilliseconds": max(time.time() - result.total_seconds - sent, 0.0) if sent is not None else None,
        "CpuMilliseconds": work.cpu_seconds if work else None,
    }
    counts = {
        "BytesIn": work.probe.bytes if work else None,
        "BytesOut": sum(len(rendition.data) for rendition in work.renditions) if work else None,
        "Pixels": work.probe.width * work.probe.height if work else None,
    }
    milliseconds = {name: round(1000 * value, 3) for name, value in seconds.items() if value is not None}
    return milliseconds | {name: value for name, value in counts.items() if value is not None}


def _directive(dimensions: tuple[str, ...], names: Mapping[str, object]) -> dict[str, Any]:
    """Return the directive with which CloudWatch reads these members of a line as metrics with these dimensions."""
    metrics = [{"Name": name, "Unit": _UNITS.get(name, "Count")} for name in names]
    return {"Namespace": NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": metrics}


def _error_code(error: Exception | None) -> str:
    """Return whether an error is transient, permanent, or a bug in this program."""
    if isinstance(error, ThumbsmithError):
        return "transient" if error.transient else "permanent"
    return "bug"


def _traceback(error: Exception | None) -> str | None:
    """Return the end of the traceback of a bug; None for an expected error."""
    if error is None or isinstance(error, ThumbsmithError):
        return None
    return "".join(traceback.format_exception(error))[-_MAX_TEXT_CHARACTERS:]


def _shortened(text: str) -> str:
    return text[:_MAX_TEXT_CHARACTERS]
