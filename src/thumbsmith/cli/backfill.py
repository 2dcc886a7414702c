"""What both ways of a backfill begin with: two buckets, a plan, and what it takes."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console

from thumbsmith import cost
from thumbsmith import sync as engine
from thumbsmith.cli.cost import table
from thumbsmith.cli.output import duration, emit, progress
from thumbsmith.cost import Model
from thumbsmith.errors import RecipeError
from thumbsmith.store.s3 import S3Store
from thumbsmith.survey import Scope, Survey


def bucket_of(scope: Scope) -> tuple[str, str]:
    """Return bucket and prefix of the source, as functions know it. Raises RecipeError where they could not."""
    if not isinstance(scope.source, S3Store) or not isinstance(scope.destination, S3Store):
        raise RecipeError("--via: expected two buckets, found a folder: functions on AWS cannot reach it")
    if scope.options.keep_orphans:
        raise RecipeError("--keep-orphans: not with --via: functions delete what nothing wants any more")
    return scope.source.bucket, scope.source.prefix


def model_of(scope: Scope, way: cost.Way, milliseconds: float | None, memory: int) -> Model:
    """Return the model of what functions take and cost."""
    return Model(recipe=scope.recipe, way=way, milliseconds=milliseconds, megabytes=memory)


def plan_here(found: Survey, console: Console, stop: Callable[[], bool], *, yes: bool) -> dict[str, int]:
    """Inspect all, and defer what is to be done; return how many sources are settled, by outcome.

    Raises RecipeError where more than half of all thumbnails would be deleted, unless `yes`.
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
