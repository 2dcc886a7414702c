"""`thumbsmith sync SRC DST --via batch`: plan here, and let a job of S3 Batch Operations call the functions."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import click

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
from thumbsmith.bulk.cost import Amount, Model, source_amount
from thumbsmith.bulk.parallel import wait_or_stop
from thumbsmith.bulk.scan import Scope
from thumbsmith.cli.scope import listed_stores
from thumbsmith.cli.stopping import stoppable
from thumbsmith.cli.sync_on_aws import Backfill, bucket_of, model_of, plan_keys, print_estimate
from thumbsmith.cli.terminal import Console, emit
from thumbsmith.cli.wording import ignored_words, plural, printable
from thumbsmith.errors import StoreError, UsageError
from thumbsmith.store import Store, open_store

DEFAULT_STACK: Final = "Thumbsmith"
REPORT_PREFIX: Final = "reports"

POLL_SECONDS: Final = 5.0

# The estimate assumes this number of concurrent functions: S3 uses all that an account has.
CONCURRENCY: Final = 1_000

# The estimate assumes this size for sources of an inventory, whose sizes are not known here.
TYPICAL_SOURCE_BYTES: Final = 4_000_000


def run(scope: Scope, backfill: Backfill) -> int:
    """Write or take a manifest, create the job, let the user confirm it, and follow it; return the exit code."""
    console = Console()
    resources = JobResources.of_stack(_stack(backfill.address))
    with stoppable(console, "the call to AWS; a job that has started continues there") as stopped:
        job_run = _JobRun(scope, backfill, resources, console, stopped)
        manifest, amount = job_run.manifest()
        if manifest is None or stopped():
            return 130 if stopped() else 0
        return job_run.carry_out(manifest, amount)


def _stack(address: str) -> str:
    """Return the name of the stack in `batch` or `batch://STACK`. Raises UsageError for another address."""
    name = address.removeprefix("batch").removeprefix("://")
    if not address.startswith("batch") or address == "batch://" or "/" in name:
        raise UsageError(f"--via: expected sqs://QUEUE, a queue's URL, batch, or batch://STACK, found {address}")
    return name or DEFAULT_STACK


@dataclass(slots=True)
class _JobRun:
    scope: Scope
    backfill: Backfill
    resources: JobResources
    console: Console
    stopped: Callable[[], bool]
    ignored: int | None = None  # None for an inventory, which is not listed here

    def manifest(self) -> tuple[JobManifest | None, Amount | None]:
        """Return the manifest of the job, None if there is nothing to do; and the amount of work, None if unknown."""
        bucket, prefix = bucket_of(self.scope)
        if self.backfill.inventory:
            folder = self.backfill.inventory.rpartition("/")[0]
            listed = inventory_manifest(self.backfill.inventory, open_store(folder))
            return None if self.backfill.dry_run else listed, None
        with listed_stores(self.scope, self.console, self.stopped) as found:
            self.ignored = found.join.ignored
            plan_keys(found, self.console, self.stopped, yes=self.backfill.yes)
            amount = amount_of(found.join)
            print_estimate(self._model(), amount, CONCURRENCY, self.console, as_json=self.backfill.as_json)
            if self.backfill.dry_run or not amount.sources + amount.orphans or self.stopped():
                return None, amount
            self._require_budget(amount)
            name = f"manifests/{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.csv"
            lines = manifest_lines(bucket, (prefix + todo.key for todo in found.join.pending()))
            return write_manifest(self._bucket, self.resources.bucket, name, lines), amount

    def carry_out(self, manifest: JobManifest, amount: Amount | None) -> int:
        """Create the job, wait until S3 has counted its tasks, confirm it with its cost, and follow it."""
        jobs = BatchJobs(clients.client("s3control"), self.resources)
        job = jobs.create(manifest, REPORT_PREFIX)
        self._print(f"job {job} created", event="job", job=job)
        *_, counted = jobs.follow(job, self._pause, self.stopped, frozenset({"Suspended"}))
        if counted.status != "Suspended":
            return self._fail(job, counted.status, counted.reasons)
        work = amount or source_amount(TYPICAL_SOURCE_BYTES, new=True) * counted.total
        try:
            self._require_budget(work)
        except UsageError:
            jobs.cancel(job)
            raise
        go = not self.stopped() and self._confirm(counted.total, work)
        if go:
            jobs.confirm(job)
        else:
            jobs.cancel(job)
            self._print(f"job {job} cancelled", event="cancelled", job=job)
            return 130 if self.stopped() else 1
        return self._follow(jobs, job, counted.total)

    def _follow(self, jobs: BatchJobs, job: str, total: int) -> int:
        """Follow the job to its end, and print its report; return the exit code."""
        with self.console.progress("job", total) as advance:
            done = 0
            for state in jobs.follow(job, self._pause, self.stopped):
                now = state.succeeded + state.failed
                advance(f"{state.failed:,} failed", now - done)
                done = now
        if self.stopped():
            return 130
        if state.status != "Complete":
            return self._fail(job, state.status, state.reasons)
        report = read_report(self._bucket, REPORT_PREFIX, job)
        for key, why in report.failed:
            self._print(f"failed {printable(key)}: {printable(why)}", event="failed", key=key, why=why)
        counts = dict(sorted(report.outcomes.items()))
        words = ", ".join(f"{count:,} {printable(outcome)}" for outcome, count in counts.items())
        others = f"; {ignored_words(self.ignored)}" if self.ignored else ""
        fields = {"tasks": state.total, "outcomes": counts, "ignored": self.ignored}
        self._print(f"{plural(state.total, 'task')}: {words}{others}", event="summary", **fields)
        return 1 if state.failed else 0

    def _require_budget(self, amount: Amount) -> None:
        """Raise UsageError if the job would cost more than the maximum. A job cannot do a part of its work."""
        maximum, dollars = self.backfill.limits.max_usd, self._model().bill(amount).total
        if maximum is not None and dollars > maximum:
            raise UsageError(
                f"--max-usd {maximum:g}: the job would cost about ${dollars:,.2f}: select fewer keys with --prefix"
            )

    def _confirm(self, tasks: int, amount: Amount) -> bool:
        dollars = self._model().bill(amount).total
        if self.backfill.yes:
            return True
        if not sys.stdin.isatty():
            raise UsageError(
                f"a job of {plural(tasks, 'task')}, about ${dollars:,.2f}, waits for confirmation: use --yes"
            )
        return click.confirm(f"{plural(tasks, 'task')}, about ${dollars:,.2f}. Start?", err=True)

    def _model(self) -> Model:
        return model_of(self.scope, "batch", self.backfill.milliseconds)

    @property
    def _bucket(self) -> Store:
        return open_store(f"s3://{self.resources.bucket}")

    def _fail(self, job: str, status: str, reasons: tuple[str, ...]) -> int:
        """Raise StoreError for a job that ended without success; return the exit code of an interrupted run."""
        if self.stopped():
            return 130
        raise StoreError(f"job {job}: {status}: {'; '.join(reasons) or 'S3 gave no reason'}", transient=False)

    def _pause(self) -> None:
        wait_or_stop(POLL_SECONDS, self.stopped)

    def _print(self, sentence: str, **fields: object) -> None:
        if self.backfill.as_json:
            emit(str(fields.pop("event")), **fields)
        else:
            click.echo(sentence)
