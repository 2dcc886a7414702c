"""`thumbsmith sync SRC DST --via ...`: the steps that a queue and S3 Batch Operations share.

This machine plans and estimates. Functions on AWS make the thumbnails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from thumbsmith.backfill.send import NO_LIMITS, SendLimits
from thumbsmith.bulk import cost
from thumbsmith.bulk import sync as engine
from thumbsmith.bulk.cost import Model
from thumbsmith.bulk.scan import Scope, StoreScan
from thumbsmith.cli.cost import bill_lines
from thumbsmith.cli.terminal import Console, emit
from thumbsmith.cli.wording import format_duration
from thumbsmith.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """How to run on AWS: the address that gets the keys, limits, and the options of the command.

    `milliseconds` is the CPU time of one image, None for the measured one.
    """

    address: str
    limits: SendLimits = NO_LIMITS
    milliseconds: float | None = None
    wait: bool = True
    drain: bool = False
    stop: bool = False
    inventory: str | None = None
    yes: bool = False
    dry_run: bool = False
    as_json: bool = False


def bucket_of(scope: Scope) -> tuple[str, str]:
    """Return bucket and prefix of the source. Raises UsageError for stores or options that functions do not support."""
    location = scope.source.s3_location
    if location is None or scope.destination.s3_location is None:
        raise UsageError("--via: expected two buckets, found a folder: functions on AWS cannot reach it")
    if scope.options.keep_orphans:
        raise UsageError(
            "--keep-orphans: expected no --via with it: functions on AWS always delete orphaned thumbnails"
        )
    return location


def model_of(scope: Scope, way: cost.Way, milliseconds: float | None) -> Model:
    """Return the model for the time and the cost of a run."""
    return Model(recipe=scope.recipe, way=way, milliseconds=milliseconds)


def plan_keys(found: StoreScan, console: Console, stop: Callable[[], bool], *, yes: bool) -> dict[str, int]:
    """Inspect all keys and defer those with work to do; return the number of other sources, by outcome.

    Raises UsageError if more than half of all thumbnails would be deleted, unless `yes`.
    """
    settled = {"fresh": 0, "rejected": 0, "failed": 0}
    with console.progress("plan", found.sources) as advance:
        for result in engine.classify(found, stop=stop, allow_mass_delete=yes):
            settled[result.word] += 1
            advance(f"{settled['fresh']:,} fresh")
    return settled


def print_estimate(model: Model, amount: cost.Amount, concurrency: float, console: Console, *, as_json: bool) -> None:
    """Print the amount of work, its time with this number of concurrent functions, and its cost by line."""
    bill, seconds = model.bill(amount), model.seconds(amount, concurrency)
    if as_json:
        lines = {name: round(dollars, 4) for name, dollars in bill.lines.items()}
        keys, size = int(amount.sources + amount.orphans), int(amount.bytes)
        emit("estimate", keys=keys, bytes=size, seconds=round(seconds, 1), lines=lines, dollars=round(bill.total, 4))
        return
    todo = f"{amount.sources:,.0f} to make from {amount.bytes / 1e9:,.1f} GB, {amount.orphans:,.0f} to delete"
    console.print(f"{todo}; {format_duration(seconds)} with {concurrency:g} concurrent functions")
    for line in bill_lines(bill):
        console.print(f"  {line}")
