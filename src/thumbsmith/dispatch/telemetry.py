"""The function's log: one line of JSON for each event, and one with the metrics of all images of an invocation.

Metrics are in CloudWatch's embedded metric format. Logs are billed by the byte, so the lines of images are short.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from thumbsmith.dispatch.converger import KeyResult
from thumbsmith.environment import METRICS_NAMESPACE
from thumbsmith.errors import ThumbsmithError
from thumbsmith.events import Ignored
from thumbsmith.reconcile.converge import outcome_word

# The numbers that are also in the line of each image.
_NUMBERS_OF_AN_IMAGE: Final = ("TotalMilliseconds", "QueueMilliseconds", "CpuMilliseconds", "BytesIn")

# The format allows this number of values for one metric in one line.
MAX_METRIC_VALUES: Final = 100

# The length of a message or a traceback in the log. CloudWatch accepts lines of at most 256 KB.
_MAX_TEXT_CHARACTERS: Final = 8_000


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Logs the events of one invocation. `function` and `request_id` are names that Lambda gives."""

    function: str
    request_id: str

    def image(self, result: KeyResult) -> None:
        """Log the result of one key in a short line."""
        outcome, error = result.outcome, result.error
        numbers = _numbers(result)
        log(
            level="ERROR" if error else "INFO",
            event="image",
            key=result.job.key,
            outcome=outcome_word(outcome),
            code=_code(result),
            detail=outcome.detail if outcome else _shortened(str(error)),
            error=type(error).__name__ if error else None,
            traceback=_traceback(error),
            renditions=len(outcome.renditions) if outcome else None,
            written=outcome.written if outcome else None,
            deleted=outcome.deleted if outcome else None,
            peak_memory=result.work.peak_memory if result.work else None,
            **{name: numbers.get(name) for name in _NUMBERS_OF_AN_IMAGE},
            request_id=self.request_id,
        )

    def images(self, results: Sequence[KeyResult]) -> None:
        """Log the metrics of these results, in one line for each outcome and code.

        `Images` is their number, by `Outcome`, and by `Code` for rejections and failures. The others are lists: times,
        sizes, and 0 or 1 for `Failed` and `Rejected`, whose average is a share of all images.
        """
        groups: dict[tuple[str, str | None], list[KeyResult]] = {}
        for result in results:
            groups.setdefault((outcome_word(result.outcome), _code(result)), []).append(result)
        for (word, code), group in groups.items():
            for start in range(0, len(group), MAX_METRIC_VALUES):
                self._metrics(word, code, group[start : start + MAX_METRIC_VALUES])

    def _metrics(self, word: str, code: str | None, group: Sequence[KeyResult]) -> None:
        values: dict[str, list[float]] = {
            "Failed": [int(word == "failed")] * len(group),
            "Rejected": [int(word == "rejected")] * len(group),
        }
        for result in group:
            for name, number in _numbers(result).items():
                values.setdefault(name, []).append(number)
        dimensions = [("Function", "Outcome"), *([("Function", "Code")] if code else [])]
        directives = [_directive(dimensions, ["Images"]), _directive([("Function",)], values)]
        fields = {"event": "metrics", "Outcome": word, "Code": code, "Images": len(group)}
        self._log({**fields, **values}, directives)

    def ignored(self, event: Ignored) -> None:
        """Log an event that changes no thumbnail, and count it: `Ignored` by `Reason`."""
        fields = {"level": "INFO", "event": "ignored", "reason": event.reason, "detail": _shortened(event.detail)}
        directive = _directive([("Function", "Reason")], ["Ignored"])
        self._log({**fields, "Reason": event.reason, "Ignored": 1}, [directive])

    def unreadable(self, detail: str, message: str | None = None) -> None:
        """Log an unreadable event, and count it: `Unreadable`. `message` is the identifier of its queue message."""
        fields = {"level": "ERROR", "event": "unreadable", "message": message, "detail": _shortened(detail)}
        self._log({**fields, "Unreadable": 1}, [_directive([("Function",)], ["Unreadable"])])

    def _log(self, fields: Mapping[str, Any], metrics: list[dict[str, Any]]) -> None:
        aws = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": metrics}
        log(**fields, request_id=self.request_id, Function=self.function, _aws=aws)


def log_metrics(event: str, function: str, numbers: Mapping[str, float], **fields: object) -> None:
    """Print a line with these fields, and with these numbers as metrics of the function."""
    directive = _directive([("Function",)], numbers)
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
    separators = (",", ":") if "_aws" in fields else None  # lines with metrics are for CloudWatch, not for people
    line = json.dumps({name: value for name, value in fields.items() if value is not None}, separators=separators)
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
    milliseconds = {name: round(1000 * value, 1) for name, value in seconds.items() if value is not None}
    return milliseconds | {name: value for name, value in counts.items() if value is not None}


def _directive(dimensions: Sequence[tuple[str, ...]], names: Iterable[str]) -> dict[str, Any]:
    """Return the directive with which CloudWatch reads these members of a line as metrics.

    Each tuple of `dimensions` gives a metric of its own.
    """
    metrics = [{"Name": name} for name in names]  # without units: names end in Milliseconds or begin with Bytes
    return {"Namespace": METRICS_NAMESPACE, "Dimensions": [list(each) for each in dimensions], "Metrics": metrics}


def _code(result: KeyResult) -> str | None:
    """Return the code of a rejection, or the kind of an error; None for other outcomes."""
    return result.outcome.code if result.outcome else _error_code(result.error)


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
