"""`thumbsmith plan SRC DST`: say what sync would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Final

import typer

from thumbsmith.bulk.cost import Model
from thumbsmith.bulk.scan import Scope, inspect, scan
from thumbsmith.bulk.status import KeyStatus, Totals
from thumbsmith.cli.arguments import (
    Destination,
    Json,
    KeepOrphans,
    Prefix,
    RecipeOption,
    RetryRejected,
    Source,
    refuse_ignored,
    scope_of,
)
from thumbsmith.cli.terminal import duration, emit, numbers, people, progress, shown, stoppable
from thumbsmith.reconcile.decide import State
from thumbsmith.reconcile.effects import Options
from thumbsmith.worker import usable_cores

# For people, so many of each kind are shown.
SAMPLES: Final = 10


def plan(
    context: typer.Context,
    source: Source,
    destination: Destination,
    recipe: RecipeOption = None,
    prefix: Prefix = "",
    keep_orphans: KeepOrphans = False,
    retry_rejected: RetryRejected = False,
    everything: Annotated[
        bool, typer.Option("--all", metavar="", help=f"Show all, not {SAMPLES} of each kind.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what sync would do, and why, changing nothing.

    missing: to be made. stale: to be made again. fresh: right as it stands. rejected: will never give a thumbnail.
    orphaned: made by us and no longer wanted. foreign: in DST but not ours; never touched.

    Examples:
      thumbsmith plan ./photos ./thumbs

      thumbsmith plan ./photos ./thumbs --prefix 2026/ --json
    """
    if as_json:
        refuse_ignored(context, ["everything"], "without --json, which prints all")
    options = Options(keep_orphans=keep_orphans, retry_rejected=retry_rejected)
    scope = scope_of(source, destination, recipe, options, prefix)
    raise typer.Exit(print_plan(scope, as_json=as_json, limit=None if everything else SAMPLES))


def print_plan(scope: Scope, *, as_json: bool, limit: int | None = SAMPLES) -> int:
    """Print how every source stands and what else there is; return the exit code. Raises what stops it.

    People are shown so many of each kind, `limit`, or all for None.
    """
    console, totals, samples = people(), Totals(), _Samples(limit)
    with (
        stoppable(console, grace=0) as stopped,
        scan(scope, stopped) as found,
        progress(console, "plan", found.sources) as advance,
    ):
        for standing in inspect(found, stop=stopped):
            totals.add(standing)
            if as_json:
                _emit(standing)
            else:
                samples.add(standing)
            if standing.source:
                advance(numbers({word: count for word, count in totals.sources.items() if count}))
        interrupted = stopped()
    if as_json:
        _emit_summary(totals, scope, found.listing.links)
    else:
        samples.print()
        _print_summary(totals, scope)
        print_links(sources=found.sources, links=found.listing.links)
    return 130 if interrupted else 1 if totals.errors else 0


def print_links(*, sources: int, links: int) -> None:
    """Say why there are no sources where symbolic links are all that there is."""
    if links and not sources:
        typer.echo(
            f"Links are not followed: the source holds {links:,} symbolic link{'s' if links > 1 else ''}"
            " and no other files. Copy the files there, or name the folder to which the links lead.",
            err=True,
        )


class _Samples:
    """What people are told of what is not as it should be: the first few of each kind, or each at once."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._counts: Counter[str] = Counter()
        self._lines: dict[str, list[str]] = {}

    def add(self, standing: KeyStatus) -> None:
        """Take note of one key, or print its lines where there is no limit."""
        for word, line in _lines(standing):
            self._counts[word] += 1
            if self._limit is None:
                typer.echo(f"{word:9} {line}")
            elif self._counts[word] <= self._limit:
                self._lines.setdefault(word, []).append(line)

    def print(self) -> None:
        """Print what was noted, by kind."""
        for word, lines in self._lines.items():
            typer.echo(f"{word}: {self._counts[word]:,}")
            for line in lines:
                typer.echo(f"  {line}")
            if self._counts[word] > len(lines):
                typer.echo(f"  ... and {self._counts[word] - len(lines):,} more (--all)")


def _lines(standing: KeyStatus) -> Iterator[tuple[str, str]]:
    """Yield what people are to know of one key, each with its word."""
    if standing.error:
        yield "failed", f"{shown(standing.key)}: {shown(standing.error.about(standing.key))}"
    elif standing.state and standing.state is not State.FRESH:
        yield standing.state.value, f"{shown(standing.key)}: {shown(standing.why)}"
    for word, objects in (("orphaned", standing.orphaned), ("foreign", standing.foreign)):
        for info in objects:
            yield word, shown(info.key)


def _emit(standing: KeyStatus) -> None:
    if standing.error:
        emit("source", key=standing.key, state="failed", why=standing.error.about(standing.key))
    elif standing.state:
        emit("source", key=standing.key, state=standing.state, code=standing.code, why=standing.why)
    for word, objects in (("orphaned", standing.orphaned), ("foreign", standing.foreign)):
        for info in objects:
            emit(word, key=info.key)


def _emit_summary(totals: Totals, scope: Scope, links: int) -> None:
    cost, model = _dollars(totals, scope), _model(scope)
    estimate = {
        "bytes_to_read": totals.to_read,
        "bytes_to_delete": totals.to_delete,
        "seconds": round(model.seconds(totals.amount, usable_cores()), 1),
        **({} if cost is None else {"dollars": round(cost, 4)}),
    }
    counts = _counts(totals)
    emit(
        "summary",
        sources=sum(counts.values()),
        **counts,
        orphaned=totals.orphaned,
        foreign=totals.foreign,
        links=links or None,
        estimate=estimate,
    )


def _counts(totals: Totals) -> dict[str, int]:
    """Return the number of sources by state; `failed` only where some could not be looked at."""
    return {**totals.sources, **({"failed": totals.failed} if totals.failed else {})}


def _print_summary(totals: Totals, scope: Scope) -> None:
    counts = _counts(totals)
    sources = sum(counts.values())
    objects = f"{totals.orphaned:,} orphaned, {totals.foreign:,} foreign"
    typer.echo(f"{sources:,} sources: {numbers(counts)}; objects: {objects}")
    if totals.to_make or totals.orphaned:
        jobs, cost = usable_cores(), _dollars(totals, scope)
        time = duration(_model(scope).seconds(totals.amount, jobs))
        typer.echo(
            f"to do: make {totals.to_make:,} from {_megabytes(totals.to_read)}, delete {totals.orphaned:,} objects of"
            f" {_megabytes(totals.to_delete)}; about {time} with --jobs {jobs}"
            f"{'' if cost is None else f'; ${cost:,.2f} for requests to S3'}"
        )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _model(scope: Scope) -> Model:
    return Model.between(scope.recipe, scope.source.url, scope.destination.url)


def _dollars(totals: Totals, scope: Scope) -> float | None:
    """Return about what the requests of making cost; None where neither store is on S3."""
    model = _model(scope)
    return model.bill(totals.amount).total if model.reads or model.writes else None
