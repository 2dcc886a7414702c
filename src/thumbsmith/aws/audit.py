"""The audit's function, thumbsmith.aws.audit.handler: how a bucket's thumbnails stand, as metrics; on wish, repaired.

An invocation looks at the keys of one prefix, by both listings and the manifests, as `thumbsmith plan` does. What is
missing, stale or orphaned is drift: an event that was lost, a write that came late, a hand in the bucket. It is sent to
the backfill's queue where there is one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from thumbsmith.aws.invocation import Context
from thumbsmith.aws.settings import FunctionSettings, from_environment, place_of
from thumbsmith.aws.telemetry import tell, tell_metrics
from thumbsmith.backfill.clients import open_queue
from thumbsmith.backfill.send import BATCH, THREADS, Sender
from thumbsmith.bulk.join import KeyJoin, batched
from thumbsmith.bulk.parallel import each
from thumbsmith.bulk.scan import Scope, scan
from thumbsmith.bulk.status import Totals
from thumbsmith.bulk.sync import settle
from thumbsmith.environment import backfill_setting, function_name
from thumbsmith.errors import UsageError
from thumbsmith.events import backfill_message

# Seconds before Lambda's end at which looking ends, and what is known is sent and told.
ENDING: Final = 60.0


def audit(
    settings: FunctionSettings, prefix: str, stop: Callable[[], bool], sender: Sender | None
) -> tuple[Totals, int, bool]:
    """Return how the keys with a prefix stand, how many were sent to be repaired, and whether all were looked at.

    Nothing is sent where more than half of all thumbnails would be deleted: the source may be mistyped, or emptied by
    mistake. Nothing is deleted either where not all was looked at. Raises StoreError.
    """
    scope = Scope(source=settings.source, destination=settings.destination, recipe=settings.recipe, prefix=prefix)
    totals, sent = Totals(), 0
    with scan(scope) as found:
        try:
            for _ in settle(found, stop=stop, told=totals.add):
                pass
        except UsageError as refusal:
            tell(level="ERROR", event="audit", prefix=prefix, detail=str(refusal))
            return totals, 0, True
        complete = not stop()
        if sender:
            sent = _repair(found.listing, settings, sender, deletions=complete)
    return totals, sent, complete


def _repair(listing: KeyJoin, settings: FunctionSettings, sender: Sender, *, deletions: bool) -> int:
    """Send the keys that are to be made right; return how many."""
    place = place_of(settings.source)

    def send(bodies: list[str]) -> int:
        sender.send(bodies)
        return len(bodies)

    bodies = (
        backfill_message(place.bucket, place.prefix + todo.key)
        for todo in listing.deferred()
        if todo.listed or deletions
    )
    return sum(each(send, batched(bodies, BATCH), threads=THREADS, stop=lambda: False))


def metrics(totals: Totals, sent: int, *, complete: bool) -> Iterator[tuple[str, float]]:
    """Yield the metrics: `Drift` is all that should not be."""
    yield "Sources", sum(totals.sources.values())
    yield "Missing", totals.sources["missing"]
    yield "Stale", totals.sources["stale"]
    yield "Orphaned", totals.orphaned
    yield "Unknown", totals.failed
    yield "Drift", totals.to_make + totals.orphaned + totals.failed
    yield "Repairs", sent
    yield "Unfinished", 0 if complete else 1


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Audit the keys that begin with the event's `prefix`; return and print the metrics."""
    end = time.monotonic() + max(context.get_remaining_time_in_millis() / 1000 - ENDING, 0)
    prefix, url = str(event.get("prefix", "")), backfill_setting()
    settings = from_environment()
    totals, sent, complete = audit(settings, prefix, lambda: time.monotonic() >= end, open_queue(url) if url else None)
    numbers = dict(metrics(totals, sent, complete=complete))
    tell_metrics("Audit", function_name() or context.function_name, numbers, prefix=prefix)
    return {"prefix": prefix, **numbers}
