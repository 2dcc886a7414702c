"""What both ways of a backfill begin with: two buckets, a plan, and what it takes.

`thumbsmith sync SRC DST --via sqs://QUEUE`: planned here, made by functions that are fed from the queue.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import typer
from rich.console import Console

from thumbsmith.backfill.clients import Queue, is_queue, open_queue
from thumbsmith.backfill.send import (
    CONSISTENT_SECONDS,
    NO_LIMITS,
    KeySender,
    Remaining,
    SendLimits,
    SentTotals,
    amount_of,
    drain,
    remaining,
)
from thumbsmith.backfill.sent_log import SentLog
from thumbsmith.bulk import cost
from thumbsmith.bulk import sync as engine
from thumbsmith.bulk.cost import Model
from thumbsmith.bulk.manifest_cache import cache_file
from thumbsmith.bulk.parallel import wait_or_stop
from thumbsmith.bulk.scan import Scope, StoreScan, scan
from thumbsmith.cli.cost import table
from thumbsmith.cli.terminal import duration, emit, people, progress, shown, stoppable
from thumbsmith.environment import cache_folder
from thumbsmith.errors import UsageError
from thumbsmith.events import backfill_message


def bucket_of(scope: Scope) -> tuple[str, str]:
    """Return bucket and prefix of the source, as functions know it. Raises UsageError where they could not."""
    location = scope.source.s3_location
    if location is None or scope.destination.s3_location is None:
        raise UsageError("--via: expected two buckets, found a folder: functions on AWS cannot reach it")
    if scope.options.keep_orphans:
        raise UsageError("--keep-orphans: not with --via: functions delete what nothing wants any more")
    return location


def model_of(scope: Scope, way: cost.Way, milliseconds: float | None, memory: int) -> Model:
    """Return the model of what functions take and cost."""
    return Model(recipe=scope.recipe, way=way, milliseconds=milliseconds, megabytes=memory)


def plan_here(found: StoreScan, console: Console, stop: Callable[[], bool], *, yes: bool) -> dict[str, int]:
    """Inspect all, and defer what is to be done; return how many sources are settled, by outcome.

    Raises UsageError where more than half of all thumbnails would be deleted, unless `yes`.
    """
    settled = {"fresh": 0, "rejected": 0, "failed": 0}
    with progress(console, "plan", found.sources) as advance:
        for done in engine.settle(found, stop=stop, may_wipe=yes):
            word = "failed" if done.error else done.outcome.status if done.outcome else ""
            settled[word] += 1
            advance(f"{settled['fresh']:,} fresh")
    return settled


def tell_estimate(model: Model, amount: cost.Amount, at_once: float, console: Console, *, as_json: bool) -> None:
    """Say how much there is to do, how long it takes with so many functions at once, and what it costs by line."""
    bill, seconds = model.bill(amount), model.seconds(amount, at_once)
    if as_json:
        lines = {name: round(dollars, 4) for name, dollars in bill.lines.items()}
        keys, size = int(amount.sources + amount.gone), int(amount.bytes)
        emit("estimate", keys=keys, bytes=size, seconds=round(seconds, 1), lines=lines, dollars=round(bill.total, 4))
        return
    todo = f"{amount.sources:,.0f} to make from {amount.bytes / 1e9:,.1f} GB, {amount.gone:,.0f} that are gone"
    console.print(f"{todo}; about {duration(seconds)} with {at_once:g} functions at once")
    for line in table(bill):
        console.print(f"  {line}")


# Functions at once that an estimate of time assumes: as many as the construct gives a backfill.
AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """How a backfill is run: where keys are sent, within which limits, and whether it is waited for."""

    address: str
    limits: SendLimits = NO_LIMITS
    milliseconds: float | None = None
    memory: int = 1769
    wait: bool = True
    drain: bool = False
    stop: bool = False
    inventory: str | None = None

    def run(self, scope: Scope, *, yes: bool, dry_run: bool, as_json: bool) -> int:
        """Run it, by a queue or by a job; return the exit code. Raises UsageError for an address of neither."""
        if is_queue(self.address):
            return run_by_queue(scope, self, yes=yes, dry_run=dry_run, as_json=as_json)
        from thumbsmith.cli import sync_by_batch  # noqa: PLC0415 - of the two ways only the one that is taken is loaded

        return sync_by_batch.run(scope, self, yes=yes, dry_run=dry_run, as_json=as_json)


def run_by_queue(scope: Scope, fleet: Fleet, *, yes: bool, dry_run: bool, as_json: bool) -> int:
    """Send all keys that are to be made right, and follow what becomes of them; return the exit code."""
    bucket_of(scope)
    queue, console = open_queue(fleet.address), people()
    with (
        SentLog(_ledger_file(scope, queue), scope.recipe.fingerprint) as ledger,
        stoppable(console, "what is being sent") as stopped,
    ):
        backfill = _Backfill(scope, fleet, queue, ledger, console, stopped, as_json)
        if fleet.stop:
            return backfill.stop()
        sent = SentTotals() if fleet.drain else backfill.send(yes=yes, dry_run=dry_run)
        if dry_run:
            return 0
        if fleet.wait and not stopped():
            return backfill.follow(sent)
        backfill.summarize(sent, None)
        return 130 if stopped() else 1 if sent.over_budget or sent.given_up else 0


@dataclass(slots=True)
class _Backfill:
    scope: Scope
    fleet: Fleet
    queue: Queue
    ledger: SentLog
    console: Console
    stopped: Callable[[], bool]
    as_json: bool
    began: float = 0.0
    sources: int = 0
    settled: dict[str, int] | None = None

    @property
    def model(self) -> Model:
        """Return the model of what functions take and cost."""
        return model_of(self.scope, "queue", self.fleet.milliseconds, self.fleet.memory)

    def send(self, *, yes: bool, dry_run: bool) -> SentTotals:
        """Plan, tell what it takes, and send; return what was sent."""
        self.began, bucket, sent = time.monotonic(), bucket_of(self.scope), SentTotals()
        retry = self.scope.options.retry_rejected
        with scan(self.scope, self.stopped) as found:
            self.sources = found.sources
            self.settled = plan_here(found, self.console, self.stopped, yes=yes)
            if self.stopped():
                return sent
            model, amount = self.model, amount_of(found.listing)
            tell_estimate(model, amount, AT_ONCE, self.console, as_json=self.as_json)
            if dry_run:
                return sent
            empty = not self.queue.depth().total
            message = partial(_message, *bucket, retry=retry)
            sending = KeySender(self.queue, message, self.ledger, model, self._limits(found), empty)
            with progress(self.console, "send", int(amount.sources + amount.gone)) as advance:
                before = 0
                for so_far in sending.run(found.listing, self.stopped):
                    advance(f"${model.bill(so_far.amount).total:,.2f}", so_far.keys - before)
                    before = so_far.keys
        return sending.sent

    def follow(self, sent: SentTotals) -> int:
        """Wait until the queue is empty, look how all stands, and tell; return the exit code."""
        depth = self.queue.depth().total
        until: float | None = None
        while True:
            self._drain(max(depth, sent.keys))
            if self.stopped():
                self.summarize(sent, None)
                return 130
            found = remaining(self.scope, self.stopped)
            until = until or time.monotonic() + (CONSISTENT_SECONDS if sent.keys or sent.in_flight else 0)
            if not found.keys or time.monotonic() >= until or sent.over_budget or sent.given_up:
                break
            wait_or_stop(CONSISTENT_SECONDS / 12, self.stopped)
        if not found.keys:
            self.ledger.clear()
        self._tell_left(found)
        self.summarize(sent, found)
        return 130 if self.stopped() else 1 if found.keys else 0

    def stop(self) -> int:
        """Delete what waits in the queue, and forget that it was sent: the next run plans anew."""
        depth = self.queue.depth()
        self.queue.purge()
        self.ledger.clear()
        if self.as_json:
            emit("stopped", deleted=depth.waiting, in_hand=depth.in_flight)
        else:
            typer.echo(f"about {depth.waiting:,} messages deleted; {depth.in_flight:,} in hand are finished")
        return 0

    def summarize(self, sent: SentTotals, found: Remaining | None) -> None:
        """Tell what was sent and, where it was waited for, what became of it."""
        dollars = round(self.model.bill(sent.amount).total, 4)
        numbers = {"sent": sent.keys, "in_flight": sent.in_flight, "given_up": sent.given_up}
        before = self.settled or {}
        after: dict[str, int] = {}
        if found:
            totals, fresh = found.totals, before.get("fresh", 0)
            made = max(totals.sources["fresh"] - fresh, 0) if self.settled is not None else 0
            after = {"made": made, "fresh": totals.sources["fresh"] - made, "rejected": totals.sources["rejected"]}
            after["failed"] = sum(totals.sources.values()) + totals.failed - sum(after.values())
        seconds = round(time.monotonic() - self.began, 3) if self.began else None
        sources = sum(after.values()) if found else self.sources
        if self.as_json:
            counts = after if found else before
            emit("summary", sources=sources, **counts, **numbers, dollars=dollars, seconds=seconds)
            return
        words = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in (after | numbers).items())
        budget = "; stopped: the rest would cost more than --max-usd" if sent.over_budget else ""
        typer.echo(f"{sources:,} sources: {words}; ${dollars:,.2f} by the model{budget}")

    def _limits(self, found: StoreScan) -> SendLimits:
        given = self.fleet.limits
        spent = cost.planning(found.listing.objects + found.sources, 0).total
        return SendLimits(max_usd=given.max_usd, rate=given.rate, spent=spent)

    def _drain(self, total: int) -> None:
        with progress(self.console, "fleet", total) as advance:
            done = 0
            for depth in drain(self.queue, self.stopped):
                step = max(0, total - depth.total - done)
                done += step
                advance(f"{depth.waiting:,} waiting, {depth.in_flight:,} in hand", step)
                if self.as_json:
                    emit("depth", waiting=depth.waiting, in_hand=depth.in_flight)

    def _tell_left(self, found: Remaining) -> None:
        for standing in found.first:
            why = standing.error.about(standing.key) if standing.error else standing.why or "to be deleted"
            if self.as_json:
                emit("left", key=standing.key, state=standing.state, why=why)
            else:
                self.console.print(f"left {shown(standing.key)}: {shown(why)}")
        if found.keys > len(found.first) and not self.as_json:
            self.console.print(f"left: {found.keys:,} in all; see the queue's dead letters (thumbsmith redrive)")


def _message(bucket: str, prefix: str, key: str, *, retry: bool) -> str:
    return backfill_message(bucket, prefix + key, retry=retry)


def _ledger_file(scope: Scope, queue: Queue) -> Path | None:
    return cache_file(cache_folder(), "sent", queue.url, scope.source.url, scope.destination.url)
