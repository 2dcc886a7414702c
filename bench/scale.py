"""Hours, dollars and requests for 10^3 to 10^9 images, for each way of running Thumbsmith; and what breaks first.

`python bench/scale.py` prints the table of docs/scale.md, and with --save writes it there. It simulates no image: each
way is a row of stages (list, send, make), each with a measured rate, and the slowest stage decides. Times and requests
of one image come from thumbsmith.bulk.cost, which the command `cost` uses too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path

from thumbsmith import Recipe
from thumbsmith.bulk.cost import Amount, Model, plan_bill, source_amount

# The rates of the first two stages, measured: docs/plan.md (a plan of 10^7 keys) and docs/backfill.md (sending).
LISTED_PER_SECOND = 52_000
SENT_PER_SECOND = 3_800
# A general machine with 8 cores: the list price of c7g.2xlarge in us-east-1, 2025.
CORES = 8
MACHINE_HOUR_DOLLARS = 0.29

# S3's requests per second for one prefix of keys, at first; Lambda's functions at once in a new account after its first
# increase; the days that a queue keeps a message; the keys of one manifest for S3 Batch Operations; and the files of
# an ext4 file system of 10 TB (one inode for 16 KiB).
S3_WRITES, S3_READS = 3_500, 5_500
FUNCTIONS = 1_000
QUEUE_DAYS = 14
FILES = 610_000_000

# Lambda starts 5 functions for a queue, and adds 300 a minute:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
FIRST_FUNCTIONS, ADDED_PER_SECOND = 5, 5

MEGAPIXELS = 12
SIZES = (10**3, 10**4, 10**5, 10**6, 10**7, 10**8, 10**9)


@dataclass(frozen=True, slots=True)
class Way:
    """A way of running: on how many machines, or by how many functions."""

    name: str
    model: Model
    machines: int = 0
    functions: int = 0

    @property
    def at_once(self) -> int:
        """Return the cores or functions that work at the same time."""
        return self.machines * CORES or self.functions


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a way needs for a number of images. `broken` are the limits that it exceeds, the worst first."""

    hours: float
    dollars: float
    writes: float  # a second
    reads: float  # a second
    broken: tuple[str, ...]


def amount(images: int) -> Amount:
    """Return the amount of work for JPEG photographs of 12 megapixels and 4 MB."""
    return source_amount(MEGAPIXELS * 1e6 / 3, new=True) * images


def simulate(way: Way, images: int) -> Outcome:
    """Return what a way needs for the first thumbnails of this many images."""
    work, model = amount(images), way.model
    listed = images / LISTED_PER_SECOND
    sent = images / SENT_PER_SECOND if model.way == "queue" else 0
    made = ramped(model.seconds(work, 1), way.functions) if sent else model.seconds(work, way.at_once)
    active = max(sent, made, 1)  # sending and making overlap; a plan comes before both
    seconds = listed + active
    requests = model.requests(work)
    writes, reads = requests["PUT"] / active, (requests["GET"] + requests["HEAD"]) / active
    dollars = model.bill(work).total + way.machines * MACHINE_HOUR_DOLLARS * seconds / 3600
    dollars += plan_bill(images, 0).total * (model.reads or model.writes)
    loads = dict(_loads(way, images, seconds, writes, reads))
    worst = sorted((name for name, load in loads.items() if load > 1), key=lambda name: -loads[name])
    return Outcome(seconds / 3600, dollars, writes, reads, tuple(worst))


def ramped(work: float, functions: int) -> float:
    """Return the seconds for this many function-seconds of work, when the functions of a queue start one by one."""
    until_full = max(functions - FIRST_FUNCTIONS, 0) / ADDED_PER_SECOND
    done = until_full * (functions + FIRST_FUNCTIONS) / 2
    if work >= done:
        return until_full + (work - done) / functions
    return (sqrt(FIRST_FUNCTIONS**2 + 2 * ADDED_PER_SECOND * work) - FIRST_FUNCTIONS) / ADDED_PER_SECOND


def _loads(way: Way, images: int, seconds: float, writes: float, reads: float) -> Iterator[tuple[str, float]]:
    """Yield each limit that the way meets, with the share of it that is used."""
    if way.model.reads:
        yield f"S3 writes: spread the keys over {ceil(writes / S3_WRITES)} prefixes", writes / S3_WRITES
        yield f"S3 reads: spread the keys over {ceil(reads / S3_READS)} prefixes", reads / S3_READS
    else:
        files = images * (2 + way.model.renditions)
        yield f"files: {ceil(files / FILES)} file systems of 10 TB", files / FILES
    if way.model.way == "queue":
        yield "the queue keeps a message for 14 days: send in parts", seconds / 86_400 / QUEUE_DAYS
    if way.functions:
        yield "functions at once: ask for a higher quota", way.functions / FUNCTIONS
    yield "time: more than 30 days", seconds / 86_400 / 30


def ways(recipe: Recipe) -> list[Way]:
    """Return the ways that docs/scale.md compares."""
    queue, batch = Model(recipe=recipe, way="queue"), Model(recipe=recipe, way="batch")
    local = Model(recipe=recipe, reads=False, writes=False)
    return [
        Way("one machine, folders", local, machines=1),
        Way("one machine, buckets", Model(recipe=recipe), machines=1),
        Way("16 machines, buckets, by prefix", Model(recipe=recipe), machines=16),
        Way("20 functions, queue", queue, functions=20),
        Way("1,000 functions, queue", queue, functions=1_000),
        Way("1,000 functions, S3 Batch Operations", batch, functions=1_000),
    ]


def duration(hours: float) -> str:
    """Return a duration in the unit that suits it."""
    seconds = hours * 3600
    for limit, unit, length in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / length:.3g} {unit}"
    return f"{hours / 24:,.0f} days"


def table() -> str:
    """Return the table of docs/scale.md in Markdown."""
    lines = [
        "| images | way | time | dollars | S3 writes/s | S3 reads/s | breaks first |",
        "|---|---|---|---|---|---|---|",
    ]
    for images in SIZES:
        for way in ways(Recipe.default()):
            found = simulate(way, images)
            dollars = f"{found.dollars:,.2f}" if found.dollars < 100 else f"{found.dollars:,.0f}"
            rates = f"{found.writes:,.0f} | {found.reads:,.0f}"
            first = found.broken[0] if found.broken else "nothing"
            lines.append(f"| {images:,} | {way.name} | {duration(found.hours)} | {dollars} | {rates} | {first} |")
    return "\n".join(lines) + "\n"


def save() -> None:
    """Put the table into its page, in place of the old one."""
    page = Path(__file__).parents[1] / "docs/scale.md"
    page.write_text(re.sub(r"(^\|.*\n)+", lambda _: table(), page.read_text(), count=1, flags=re.MULTILINE))


if __name__ == "__main__":
    save() if sys.argv[1:] == ["--save"] else print(table(), end="")
