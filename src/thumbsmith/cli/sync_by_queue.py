"""`thumbsmith sync SRC DST --via sqs://QUEUE`: plan here, send keys to a queue, and follow the functions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import click

from thumbsmith.backfill.clients import Queue, open_queue
from thumbsmith.backfill.send import (
    CONSISTENT_SECONDS,
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
from thumbsmith.bulk.cost import Model
from thumbsmith.bulk.manifest_cache import cache_file
from thumbsmith.bulk.parallel import wait_or_stop
from thumbsmith.bulk.scan import PendingKey, Scope, StoreScan
from thumbsmith.cli.scope import listed_stores
from thumbsmith.cli.stopping import stoppable
from thumbsmith.cli.sync_on_aws import Backfill, bucket_of, model_of, plan_keys, print_estimate
from thumbsmith.cli.terminal import Console, emit
from thumbsmith.cli.wording import ignored_words, plural, printable
from thumbsmith.environment import cache_folder
from thumbsmith.events import backfill_message

# The estimate assumes this number of concurrent functions, which is the construct's default for a backfill.
CONCURRENCY: Final = 20


def run(scope: Scope, backfill: Backfill) -> int:
    """Send all keys with work to do, and follow the functions; return the exit code."""
    bucket_of(scope)
    queue, console = open_queue(backfill.address), Console()
    with (
        SentLog(_log_file(scope, queue), scope.recipe.fingerprint) as log,
        stoppable(console, "the messages being sent") as stopped,
    ):
        queue_run = _QueueRun(scope, backfill, queue, log, console, stopped)
        if backfill.stop:
            return queue_run.stop()
        sent = SentTotals() if backfill.drain else queue_run.send()
        if backfill.dry_run:
            return 0
        if backfill.wait and not stopped():
            return queue_run.follow(sent)
        queue_run.summarize(sent, None)
        return 130 if stopped() else 1 if sent.over_budget or sent.given_up else 0


@dataclass(slots=True)
class _QueueRun:
    scope: Scope
    backfill: Backfill
    queue: Queue
    log: SentLog
    console: Console
    stopped: Callable[[], bool]
    started: float = 0.0
    sources: int = 0
    ignored: int = 0
    settled: dict[str, int] | None = None

    @property
    def model(self) -> Model:
        """Return the model for time and cost."""
        return model_of(self.scope, "queue", self.backfill.milliseconds)

    def send(self) -> SentTotals:
        """Plan, print the estimate, and send; return what was sent."""
        self.started, bucket, sent = time.monotonic(), bucket_of(self.scope), SentTotals()
        retry = self.scope.options.retry_rejected
        with listed_stores(self.scope, self.console, self.stopped) as found:
            self.sources, self.ignored = found.sources, found.join.ignored
            self.settled = plan_keys(found, self.console, self.stopped, yes=self.backfill.yes)
            if self.stopped():
                return sent
            model, amount = self.model, amount_of(found.join)
            print_estimate(model, amount, CONCURRENCY, self.console, as_json=self.backfill.as_json)
            if self.backfill.dry_run:
                return sent
            empty = not self.queue.depth().total
            message = partial(_message, *bucket, retry=retry, clock_lead=self.queue.clock_lead())
            sender = KeySender(self.queue, message, self.log, model, self._limits(found), empty)
            with self.console.progress("send", int(amount.sources + amount.orphans)) as advance:
                before = 0
                for so_far in sender.run(found.join, self.stopped):
                    advance(f"${model.bill(so_far.amount).total:,.2f}", so_far.keys - before)
                    before = so_far.keys
        return sender.sent

    def follow(self, sent: SentTotals) -> int:
        """Wait until the queue is empty, compare the stores, and print the result; return the exit code.

        SQS counts messages late, so the comparison is repeated for CONSISTENT_SECONDS.
        """
        depth = self.queue.depth().total
        until: float | None = None
        while True:
            self._drain(max(depth, sent.keys))
            if self.stopped():
                self.summarize(sent, None)
                return 130
            found = remaining(self.scope, self.stopped)
            self.ignored = found.totals.ignored
            until = until or time.monotonic() + (CONSISTENT_SECONDS if sent.keys or sent.in_flight else 0)
            if not found.keys or time.monotonic() >= until or sent.over_budget or sent.given_up:
                break
            wait_or_stop(CONSISTENT_SECONDS / 12, self.stopped)
        if not found.keys:
            self.log.clear()
        self._print_remaining(found)
        self.summarize(sent, found)
        return 130 if self.stopped() else 1 if found.keys else 0

    def stop(self) -> int:
        """Delete the messages that wait in the queue, and the log of sent keys: the next run plans again."""
        depth = self.queue.depth()
        self.queue.purge()
        self.log.clear()
        if self.backfill.as_json:
            emit("stopped", deleted=depth.waiting, in_hand=depth.in_flight)
        else:
            click.echo(
                f"about {plural(depth.waiting, 'message')} deleted; functions finish {depth.in_flight:,} in progress"
            )
        return 0

    def summarize(self, sent: SentTotals, found: Remaining | None) -> None:
        """Print what was sent and, after waiting, the outcomes."""
        dollars = round(self.model.bill(sent.amount).total, 4)
        totals = {"sent": sent.keys, "in_flight": sent.in_flight, "given_up": sent.given_up}
        outcomes = self._outcomes(found) if found else {}
        seconds = round(time.monotonic() - self.started, 3) if self.started else None
        sources = sum(outcomes.values()) if found else self.sources
        if self.backfill.as_json:
            counts = outcomes if found else self.settled or {}
            emit("summary", sources=sources, **counts, ignored=self.ignored, **totals, dollars=dollars, seconds=seconds)
            return
        words = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in (outcomes | totals).items())
        budget = "; stopped: the rest would cost more than --max-usd" if sent.over_budget else ""
        others = f"; {ignored_words(self.ignored)}" if self.ignored else ""
        click.echo(f"{plural(sources, 'source')}: {words}{others}; estimated cost ${dollars:,.2f}{budget}")

    def _outcomes(self, found: Remaining) -> dict[str, int]:
        """Return the number of sources by outcome. Sources that were not fresh in the plan, and are now, were made."""
        states, fresh_before = found.totals.sources, (self.settled or {}).get("fresh", 0)
        made = max(states["fresh"] - fresh_before, 0) if self.settled is not None else 0
        outcomes = {"made": made, "fresh": states["fresh"] - made, "rejected": states["rejected"]}
        failed = sum(states.values()) + found.totals.failed - sum(outcomes.values())
        return outcomes | {"failed": failed}

    def _limits(self, found: StoreScan) -> SendLimits:
        given = self.backfill.limits
        spent = cost.plan_bill(found.join.objects + found.sources, 0).total
        return SendLimits(max_usd=given.max_usd, rate=given.rate, spent=spent)

    def _drain(self, total: int) -> None:
        """Wait until the queue is empty, and show the progress."""
        with self.console.progress("functions", total) as advance:
            done = 0
            for depth in drain(self.queue, self.stopped):
                step = max(0, total - depth.total - done)
                done += step
                advance(f"{depth.waiting:,} waiting, {depth.in_flight:,} in progress", step)
                if self.backfill.as_json:
                    emit("depth", waiting=depth.waiting, in_hand=depth.in_flight)

    def _print_remaining(self, found: Remaining) -> None:
        for status in found.first:
            why = status.error.about(status.key) if status.error else status.why or "to be deleted"
            if self.backfill.as_json:
                emit("left", key=status.key, state=status.state, why=why)
            else:
                self.console.print(f"left {printable(status.key)}: {printable(why)}")
        if found.keys > len(found.first) and not self.backfill.as_json:
            self.console.print(f"left: {found.keys:,} in all; check the dead-letter queue (thumbsmith redrive)")


def _message(bucket: str, prefix: str, pending: PendingKey, *, retry: bool, clock_lead: float) -> str:
    """Return the message for a key, with the time by the queue's clock if nothing was made of the source."""
    now = datetime.fromtimestamp(time.time() - clock_lead, UTC).isoformat(timespec="seconds")
    return backfill_message(bucket, prefix + pending.key, retry=retry, new_at=now if pending.untouched else None)


def _log_file(scope: Scope, queue: Queue) -> Path | None:
    return cache_file(cache_folder(), "sent", queue.url, scope.source.url, scope.destination.url)
