"""`thumbsmith sync SRC DST`: make the destination agree with the source."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from thumbsmith.backfill.clients import is_queue
from thumbsmith.backfill.send import SendLimits
from thumbsmith.bulk import sync as engine
from thumbsmith.bulk.scan import Scope, scan
from thumbsmith.bulk.watch import Reported
from thumbsmith.cli.arguments import (
    Destination,
    Jobs,
    Json,
    KeepOrphans,
    Prefix,
    RecipeOption,
    RetryRejected,
    Source,
    refuse_ignored,
    scope_of,
)
from thumbsmith.cli.plan import print_links, print_plan
from thumbsmith.cli.sync_on_queue import Fleet
from thumbsmith.cli.terminal import emit, numbers, people, progress, shown, stoppable
from thumbsmith.errors import Stopped
from thumbsmith.reconcile.effects import Options, Outcome
from thumbsmith.worker import Workers, usable_cores

# While one thread of a pair waits for its store, the other has a picture in a worker.
THREADS_A_JOB: Final = 2

ON_AWS: Final[dict[str, Any]] = {"rich_help_panel": "On AWS"}

# The ways to sync, as messages name them, and the options that not all of them use.
HERE: Final = "a run on this machine"
DRY_RUN: Final = "--dry-run"
QUEUE: Final = "--via a queue"
BATCH: Final = "--via batch"
WAYS: Final = {
    "jobs": (HERE,),
    "yes": (HERE, QUEUE, BATCH),
    "max_usd": (QUEUE, BATCH),
    "rate": (QUEUE,),
    "milliseconds": (QUEUE, BATCH),
    "wait": (QUEUE,),
    "drain": (QUEUE,),
    "stop": (QUEUE,),
    "inventory": (BATCH,),
}

# What a backfill ignores that does only a part of the work.
OF_A_PLAN: Final = ("prefix", "retry_rejected")
OF_SENDING: Final = ("max_usd", "rate", "yes", "retry_rejected")
ALONE: Final = {
    "stop": ("drain", "dry_run", "wait", "prefix", "milliseconds", *OF_SENDING),
    "drain": ("dry_run", "wait", *OF_SENDING),
    "dry_run": ("wait", "rate", "max_usd"),
}


@dataclass(slots=True)
class Tally:
    """What a run has done so far: sources by outcome, and objects written and deleted."""

    sources: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("made", "fresh", "rejected", "failed"), 0))
    renditions: int = 0
    deleted: int = 0
    errors: int = 0

    def add(self, done: engine.Done) -> str:
        """Count one key; return the word for what became of it."""
        word = "failed" if done.error else done.outcome.status if done.outcome else "absent"
        self.errors += done.error is not None
        if word in self.sources and (done.listed or done.outcome):
            self.sources[word] += 1
        if done.outcome:
            self.renditions += done.outcome.written
            self.deleted += done.outcome.deleted
        return word


def sync(
    context: typer.Context,
    source: Source,
    destination: Destination,
    recipe: RecipeOption = None,
    prefix: Prefix = "",
    jobs: Jobs = None,
    keep_orphans: KeepOrphans = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar="", help="Only say what would be done, as plan does.")
    ] = False,
    retry_rejected: RetryRejected = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", "-y", metavar="", help="Delete even more than half of all thumbnails, where that is right."
        ),
    ] = False,
    via: Annotated[
        str | None,
        typer.Option(
            "--via",
            metavar="WAY",
            help="Let functions on AWS do it: sqs://QUEUE, a queue's URL, or batch://STACK for S3 Batch Operations.",
            **ON_AWS,
        ),
    ] = None,
    max_usd: Annotated[
        float | None,
        typer.Option("--max-usd", metavar="USD", help="Send no more than costs so much, by the model.", **ON_AWS),
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", metavar="N", help="Messages a second at most.", **ON_AWS)
    ] = None,
    milliseconds: Annotated[
        float | None,
        typer.Option("--milliseconds", metavar="MS", min=0, help="Measured CPU time of an image.", **ON_AWS),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", metavar="", help="Follow what was sent until all is right.", **ON_AWS)
    ] = True,
    drain: Annotated[
        bool, typer.Option("--drain", metavar="", help="Send nothing: follow what is in the queue.", **ON_AWS)
    ] = False,
    stop: Annotated[
        bool, typer.Option("--stop", metavar="", help="Send nothing: delete what waits in the queue.", **ON_AWS)
    ] = False,
    inventory: Annotated[
        str | None,
        typer.Option(
            "--inventory",
            metavar="URL",
            help="With batch: all that an S3 Inventory lists, its manifest.json.",
            **ON_AWS,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make DST hold exactly the thumbnails of what SRC holds now.

    Only what is missing, stale or altered is made. Stop it at any time, repeat it at any time, run two at once.

    Examples:
      thumbsmith sync ./photos ./thumbs

      thumbsmith sync ./photos ./thumbs --recipe shop.toml --json

      thumbsmith sync s3://my-photos s3://my-thumbs --via sqs://my-backfill --max-usd 20
    """
    _refuse_ignored(context, DRY_RUN if via is None and dry_run else HERE if via is None else _way(via))
    options = Options(keep_orphans=keep_orphans, retry_rejected=retry_rejected)
    scope = scope_of(source, destination, recipe, options, prefix)
    if via is not None:
        limits = SendLimits(max_usd=max_usd, rate=rate)
        given = Fleet(
            address=via,
            limits=limits,
            milliseconds=milliseconds,
            wait=wait,
            drain=drain,
            stop=stop,
            inventory=inventory,
        )
        raise typer.Exit(given.run(scope, yes=yes, dry_run=dry_run, as_json=as_json))
    if dry_run:
        raise typer.Exit(print_plan(scope, as_json=as_json))
    raise typer.Exit(run(scope, jobs=jobs or usable_cores(), yes=yes, as_json=as_json))


def _way(via: str) -> str:
    return QUEUE if is_queue(via) else BATCH


def _refuse_ignored(context: typer.Context, way: str) -> None:
    """Raise UsageError for an option that was given, with any value, and that this way of syncing ignores."""
    for name, ways in WAYS.items():
        if way not in ways:
            refuse_ignored(context, [name], f"with {', '.join(ways)}")
    if way == BATCH:
        if context.params["inventory"]:
            refuse_ignored(context, OF_A_PLAN, "without --inventory")
        return
    for name, ignored in ALONE.items():
        if way != HERE and context.params[name]:
            refuse_ignored(context, ignored, f"without --{name.replace('_', '-')}")


def run(scope: Scope, *, jobs: int, yes: bool, as_json: bool = False, reported: Reported | None = None) -> int:
    """Sync, printing the outcomes as they come; return the exit code. Raises what stops it from beginning.

    People do not see failures that were `reported` before.
    """
    started, reported = time.monotonic(), reported or Reported()
    console, tally, sources, links = people(), Tally(), 0, 0
    with Workers(jobs) as workers, stoppable(console, cut=workers.close) as stopped:
        workers.start()  # on a core of its own, while the stores are listed
        with suppress(Stopped), scan(scope, stopped) as found, progress(console, "sync", found.sources) as advance:
            threads = THREADS_A_JOB * jobs
            for done in engine.sync(found, renderer=workers, threads=threads, stop=stopped, may_wipe=yes):
                _tell(done, tally.add(done), console, reported, as_json=as_json)
                if done.listed:
                    advance(numbers({word: count for word, count in tally.sources.items() if count}))
            sources, links = found.sources, found.listing.links
        interrupted = stopped()
    _summarize(tally, links, time.monotonic() - started, as_json=as_json)
    if not interrupted:
        print_links(sources=sources, links=links)
    return 130 if interrupted else 1 if tally.errors else 0


def _tell(done: engine.Done, word: str, console: Console, reported: Reported, *, as_json: bool) -> None:
    """Tell what became of one key: a JSON line for every one, a sentence for those that people should know of."""
    outcome, event = done.outcome, "source" if word in Tally().sources and done.listed else "orphan"
    code = outcome.code if outcome else None
    detail = done.error.about(done.key) if done.error else outcome.detail if outcome else None
    if as_json:
        counts = {"renditions": outcome.written if outcome else 0, "deleted": outcome.deleted if outcome else 0}
        emit(event, key=done.key, outcome=word, code=code, detail=detail, **counts)
        return
    is_new = reported.is_new(done.key, detail if word == "failed" else None)
    if is_new or (outcome and word == "rejected" and _is_news(done, outcome)):
        console.print(f"{word} {shown(done.key)}: {code + ', ' if code else ''}{shown(detail or '')}")


def _is_news(done: engine.Done, outcome: Outcome) -> bool:
    """Return whether a rejection is to be told: when it is recorded, and always where it cannot be."""
    return not done.planned and (outcome.recorded or not outcome.manifest)


def _summarize(tally: Tally, links: int, seconds: float, *, as_json: bool) -> None:
    sources = sum(tally.sources.values())
    if as_json:
        emit(
            "summary",
            sources=sources,
            **tally.sources,
            renditions=tally.renditions,
            deleted=tally.deleted,
            links=links or None,
            seconds=round(seconds, 3),
        )
        return
    rate = f"{sources / seconds:,.1f} a second" if seconds else ""
    typer.echo(
        f"{sources:,} sources: {numbers(tally.sources)}; {tally.renditions:,} thumbnails written,"
        f" {tally.deleted:,} objects deleted; {seconds:.1f} s, {rate}"
    )
