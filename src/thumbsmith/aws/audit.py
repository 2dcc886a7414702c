"""The audit's function, thumbsmith.aws.audit.handler: the state of a bucket's thumbnails as metrics, with repair.

An invocation checks the keys with one prefix against both listings and the manifests, like `thumbsmith plan`. Missing,
stale and orphaned thumbnails are drift: from a lost event, a late write, or a manual change. If there is a backfill
queue, their keys are sent to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from thumbsmith.backfill.clients import MAX_BATCH_MESSAGES, open_queue
from thumbsmith.backfill.send import THREADS, Sender
from thumbsmith.bulk.cost import Totals
from thumbsmith.bulk.parallel import each
from thumbsmith.bulk.scan import KeyJoin, Scope, batched, scan
from thumbsmith.bulk.sync import classify
from thumbsmith.dispatch.invocation import Context
from thumbsmith.dispatch.settings import FunctionSettings, StoreAddress
from thumbsmith.dispatch.telemetry import log, log_metrics
from thumbsmith.environment import Setting, function_name
from thumbsmith.errors import UsageError

# The scan ends this long before Lambda ends the process, to leave time for repairs and metrics.
END_SECONDS: Final = 60.0


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Audit the keys with the event's `prefix`; print and return the metrics, and the count of `ignored` files.

    Raises UsageError, StoreError.
    """
    end = time.monotonic() + max(context.get_remaining_time_in_millis() / 1000 - END_SECONDS, 0)
    prefix, url = str(event.get("prefix", "")), Setting.BACKFILL.read()
    settings = FunctionSettings.from_environment()
    totals, sent, complete = audit(settings, prefix, lambda: time.monotonic() >= end, open_queue(url) if url else None)
    numbers = dict(metrics(totals, sent, complete=complete))
    fields = {"prefix": prefix, "ignored": totals.ignored}
    log_metrics("Audit", function_name() or context.function_name, numbers, **fields)
    return {**fields, **numbers}


def audit(
    settings: FunctionSettings, prefix: str, stop: Callable[[], bool], sender: Sender | None
) -> tuple[Totals, int, bool]:
    """Return the totals of the keys with a prefix, the number of keys sent for repair, and whether all were checked.

    Sends nothing if more than half of all thumbnails would be deleted: the source may be mistyped, or empty by mistake.
    Sends no deletion if not all keys were checked. Raises StoreError.
    """
    scope = Scope(source=settings.source, destination=settings.destination, recipe=settings.recipe, prefix=prefix)
    totals, sent = Totals(), 0
    with scan(scope) as found:
        try:
            totals.ignored = found.join.ignored
            for _ in classify(found, stop=stop, on_status=totals.add):
                pass
        except UsageError as refusal:
            log(level="ERROR", event="audit", prefix=prefix, detail=str(refusal))
            return totals, 0, True
        complete = not stop()
        if sender:
            sent = _repair(found.join, settings, sender, deletions=complete)
    return totals, sent, complete


def metrics(totals: Totals, sent: int, *, complete: bool) -> Iterator[tuple[str, float]]:
    """Yield names and values of the metrics. `Drift` is the number of sources and objects that are not as expected."""
    yield "Sources", sum(totals.sources.values())
    yield "Missing", totals.sources["missing"]
    yield "Stale", totals.sources["stale"]
    yield "Orphaned", totals.orphaned
    yield "Unknown", totals.failed
    yield "Drift", totals.to_make + totals.orphaned + totals.failed
    yield "Repairs", sent
    yield "Unfinished", 0 if complete else 1


def _repair(listing: KeyJoin, settings: FunctionSettings, sender: Sender, *, deletions: bool) -> int:
    """Send the keys that need work to the queue; return how many. Without `deletions`, only keys with a source."""
    source = StoreAddress.of(settings.source)

    def send(bodies: list[str]) -> int:
        sender.send(bodies)
        return len(bodies)

    bodies = (source.message(pending.key) for pending in listing.pending() if pending.listed or deletions)
    return sum(each(send, batched(bodies, MAX_BATCH_MESSAGES), threads=THREADS, stop=lambda: False))
