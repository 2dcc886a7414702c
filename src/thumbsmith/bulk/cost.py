"""What making thumbnails takes and costs: a model of AWS's bill, linear in what there is to make. No I/O.

The counts are exact where listings tell them: sources, bytes, and the requests that each source takes (docs/s3.md).
What is not known before a picture is opened, its time, is measured: on one machine for `SECONDS`, or on the fleet
itself, whose log says `CpuMilliseconds` of every image. Taxes, discounts, transfer and free tiers are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Final, Literal, Self, TypeAlias

from thumbsmith.image.geometry import plan
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.model import Format
from thumbsmith.recipe.names import expected

MILLION: Final = 1_000_000

# Who makes the thumbnails: this machine; functions fed from a queue; or functions fed by a job of S3 Batch Operations.
Way: TypeAlias = Literal["here", "queue", "batch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """US dollars: AWS's list prices in us-east-1, 2025, arm64, S3 Standard, no free tier.

    https://aws.amazon.com/s3/pricing, /lambda/pricing, /sqs/pricing, /cloudwatch/pricing
    """

    put: float = 0.005 / 1000
    list: float = 0.005 / 1000
    get: float = 0.0004 / 1000
    head: float = 0.0004 / 1000
    gigabyte_second: float = 0.0000133334
    invocation: float = 0.20 / MILLION
    message_call: float = 0.40 / MILLION  # of up to ten messages and 64 KB
    logged_gigabyte: float = 0.50
    batch_job: float = 0.25
    batch_task: float = 1.00 / MILLION
    stored_gigabyte_month: float = 0.023


PRICES: Final = Prices()

# Seconds of CPU time. Measured on JPEG photographs of 8 to 12 megapixels, on one core of a cloud machine: for a source
# whatever it is, with its process and its requests; for a megabyte (10^6 bytes) of it; and for a megapixel of
# thumbnails in each format, the finer decoding that it takes included.
SECONDS_A_SOURCE: Final = 0.04
SECONDS_A_MEGABYTE: Final = 0.008
SECONDS_A_MEGAPIXEL: Final[Mapping[Format, float]] = {
    Format.JPEG: 0.041,
    Format.WEBP: 0.071,
    Format.PNG: 0.29,
    Format.AVIF: 0.22,
}

# Seconds of a request between a function and its bucket, in which the other thread of a pair has the core.
SECONDS_A_REQUEST: Final = 0.015
THREADS: Final = 2

# What a key takes whose source is gone: no picture is touched.
SECONDS_A_GONE_KEY: Final = 0.01

# Of a photograph from a camera as JPEG, and of a thumbnail: bytes a pixel.
BYTES_A_PIXEL: Final = 1 / 3
STORED_BYTES_A_PIXEL: Final[Mapping[Format, float]] = {
    Format.JPEG: 0.3,
    Format.WEBP: 0.2,
    Format.PNG: 1.6,
    Format.AVIF: 0.1,
}
MANIFEST_BYTES: Final = 2_000

LINE_BYTES: Final = 1_400  # of the function's log, an image

# How a source is read: so much with its description, and then in blocks. worker/wire.py, image/stream.py
_HEAD: Final = 128 << 10
_BLOCK: Final = 4 << 20

# A picture of a camera's proportions stands for all of them.
_PROPORTIONS: Final = (3, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much there is to do: sources to make, their bytes, the GETs that reading them takes; keys that are gone."""

    sources: float = 0
    bytes: float = 0
    reads: float = 0
    gone: float = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            sources=self.sources + other.sources,
            bytes=self.bytes + other.bytes,
            reads=self.reads + other.reads,
            gone=self.gone + other.gone,
        )

    def __mul__(self, times: float) -> Amount:
        return Amount(
            sources=self.sources * times, bytes=self.bytes * times, reads=self.reads * times, gone=self.gone * times
        )


NOTHING: Final = Amount()
GONE: Final = Amount(gone=1)


def source(size: float) -> Amount:
    """Return what one source of so many bytes amounts to."""
    return Amount(sources=1, bytes=size, reads=1 + (ceil(size / _BLOCK) if size > _HEAD else 0))


@dataclass(frozen=True, slots=True)
class Bill:
    """US dollars by line."""

    lines: Mapping[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Return the sum."""
        return sum(self.lines.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What an amount takes and costs: by one recipe, on functions of so many `megabytes`, `batch` keys an invocation.

    `milliseconds` is the CPU time of one image where it was measured. `reads` and `writes` say which stores are on S3.
    Every source is taken for one of so many `megapixels`.
    """

    recipe: Recipe
    way: Way = "here"
    milliseconds: float | None = None
    megabytes: int = 1769
    batch: int = 10
    reads: bool = True
    writes: bool = True
    prices: Prices = PRICES
    megapixels: float = 12
    names: int = field(init=False)
    drawing: float = field(init=False)

    def __post_init__(self) -> None:
        """Count, once, the `names` of a JPEG's renditions, and the seconds of `drawing` them."""
        object.__setattr__(self, "names", len(expected(self.recipe, "jpeg", alpha=False)))
        drawing = sum(SECONDS_A_MEGAPIXEL[kind] * pixels for kind, pixels in self.pixels().items())
        object.__setattr__(self, "drawing", drawing)

    @classmethod
    def between(cls, recipe: Recipe, source_url: str, destination_url: str, **given: object) -> Self:
        """Return the model for two stores' addresses, of which those on S3 cost."""
        on_s3 = (url.startswith("s3://") for url in (source_url, destination_url))
        return cls(recipe=recipe, **dict(zip(("reads", "writes"), on_s3, strict=True)), **given)  # type: ignore[arg-type]

    def pixels(self) -> dict[Format, float]:
        """Return the megapixels of a source's renditions, by format."""
        wide, high = _PROPORTIONS
        scale = (self.megapixels * MILLION / (wide * high)) ** 0.5
        width, height = max(1, round(wide * scale)), max(1, round(high * scale))
        found = dict.fromkeys(Format, 0.0)
        for variant, kind in expected(self.recipe, "jpeg", alpha=False).values():
            size = plan((width, height), variant).canvas
            found[kind] += size[0] * size[1] / MILLION
        return found

    def cpu_seconds(self, amount: Amount) -> float:
        """Return the seconds of CPU time that all of it takes."""
        gone = amount.gone * SECONDS_A_GONE_KEY
        if self.milliseconds is not None:
            return amount.sources * self.milliseconds / 1000 + gone
        return amount.sources * (SECONDS_A_SOURCE + self.drawing) + amount.bytes / 1e6 * SECONDS_A_MEGABYTE + gone

    def requests(self, amount: Amount) -> dict[str, float]:
        """Return how many requests to S3 it takes, by the name of the operation (docs/s3.md, "What it costs")."""
        reads, writes = self.reads, self.writes
        return {
            "PUT": writes * amount.sources * (1 + self.names),
            "LIST": writes * (amount.sources + amount.gone),
            "GET": reads * (amount.reads + 2 * amount.gone) + writes * (amount.sources + amount.gone),
            "HEAD": reads * 2 * (amount.sources + amount.gone),
        }

    def function_seconds(self, amount: Amount) -> float:
        """Return the seconds that functions run: while one thread waits for S3, the other has the core."""
        cpu = self.cpu_seconds(amount)
        waiting = SECONDS_A_REQUEST * sum(self.requests(amount).values())
        return max(cpu, (cpu + waiting) / THREADS)

    def seconds(self, amount: Amount, at_once: float) -> float:
        """Return about how long it takes with so many at once: functions, or jobs with a core each."""
        return (self.cpu_seconds(amount) if self.way == "here" else self.function_seconds(amount)) / at_once

    def bill(self, amount: Amount) -> Bill:
        """Return what it costs, by line."""
        prices, keys = self.prices, amount.sources + amount.gone
        a_request = {"PUT": prices.put, "LIST": prices.list, "GET": prices.get, "HEAD": prices.head}
        lines = {f"S3 {name}": count * a_request[name] for name, count in self.requests(amount).items()}
        if self.way != "here":
            gigabytes = self.megabytes / 1024
            lines["Lambda"] = self.function_seconds(amount) * gigabytes * prices.gigabyte_second
            lines["Lambda invocations"] = keys / self.batch * prices.invocation
            lines["logs"] = keys * LINE_BYTES / 1e9 * prices.logged_gigabyte
        if self.way == "queue":
            lines["SQS"] = keys * 3 / 10 * prices.message_call  # sent, received and deleted ten at a time
        if self.way == "batch":
            lines["S3 Batch Operations"] = prices.batch_job * bool(keys) + keys * prices.batch_task
        return Bill(lines)

    def storing(self, amount: Amount) -> float:
        """Return the dollars a month of keeping what is made."""
        size = sum(STORED_BYTES_A_PIXEL[kind] * MILLION * pixels for kind, pixels in self.pixels().items())
        return amount.sources * (size + MANIFEST_BYTES) / 1e9 * self.prices.stored_gigabyte_month


def planning(entries: float, manifests: float, prices: Prices = PRICES) -> Bill:
    """Return what a plan costs that lists so many objects, a thousand a LIST, and reads so many manifests."""
    return Bill({"S3 LIST": entries / 1000 * prices.list, "S3 GET": manifests * prices.get})
