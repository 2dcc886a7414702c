"""`thumbsmith sync SRC DST`: make the destination agree with the source."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from thumbsmith.bulk import sync as engine
from thumbsmith.bulk.scan import Scope
from thumbsmith.bulk.stores import SyncCounts
from thumbsmith.bulk.watch import ReportedFailures
from thumbsmith.cli import workers as early
from thumbsmith.cli.arguments import (
    destination_argument,
    jobs_option,
    json_option,
    keep_orphans_option,
    level_options,
    prefix_option,
    recipe_option,
    retry_rejected_option,
    selection_options,
    source_argument,
    yes_option,
)
from thumbsmith.cli.command import command
from thumbsmith.cli.outcomes import Reporter, counts_sentence, emit_key
from thumbsmith.cli.plan import print_plan
from thumbsmith.cli.scope import explain_no_sources, listed_stores, scope_of
from thumbsmith.cli.stopping import stoppable
from thumbsmith.cli.sync_options import ON_AWS, Method, aws_options, method_of, refuse_unused_options
from thumbsmith.cli.terminal import Console, emit
from thumbsmith.errors import Stopped
from thumbsmith.reconcile.protocol import Options
from thumbsmith.worker import THREADS_PER_WORKER, Workers, usable_cores

if TYPE_CHECKING:
    from thumbsmith.cli.sync_on_aws import Backfill


@command(sections={"On AWS": ON_AWS})
@source_argument
@destination_argument
@recipe_option
@prefix_option
@jobs_option
@keep_orphans_option
@click.option("--dry-run", is_flag=True, help="Change nothing; print what would be done, like plan.")
@retry_rejected_option
@yes_option
@selection_options
@json_option
@level_options
@aws_options
@click.pass_context
def sync(
    context: click.Context,
    source: str,
    destination: str,
    recipe: str | None,
    prefix: str,
    jobs: int | None,
    keep_orphans: bool,
    dry_run: bool,
    retry_rejected: bool,
    yes: bool,
    via: str | None,
    max_usd: float | None,
    rate: float | None,
    milliseconds: float | None,
    wait: bool,
    drain: bool,
    stop: bool,
    inventory: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    as_json: bool,
) -> int:
    """Update DST: make missing and outdated thumbnails, and delete those of deleted images.

    You can stop it at any time, repeat it at any time, and run two at the same time.

    Examples:
      thumbsmith sync ./photos ./thumbs

      thumbsmith sync ./photos ./thumbs --recipe shop.toml --json

      thumbsmith sync s3://my-photos s3://my-thumbs --via sqs://my-backfill --max-usd 20
    """
    method = method_of(via, dry_run=dry_run)
    refuse_unused_options(context, method)
    options = Options(keep_orphans=keep_orphans, retry_rejected=retry_rejected)
    scope = scope_of(source, destination, recipe, options, prefix, include=include, exclude=exclude)
    if method is Method.LOCAL:
        return run(scope, jobs=jobs or usable_cores(), yes=yes, as_json=as_json)
    if method is Method.DRY_RUN:
        return print_plan(scope, as_json=as_json)
    from thumbsmith.backfill.send import SendLimits  # noqa: PLC0415 - a local run does not load it
    from thumbsmith.cli.sync_on_aws import Backfill  # noqa: PLC0415 - as above

    backfill = Backfill(
        address=str(via),
        limits=SendLimits(max_usd=max_usd, rate=rate),
        milliseconds=milliseconds,
        wait=wait,
        drain=drain,
        stop=stop,
        inventory=inventory,
        yes=yes,
        dry_run=dry_run,
        as_json=as_json,
    )
    return _run_on_aws(scope, method, backfill)


def _run_on_aws(scope: Scope, method: Method, backfill: Backfill) -> int:
    """Run by a queue or by S3 Batch Operations; return the exit code."""
    if method is Method.QUEUE:
        from thumbsmith.cli import sync_by_queue  # noqa: PLC0415 - loads one of two methods

        return sync_by_queue.run(scope, backfill)
    from thumbsmith.cli import sync_by_batch  # noqa: PLC0415 - as above

    return sync_by_batch.run(scope, backfill)


def run(scope: Scope, *, jobs: int, yes: bool, as_json: bool = False, reported: ReportedFailures | None = None) -> int:
    """Sync on this machine and print outcomes as they arrive; return the exit code.

    `reported` is given by a command that syncs again and again: people do not see failures that are in it, and an empty
    source is normal. Raises the error that prevents the start.
    """
    started, console, counts, found = time.monotonic(), Console(), SyncCounts(), None
    reporter = Reporter(console, reported or ReportedFailures())
    with Workers(jobs, isolation=scope.isolation) as workers, stoppable(console, cut=workers.close) as stopped:
        early.start(workers)  # on its own core, while this thread lists the stores
        with (
            suppress(Stopped),
            listed_stores(scope, console, stopped) as found,
            console.progress("sync", found.sources) as advance,
        ):
            counts.ignored = found.join.ignored
            threads = THREADS_PER_WORKER * jobs
            for result in engine.sync(found, renderer=workers, threads=threads, stop=stopped, allow_mass_delete=yes):
                counts.add(result)
                if as_json:
                    emit_key("source" if result.word in counts.sources and result.listed else "orphan", result)
                else:
                    reporter.add(result)
                if result.listed:
                    advance(counts.sources)
        interrupted = stopped()
    seconds = time.monotonic() - started
    if as_json:
        _emit_summary(counts, found.join.links if found else 0, seconds)
    else:
        reporter.finish()
        rate = f", {sum(counts.sources.values()) / seconds:,.1f} a second" if counts.sources["made"] > 1 else ""
        console.say(f"{counts_sentence(counts)}; {seconds:.1f} s{rate}")
        if found and not interrupted and reported is None:
            explain_no_sources(found, console)
    return 130 if interrupted else 1 if counts.errors else 0


def _emit_summary(counts: SyncCounts, links: int, seconds: float) -> None:
    emit(
        "summary",
        sources=sum(counts.sources.values()),
        **counts.sources,
        ignored=counts.ignored,
        renditions=counts.renditions,
        deleted=counts.deleted,
        links=links or None,
        seconds=round(seconds, 3),
    )
