"""`thumbsmith sync SRC DST --via batch`: planned here, made by a job of S3 Batch Operations."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import typer
from rich.console import Console

from thumbsmith.backfill import clients
from thumbsmith.backfill.batch_job import (
    BatchJobs,
    JobManifest,
    JobResources,
    inventory_manifest,
    manifest_lines,
    read_report,
    write_manifest,
)
from thumbsmith.backfill.send import amount_of
from thumbsmith.bulk.cost import Amount, Model, source
from thumbsmith.bulk.parallel import wait_or_stop
from thumbsmith.bulk.scan import Scope, scan
from thumbsmith.cli.sync_on_queue import bucket_of, model_of, plan_here, tell_estimate
from thumbsmith.cli.terminal import emit, people, progress, shown, stoppable
from thumbsmith.errors import StoreError, UsageError
from thumbsmith.store import Store, open_store

if TYPE_CHECKING:
    from thumbsmith.cli.sync_on_queue import Fleet


STACK: Final = "Thumbsmith"
REPORTS: Final = "reports"

# Seconds between two looks at a job.
PAUSE: Final = 5.0

# Functions at once that an estimate of time assumes: what an account has, S3 uses.
AT_ONCE: Final = 1_000

# A source of which nothing is known, as in an inventory, is taken for a photograph of so many bytes.
TYPICAL_BYTES: Final = 4_000_000


def run(scope: Scope, fleet: Fleet, *, yes: bool, dry_run: bool, as_json: bool) -> int:
    """Write or take a manifest, create the job, have it confirmed, and follow it; return the exit code."""
    console = people()
    means = JobResources.of_stack(_stack(fleet.address))
    with stoppable(console, "the call to AWS; a job that runs there goes on") as stopped:
        work = _Work(scope, fleet, means, console, stopped, as_json)
        manifest, amount = work.manifest(yes=yes, dry_run=dry_run)
        if manifest is None or stopped():
            return 130 if stopped() else 0
        return work.carry_out(manifest, amount, yes=yes)


def _stack(address: str) -> str:
    name = address.removeprefix("batch").removeprefix("://")
    if not address.startswith("batch") or address == "batch://" or "/" in name:
        raise UsageError(f"--via: expected sqs://QUEUE, a queue's URL, batch, or batch://STACK, found {address}")
    return name or STACK


@dataclass(slots=True)
class _Work:
    scope: Scope
    fleet: Fleet
    means: JobResources
    console: Console
    stopped: Callable[[], bool]
    as_json: bool

    def manifest(self, *, yes: bool, dry_run: bool) -> tuple[JobManifest | None, Amount | None]:
        """Return what the job is to work on, and its amount where that is known; None where nothing is to be done."""
        bucket, prefix = bucket_of(self.scope)
        if self.fleet.inventory:
            folder = self.fleet.inventory.rpartition("/")[0]
            listed = inventory_manifest(self.fleet.inventory, open_store(folder))
            return None if dry_run else listed, None
        with scan(self.scope, self.stopped) as found:
            plan_here(found, self.console, self.stopped, yes=yes)
            amount = amount_of(found.listing)
            tell_estimate(self._model(), amount, AT_ONCE, self.console, as_json=self.as_json)
            if dry_run or not amount.sources + amount.gone or self.stopped():
                return None, amount
            self._check(amount)
            name = f"manifests/{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.csv"
            lines = manifest_lines(bucket, (prefix + todo.key for todo in found.listing.deferred()))
            return write_manifest(self._place, self.means.bucket, name, lines), amount

    def carry_out(self, manifest: JobManifest, amount: Amount | None, *, yes: bool) -> int:
        """Create the job, wait for S3 to count its tasks, confirm it with what it costs, follow it, read its report."""
        jobs = BatchJobs(clients.client("s3control"), self.means)
        job = jobs.create(manifest, REPORTS)
        self._say(f"job {job} created", event="job", job=job)
        *_, counted = jobs.follow(job, self._pause, self.stopped, frozenset({"Suspended"}))
        if counted.status != "Suspended":
            return self._ended(job, counted.status, counted.reasons)
        whole = amount or _typical(counted.total)
        try:
            self._check(whole)
        except UsageError:
            jobs.cancel(job)
            raise
        go = not self.stopped() and self._confirm(counted.total, whole, yes=yes)
        if go:
            jobs.confirm(job)
        else:
            jobs.cancel(job)
            self._say(f"job {job} cancelled", event="cancelled", job=job)
            return 130 if self.stopped() else 1
        return self._follow(jobs, job, counted.total)

    def _follow(self, jobs: BatchJobs, job: str, total: int) -> int:
        with progress(self.console, "job", total) as advance:
            done = 0
            for told in jobs.follow(job, self._pause, self.stopped):
                now = told.succeeded + told.failed
                advance(f"{told.failed:,} failed", now - done)
                done = now
        if self.stopped():
            return 130
        if told.status != "Complete":
            return self._ended(job, told.status, told.reasons)
        report = read_report(self._place, REPORTS, job)
        for key, why in report.failed:
            self._say(f"failed {shown(key)}: {shown(why)}", event="failed", key=key, why=why)
        counts = dict(sorted(report.outcomes.items()))
        words = ", ".join(f"{count:,} {shown(outcome)}" for outcome, count in counts.items())
        self._say(f"{told.total:,} tasks: {words}", event="summary", tasks=told.total, outcomes=counts)
        return 1 if told.failed else 0

    def _check(self, amount: Amount) -> None:
        """Raise UsageError where the job would cost more than it may: a job is done as a whole or not at all."""
        most, dollars = self.fleet.limits.max_usd, self._model().bill(amount).total
        if most is not None and dollars > most:
            raise UsageError(f"--max-usd {most:g}: the job would cost about ${dollars:,.2f}: take a part by --prefix")

    def _confirm(self, tasks: int, amount: Amount, *, yes: bool) -> bool:
        dollars = self._model().bill(amount).total
        if yes:
            return True
        if not sys.stdin.isatty():
            raise UsageError(f"a job of {tasks:,} tasks, about ${dollars:,.2f}, waits to be confirmed: say --yes")
        return typer.confirm(f"{tasks:,} tasks, about ${dollars:,.2f}. Begin?", err=True)

    def _model(self) -> Model:
        return model_of(self.scope, "batch", self.fleet.milliseconds, self.fleet.memory)

    @property
    def _place(self) -> Store:
        return open_store(f"s3://{self.means.bucket}")

    def _ended(self, job: str, status: str, reasons: tuple[str, ...]) -> int:
        if self.stopped():
            return 130
        raise StoreError(f"job {job}: {status}: {'; '.join(reasons) or 'no reason was given'}", transient=False)

    def _pause(self) -> None:
        wait_or_stop(PAUSE, self.stopped)

    def _say(self, sentence: str, **fields: object) -> None:
        if self.as_json:
            emit(str(fields.pop("event")), **fields)
        else:
            typer.echo(sentence)


def _typical(tasks: int) -> Amount:
    return source(TYPICAL_BYTES) * tasks
