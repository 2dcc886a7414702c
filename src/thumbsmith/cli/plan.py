"""`thumbsmith plan SRC DST`: print what sync would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import click

from thumbsmith.bulk.cost import Model, Totals
from thumbsmith.bulk.scan import KeyJoin, Scope
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
    selection_options,
    source_argument,
)
from thumbsmith.cli.command import command
from thumbsmith.cli.scope import explain_no_sources, listed_stores, scope_of
from thumbsmith.cli.stopping import stoppable
from thumbsmith.cli.terminal import Console, emit, styled
from thumbsmith.cli.wording import format_bytes, format_codes, format_duration, ignored_words, plural, printable
from thumbsmith.reconcile.decide import State
from thumbsmith.reconcile.protocol import Options
from thumbsmith.worker import usable_cores

# People see this number of keys of each kind.
MAX_SAMPLES: Final = 10

# The exit code of --exit-code if there is something to do.
DIFFERENT: Final = 3

# The states that the summary has also if no source is in them.
ALWAYS: Final = ("missing", "stale", "fresh")


@command()
@source_argument
@destination_argument
@recipe_option
@prefix_option
@keep_orphans_option
@retry_rejected_option
@click.option("--all", "everything", is_flag=True, help=f"Print all keys, not only {MAX_SAMPLES} of each kind.")
@selection_options
@click.option("--exit-code", is_flag=True, help="Exit with 3 if sync would do something, with 0 if nothing.")
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
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    exit_code: bool,
    as_json: bool,
) -> int:
    """Print what sync would do, and why. Nothing is changed.

    missing: has no thumbnails yet. stale: thumbnails are outdated. fresh: up to date. rejected: cannot have thumbnails.
    orphaned: thumbnails that are not needed any more. foreign: other files in DST, which Thumbsmith never changes.

    Examples:
      thumbsmith plan ./photos ./thumbs

      thumbsmith plan ./photos ./thumbs --prefix 2026/ --json
      thumbsmith plan ./photos ./thumbs -q --exit-code || echo "thumbnails are not up to date"
    """
    if as_json:
        refuse_unused(context, ["everything"], "without --json, which prints all")
    options = Options(keep_orphans=keep_orphans, retry_rejected=retry_rejected)
    scope = scope_of(source, destination, recipe, options, prefix, include=include, exclude=exclude)
    everything = everything or Console().verbose
    return print_plan(scope, as_json=as_json, limit=None if everything else MAX_SAMPLES, exit_code=exit_code)


def print_plan(scope: Scope, *, as_json: bool, limit: int | None = MAX_SAMPLES, exit_code: bool = False) -> int:
    """Print the state of each source and other objects; return the exit code. Raises UsageError, StoreError, Stopped.

    People see at most `limit` keys of each kind, or all for None. With `exit_code`, work to do gives DIFFERENT.
    """
    console, totals, codes = Console(), Totals(), Counter[str]()
    samples = _Samples(console, limit)
    with (
        stoppable(console, grace=0) as stopped,
        listed_stores(scope, console, stopped) as found,
        console.progress("plan", found.sources) as advance,
    ):
        totals.ignored = found.join.ignored
        for status in inspect(found, stop=stopped):
            totals.add(status)
            if status.state is State.REJECTED:
                codes[status.code or "rejected"] += 1
            if as_json:
                _emit(status)
            else:
                samples.add(status)
            if status.source:
                advance(totals.sources)
        interrupted = stopped()
        if as_json:
            _emit_summary(totals, scope, found.join)
    if not as_json:
        samples.print()
        _print_summary(totals, codes, scope, console)
        explain_no_sources(found, console)
    if interrupted or totals.errors:
        return 130 if interrupted else 1
    return DIFFERENT if exit_code and (totals.to_make or totals.orphaned) else 0


class _Samples:
    """Keys with work to do, for people: the first few of each kind, or all at once without a limit."""

    def __init__(self, console: Console, limit: int | None) -> None:
        self._console = console
        self._limit = limit
        self._counts: Counter[str] = Counter()
        self._lines: dict[str, list[str]] = {}

    def add(self, status: KeyStatus) -> None:
        """Collect one key; without a limit, print it."""
        for word, line in _lines(status):
            self._counts[word] += 1
            if self._limit is None:
                self._console.say(f"{_marked(word, f'{word:9}')} {line}")
            elif self._counts[word] <= self._limit:
                self._lines.setdefault(word, []).append(line)

    def print(self) -> None:
        """Print the collected keys by kind."""
        for word, lines in self._lines.items():
            self._console.say(_marked(word, f"{word}: {self._counts[word]:,}"))
            for line in lines:
                self._console.say(f"  {_marked(word)} {line}")
            if self._counts[word] > len(lines):
                self._console.say(f"    ... and {self._counts[word] - len(lines):,} more (--all)")


# The mark of each kind of key, and its color.
MARKS: Final = {
    "missing": ("+", "green"),
    "stale": ("~", "yellow"),
    "orphaned": ("-", "red"),
    "rejected": ("!", "magenta"),
    "failed": ("!", "red"),
    "foreign": ("?", "bright_black"),
    "fresh": ("=", "bright_black"),
}


def _marked(word: str, text: str | None = None) -> str:
    """Return the mark of a kind, or a text, in the color of the kind."""
    mark, color = MARKS[word]
    return styled(mark if text is None else text, color)


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


def _emit_summary(totals: Totals, scope: Scope, join: KeyJoin) -> None:
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
        ignored=totals.ignored,
        links=join.links or None,
        estimate=estimate,
    )


def _counts(totals: Totals) -> dict[str, int]:
    """Return the number of sources by state; `failed` only if some could not be read."""
    return {**totals.sources, **({"failed": totals.failed} if totals.failed else {})}


def _print_summary(totals: Totals, codes: Counter[str], scope: Scope, console: Console) -> None:
    counts = _counts(totals)
    sources = sum(counts.values())
    words = [f"{count:,} {word}" for word, count in counts.items() if count or word in ALWAYS]
    words = [f"{each} ({format_codes(codes)})" if each.endswith(" rejected") else each for each in words]
    others = ("orphaned", totals.orphaned), ("foreign", totals.foreign)
    objects = ", ".join(f"{count:,} {word}" for word, count in others if count)
    others_words = f"; {ignored_words(totals.ignored)}" if totals.ignored else ""
    console.say(f"{plural(sources, 'source')}: {', '.join(words)}{objects and f'; objects: {objects}'}{others_words}")
    if not totals.to_make and not totals.orphaned:
        if sources and not totals.errors:
            console.say("nothing to do")
        return
    todo = []
    if totals.to_make:
        todo.append(f"make thumbnails of {plural(totals.to_make, 'image')} ({format_bytes(totals.to_read)})")
    if totals.orphaned:
        todo.append(f"delete {plural(totals.orphaned, 'object')} ({format_bytes(totals.to_delete)})")
    jobs, cost = usable_cores(), _dollars(totals, scope)
    time = format_duration(_model(scope).seconds(totals.amount, jobs))
    dollars = f"${cost:,.2f}" if cost and cost >= 0.01 else "less than $0.01"
    price = "" if cost is None else f"; {dollars} for requests to S3"
    console.say(f"to do: {', '.join(todo)}; {time} with --jobs {jobs}{price}")


def _model(scope: Scope) -> Model:
    return Model.between(scope.recipe, scope.source.url, scope.destination.url)


def _dollars(totals: Totals, scope: Scope) -> float | None:
    """Return the estimated cost of requests to S3; None if neither store is on S3."""
    model = _model(scope)
    return model.bill(totals.amount).total if model.reads or model.writes else None
