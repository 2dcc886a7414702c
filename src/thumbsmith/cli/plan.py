"""`thumbsmith plan SRC DST`: print what sync would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import click

from thumbsmith.bulk.cost import Model, Totals
from thumbsmith.bulk.scan import Scope, scan
from thumbsmith.bulk.status import KeyStatus, inspect
from thumbsmith.cli.arguments import (
    destination_argument,
    json_option,
    keep_orphans_option,
    level_options,
    prefix_option,
    recipe_option,
    refuse_unused,
    retry_rejected_option,
    source_argument,
)
from thumbsmith.cli.command import command
from thumbsmith.cli.scope import scope_of
from thumbsmith.cli.stopping import stoppable
from thumbsmith.cli.terminal import Console, emit
from thumbsmith.cli.wording import format_counts, format_duration, printable
from thumbsmith.reconcile.decide import State
from thumbsmith.reconcile.protocol import Options
from thumbsmith.worker import usable_cores

# People see this number of keys of each kind.
MAX_SAMPLES: Final = 10


@command()
@source_argument
@destination_argument
@recipe_option
@prefix_option
@keep_orphans_option
@retry_rejected_option
@click.option("--all", "everything", is_flag=True, help=f"Print all keys, not only {MAX_SAMPLES} of each kind.")
@json_option
@level_options
@click.pass_context
def plan(
    context: click.Context,
    source: str,
    destination: str,
    recipe: str | None,
    prefix: str,
    keep_orphans: bool,
    retry_rejected: bool,
    everything: bool,
    as_json: bool,
) -> int:
    """Print what sync would do, and why. Nothing is changed.

    missing: has no thumbnails yet. stale: thumbnails are outdated. fresh: up to date. rejected: cannot have thumbnails.
    orphaned: thumbnails that are not needed any more. foreign: other files in DST, which Thumbsmith never changes.

    Examples:
      thumbsmith plan ./photos ./thumbs

      thumbsmith plan ./photos ./thumbs --prefix 2026/ --json
    """
    if as_json:
        refuse_unused(context, ["everything"], "without --json, which prints all")
    options = Options(keep_orphans=keep_orphans, retry_rejected=retry_rejected)
    scope = scope_of(source, destination, recipe, options, prefix)
    return print_plan(scope, as_json=as_json, limit=None if everything else MAX_SAMPLES)


def print_plan(scope: Scope, *, as_json: bool, limit: int | None = MAX_SAMPLES) -> int:
    """Print the state of each source and other objects; return the exit code. Raises UsageError, StoreError, Stopped.

    People see at most `limit` keys of each kind, or all for None.
    """
    console, totals, samples = Console(), Totals(), _Samples(limit)
    with (
        stoppable(console, grace=0) as stopped,
        scan(scope, stopped) as found,
        console.progress("plan", found.sources) as advance,
    ):
        for status in inspect(found, stop=stopped):
            totals.add(status)
            if as_json:
                _emit(status)
            else:
                samples.add(status)
            if status.source:
                advance(totals.sources)
        interrupted = stopped()
    if as_json:
        _emit_summary(totals, scope, found.join.links)
    else:
        samples.print()
        _print_summary(totals, scope)
        print_links(sources=found.sources, links=found.join.links)
    return 130 if interrupted else 1 if totals.errors else 0


def print_links(*, sources: int, links: int) -> None:
    """Explain an empty source that has only symbolic links."""
    if links and not sources:
        click.echo(
            f"Links are not followed: the source has {links:,} symbolic link{'s' if links > 1 else ''}"
            " and no other files. Copy the files there, or name the folder to which the links lead.",
            err=True,
        )


class _Samples:
    """Keys with work to do, for people: the first few of each kind, or all at once without a limit."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._counts: Counter[str] = Counter()
        self._lines: dict[str, list[str]] = {}

    def add(self, status: KeyStatus) -> None:
        """Collect one key; without a limit, print it."""
        for word, line in _lines(status):
            self._counts[word] += 1
            if self._limit is None:
                click.echo(f"{word:9} {line}")
            elif self._counts[word] <= self._limit:
                self._lines.setdefault(word, []).append(line)

    def print(self) -> None:
        """Print the collected keys by kind."""
        for word, lines in self._lines.items():
            click.echo(f"{word}: {self._counts[word]:,}")
            for line in lines:
                click.echo(f"  {line}")
            if self._counts[word] > len(lines):
                click.echo(f"  ... and {self._counts[word] - len(lines):,} more (--all)")


def _lines(status: KeyStatus) -> Iterator[tuple[str, str]]:
    """Yield the lines for one key, each with its state."""
    if status.error:
        yield "failed", f"{printable(status.key)}: {printable(status.error.about(status.key))}"
    elif status.state and status.state is not State.FRESH:
        yield status.state.value, f"{printable(status.key)}: {printable(status.why)}"
    for word, objects in (("orphaned", status.orphaned), ("foreign", status.foreign)):
        for info in objects:
            yield word, printable(info.key)


def _emit(status: KeyStatus) -> None:
    if status.error:
        emit("source", key=status.key, state="failed", why=status.error.about(status.key))
    elif status.state:
        emit("source", key=status.key, state=status.state, code=status.code, why=status.why)
    for word, objects in (("orphaned", status.orphaned), ("foreign", status.foreign)):
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
    """Return the number of sources by state; `failed` only if some could not be read."""
    return {**totals.sources, **({"failed": totals.failed} if totals.failed else {})}


def _print_summary(totals: Totals, scope: Scope) -> None:
    counts = _counts(totals)
    sources = sum(counts.values())
    objects = f"{totals.orphaned:,} orphaned, {totals.foreign:,} foreign"
    click.echo(f"{sources:,} sources: {format_counts(counts)}; objects: {objects}")
    if totals.to_make or totals.orphaned:
        jobs, cost = usable_cores(), _dollars(totals, scope)
        time = format_duration(_model(scope).seconds(totals.amount, jobs))
        click.echo(
            f"to do: make {totals.to_make:,} from {_megabytes(totals.to_read)}, delete {totals.orphaned:,} objects of"
            f" {_megabytes(totals.to_delete)}; {time} with --jobs {jobs}"
            f"{'' if cost is None else f'; ${cost:,.2f} for requests to S3'}"
        )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _model(scope: Scope) -> Model:
    return Model.between(scope.recipe, scope.source.url, scope.destination.url)


def _dollars(totals: Totals, scope: Scope) -> float | None:
    """Return the estimated cost of requests to S3; None if neither store is on S3."""
    model = _model(scope)
    return model.bill(totals.amount).total if model.reads or model.writes else None
