"""The amount of work, and what it costs: a model of AWS's bill, linear in the amount. No I/O.

Counts come from listings, so they are exact: sources, bytes, and the requests for each source (docs/s3.md). CPU time is
not known before a source is decoded. It was measured on one machine (the constants below), or on the functions
themselves, whose log contains `CpuMilliseconds` for every image. Uploads that arrive one by one (a trickle) cost more
than uploads that arrive together (a flood): each is an invocation, which waits for S3 without other work. Taxes,
discounts, data transfer and free tiers are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

from thumbsmith.bulk.prices import PRICES, Prices
from thumbsmith.environment import LAMBDA_CORE_MEGABYTES, LAMBDA_DEFAULT_MEGABYTES, LAMBDA_THREADS_PER_CORE
from thumbsmith.image.geometry import plan
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.model import Format
from thumbsmith.recipe.names import expected
from thumbsmith.reconcile.converge import MAX_PUTS_AT_ONCE
from thumbsmith.reconcile.decide import State

if TYPE_CHECKING:
    from thumbsmith.bulk.status import KeyStatus

MILLION: Final = 1_000_000

# What renders: this machine; or functions, which get S3's events of uploads, keys of a backfill through a queue, or
# tasks of S3 Batch Operations.
Way: TypeAlias = Literal["here", "uploads", "queue", "batch"]


# CPU time, measured with JPEG photographs of 8 to 12 megapixels on one core of a cloud machine. For any source,
# including its process and requests; for each megabyte (10^6 bytes) of the source; for each megapixel of thumbnails,
# including the decoding in a higher resolution.
CPU_SECONDS_PER_SOURCE: Final = 0.02
CPU_SECONDS_PER_MEGABYTE: Final = 0.003
CPU_SECONDS_PER_MEGAPIXEL: Final[Mapping[Format, float]] = {
    Format.JPEG: 0.041,
    Format.WEBP: 0.071,
    Format.PNG: 0.23,
    Format.AVIF: 0.17,
}

# CPU time of a key whose source was deleted: nothing is decoded.
CPU_SECONDS_PER_ORPHAN: Final = 0.01

# A request between a function and its bucket. AWS states 100 to 200 ms for the first byte of an object; 25 to 40 ms are
# usual in one region: https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html
SECONDS_PER_REQUEST: Final = 0.030

# Messages for one invocation: as many as the queue's event source collects in a flood, one in a trickle. S3 Batch
# Operations invokes a function for each task.
FLOOD_BATCH: Final = 10
TRICKLE_BATCH: Final = 1

# Sizes of a JPEG photograph from a camera, and of thumbnails.
SOURCE_BYTES_PER_PIXEL: Final = 1 / 3
RENDITION_BYTES_PER_PIXEL: Final[Mapping[Format, float]] = {
    Format.JPEG: 0.3,
    Format.WEBP: 0.2,
    Format.PNG: 1.6,
    Format.AVIF: 0.1,
}
MANIFEST_BYTES: Final = 2_000

# The function's log: a line and the values of the metrics for each image; the rest of the line with the metrics, and
# Lambda's START, END and REPORT, for each invocation. Measured, with 26 bytes for each line that CloudWatch adds.
LOG_BYTES_PER_IMAGE: Final = 400
LOG_BYTES_PER_INVOCATION: Final = 1_220

# A source is read in a first request, and then in blocks (worker/wire.py, image/stream.py). A function that renders it
# for certain gets the first block at once (store/s3.py).
_FIRST_READ_BYTES: Final = 128 << 10
_BLOCK_BYTES: Final = 4 << 20

# All sources are assumed to have a camera's aspect ratio.
_ASPECT: Final = (3, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """An amount of work: sources to render, their bytes, the GETs to read them; and keys with orphans to delete.

    Nothing was made of `new` of these sources. `header_reads` are the GETs that only bring the header of a new source.
    """

    sources: float = 0
    bytes: float = 0
    reads: float = 0
    new: float = 0
    header_reads: float = 0
    orphans: float = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            sources=self.sources + other.sources,
            bytes=self.bytes + other.bytes,
            reads=self.reads + other.reads,
            new=self.new + other.new,
            header_reads=self.header_reads + other.header_reads,
            orphans=self.orphans + other.orphans,
        )

    def __mul__(self, factor: float) -> Amount:
        return Amount(
            sources=self.sources * factor,
            bytes=self.bytes * factor,
            reads=self.reads * factor,
            new=self.new * factor,
            header_reads=self.header_reads * factor,
            orphans=self.orphans * factor,
        )


NOTHING: Final = Amount()
ORPHAN: Final = Amount(orphans=1)


def source_amount(size: float, *, new: bool) -> Amount:
    """Return the amount for one source of this many bytes. `new` says that nothing was made of it."""
    is_longer = size > _FIRST_READ_BYTES
    reads = 1 + (ceil(size / _BLOCK_BYTES) if is_longer else 0)
    return Amount(sources=1, bytes=size, reads=reads, new=new, header_reads=new and is_longer)


@dataclass(slots=True)
class Totals:
    """Counts and bytes of all inspected keys, and the amount of work.

    `ignored` counts objects whose suffix says that they are no pictures. They are not inspected.
    """

    ignored: int = 0
    sources: dict[str, int] = field(default_factory=lambda: {state.value: 0 for state in State})
    failed: int = 0  # sources
    errors: int = 0
    to_read: int = 0  # bytes of the sources to render
    orphaned: int = 0
    to_delete: int = 0  # bytes of the orphaned objects
    foreign: int = 0
    amount: Amount = NOTHING

    def add(self, status: KeyStatus) -> None:
        """Count one key."""
        self.orphaned += len(status.orphaned)
        self.foreign += len(status.foreign)
        self.to_delete += sum(info.size for info in status.orphaned)
        self.errors += status.error is not None
        self.failed += status.error is not None and status.source is not None
        if status.state and status.source:
            self.sources[status.state] += 1
            if status.state in {State.MISSING, State.STALE}:
                self.to_read += status.source.size
                self.amount += source_amount(status.source.size, new=status.untouched)
        elif status.orphaned:
            self.amount += ORPHAN

    @property
    def to_make(self) -> int:
        """Return the number of sources to render."""
        return self.sources[State.MISSING] + self.sources[State.STALE]


@dataclass(frozen=True, slots=True)
class Bill:
    """US dollars by line."""

    lines: Mapping[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Return the sum in US dollars."""
        return sum(self.lines.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What an amount of work takes and costs, for one recipe.

    `milliseconds` is the measured CPU time of one image, if known. Functions have `megabytes` of memory. A request to
    S3 takes `request_seconds`. An invocation gets one image with `trickle`, else a full batch. `reads` and `writes` say
    whether the source and the destination are on S3. Every source is assumed to have `megapixels`.
    """

    recipe: Recipe
    way: Way = "here"
    milliseconds: float | None = None
    megabytes: int = LAMBDA_DEFAULT_MEGABYTES
    trickle: bool = False
    request_seconds: float = SECONDS_PER_REQUEST
    reads: bool = True
    writes: bool = True
    prices: Prices = PRICES
    megapixels: float = 12
    renditions: int = field(init=False)
    render_seconds: float = field(init=False)

    def __post_init__(self) -> None:
        """Compute once: the number of renditions of a JPEG, and the CPU seconds to render them."""
        object.__setattr__(self, "renditions", len(expected(self.recipe, "jpeg", alpha=False)))
        seconds = sum(CPU_SECONDS_PER_MEGAPIXEL[kind] * pixels for kind, pixels in self.rendition_megapixels().items())
        object.__setattr__(self, "render_seconds", seconds)

    @property
    def batch(self) -> int:
        """Return the number of images for each invocation."""
        return TRICKLE_BATCH if self.trickle or self.way == "batch" else FLOOD_BATCH

    @classmethod
    def between(cls, recipe: Recipe, source_url: str, destination_url: str) -> Self:
        """Return the model for two stores, of which only those on S3 cost money."""
        return cls(recipe=recipe, reads=source_url.startswith("s3://"), writes=destination_url.startswith("s3://"))

    def rendition_megapixels(self) -> dict[Format, float]:
        """Return the megapixels of the renditions of one source, by format."""
        wide, high = _ASPECT
        scale = (self.megapixels * MILLION / (wide * high)) ** 0.5
        width, height = max(1, round(wide * scale)), max(1, round(high * scale))
        megapixels = dict.fromkeys(Format, 0.0)
        for variant, kind in expected(self.recipe, "jpeg", alpha=False).values():
            size = plan((width, height), variant).canvas
            megapixels[kind] += size[0] * size[1] / MILLION
        return megapixels

    def cpu_seconds(self, amount: Amount) -> float:
        """Return the CPU seconds for the whole amount."""
        orphans = amount.orphans * CPU_SECONDS_PER_ORPHAN
        if self.milliseconds is not None:
            return amount.sources * self.milliseconds / 1000 + orphans
        reading = amount.bytes / 1e6 * CPU_SECONDS_PER_MEGABYTE
        return amount.sources * (CPU_SECONDS_PER_SOURCE + self.render_seconds) + reading + orphans

    def requests(self, amount: Amount) -> dict[str, float]:
        """Return the number of requests to S3, by the name of the operation (docs/s3.md, "What it costs").

        A function that gets the first message about a new source lists nothing. Its first GET of the source replaces a
        HEAD, and brings the first block of the source as well.
        """
        reads, writes, keys = self.reads, self.writes, amount.sources + amount.orphans
        has_first_messages = self.way in {"uploads", "queue"}
        new, header_reads = has_first_messages * amount.new, has_first_messages * amount.header_reads
        return {
            "PUT": writes * amount.sources * (1 + self.renditions),
            "LIST": writes * (keys - new),
            "GET": reads * (amount.reads - header_reads + 2 * amount.orphans) + writes * keys,
            "HEAD": reads * (2 * keys - new),
        }

    def function_seconds(self, amount: Amount) -> float:
        """Return the seconds that functions run, for all cores of a function together one second each.

        A function with less than a core's memory gets that share of the core. In a full batch, other threads use the
        core while one waits for S3. An image alone waits for each request after the other, apart from renditions.
        """
        share = min(self.megabytes / LAMBDA_CORE_MEGABYTES, 1)
        cores = max(self.megabytes // LAMBDA_CORE_MEGABYTES, 1)
        busy = self.cpu_seconds(amount) / share
        waiting = self.request_seconds * self._waits(amount)
        if self.batch == 1:
            return busy + waiting
        return max(busy, (busy + waiting) / LAMBDA_THREADS_PER_CORE) / cores

    def _waits(self, amount: Amount) -> float:
        """Return the number of requests, one after the other. Several renditions of a source are written at once."""
        renditions = self.writes * amount.sources * self.renditions
        at_once = self.writes * amount.sources * ceil(self.renditions / MAX_PUTS_AT_ONCE)
        return sum(self.requests(amount).values()) - renditions + at_once

    def seconds(self, amount: Amount, at_once: float) -> float:
        """Return the approximate duration with this many functions, or local jobs with one core each, at once."""
        return (self.cpu_seconds(amount) if self.way == "here" else self.function_seconds(amount)) / at_once

    def bill(self, amount: Amount) -> Bill:
        """Return the cost by line."""
        prices, keys = self.prices, amount.sources + amount.orphans
        each = {"PUT": prices.thousand_puts, "LIST": prices.thousand_lists}
        each |= {"GET": prices.thousand_gets, "HEAD": prices.thousand_heads}
        lines = {f"S3 {name}": count / 1000 * each[name] for name, count in self.requests(amount).items()}
        if self.way == "here":
            return Bill(lines)
        invocations = keys / self.batch
        log_bytes = keys * LOG_BYTES_PER_IMAGE + invocations * LOG_BYTES_PER_INVOCATION
        lines["Lambda"] = self.function_seconds(amount) * self.megabytes / 1024 * prices.gigabyte_second
        lines["Lambda invocations"] = invocations / MILLION * prices.million_invocations
        lines["logs"] = log_bytes / 1e9 * prices.logged_gigabyte
        if self.way == "batch":
            lines["S3 Batch Operations"] = prices.batch_job * bool(keys) + keys / MILLION * prices.million_batch_tasks
        else:
            # S3 sends a message for each event, a backfill ten at a time. A batch is received and deleted in one call.
            sent = keys if self.way == "uploads" else keys / FLOOD_BATCH
            lines["SQS"] = (sent + 2 * invocations) / MILLION * prices.million_message_calls
        return Bill(lines)

    def storage_dollars(self, amount: Amount) -> float:
        """Return the US dollars a month to store the renditions and manifests."""
        pixels = self.rendition_megapixels()
        size = sum(RENDITION_BYTES_PER_PIXEL[kind] * MILLION * pixels[kind] for kind in pixels)
        return amount.sources * (size + MANIFEST_BYTES) / 1e9 * self.prices.stored_gigabyte_month


def plan_bill(entries: float, manifests: float, prices: Prices = PRICES) -> Bill:
    """Return the cost of a plan that lists this many objects, 1,000 in each LIST, and reads this many manifests."""
    lists, gets = entries / 1000 / 1000 * prices.thousand_lists, manifests / 1000 * prices.thousand_gets
    return Bill({"S3 LIST": lists, "S3 GET": gets})
