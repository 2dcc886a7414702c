"""What `sync` would do, in numbers: how many sources and objects, how many bytes, how long, for how much."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from thumbsmith.assess import State
from thumbsmith.keys import expected
from thumbsmith.standing import Standing
from thumbsmith.survey import Scope

# Seconds that one job takes for a source, and for each megabyte (10^6 bytes) of it. Measured with the default recipe on
# 21 JPEG photographs of 0.4 to 6.3 MB, on two cores of a cloud machine. Recipes with AVIF take several times as long.
SECONDS_A_SOURCE: Final = 0.1
SECONDS_A_MEGABYTE: Final = 0.07

# US dollars, list prices of S3 Standard in us-east-1, 2025, https://aws.amazon.com/s3/pricing/: PUT and LIST $0.005 for
# a thousand, GET and HEAD $0.0004 for a thousand, DELETE nothing.
DOLLARS_A_PUT: Final = 0.005 / 1000
DOLLARS_A_LIST: Final = 0.005 / 1000
DOLLARS_A_GET: Final = 0.0004 / 1000
DOLLARS_A_HEAD: Final = 0.0004 / 1000


@dataclass(slots=True)
class Totals:
    """Counts and bytes of all that was inspected."""

    sources: dict[str, int] = field(default_factory=lambda: {state.value: 0 for state in State})
    failed: int = 0
    to_read: int = 0  # bytes of the sources to be made
    orphaned: int = 0
    to_delete: int = 0  # bytes of the objects that are orphaned
    foreign: int = 0

    def add(self, standing: Standing) -> None:
        """Count what stands under one key."""
        self.orphaned += len(standing.orphaned)
        self.foreign += len(standing.foreign)
        self.to_delete += sum(info.size for info in standing.orphaned)
        self.failed += standing.error is not None
        if standing.state and standing.source:
            self.sources[standing.state] += 1
            if standing.state in {State.MISSING, State.STALE}:
                self.to_read += standing.source.size

    @property
    def to_make(self) -> int:
        """Return the number of sources to be made."""
        return self.sources[State.MISSING] + self.sources[State.STALE]


def seconds(totals: Totals, *, jobs: int) -> float:
    """Return about how long making takes with so many jobs, each on a core of its own, and stores that keep up."""
    return (totals.to_make * SECONDS_A_SOURCE + totals.to_read / 1e6 * SECONDS_A_MEGABYTE) / jobs


def dollars(totals: Totals, scope: Scope) -> float | None:
    """Return about what the requests of making cost; None where neither store is on S3.

    For each source that is made: two looks at it and one GET of it; and in the destination a GET of the manifest, a
    LIST, and a PUT for the manifest and each rendition of a JPEG. Transfer and storage are not counted.
    """
    reads, writes = (store.url.startswith("s3://") for store in (scope.source, scope.destination))
    if not reads and not writes:
        return None
    puts = 1 + len(expected(scope.recipe, "jpeg", alpha=False))
    reading = 2 * DOLLARS_A_HEAD + DOLLARS_A_GET
    writing = DOLLARS_A_GET + DOLLARS_A_LIST + puts * DOLLARS_A_PUT
    return totals.to_make * (reads * reading + writes * writing)
