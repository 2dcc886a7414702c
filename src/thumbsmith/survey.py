"""Both stores side by side: how every key stands, told by listings and an index wherever these tell it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from thumbsmith.errors import RecipeError, StoreError, ThumbsmithError
from thumbsmith.index import Index
from thumbsmith.listing import Group, Listing, batched
from thumbsmith.parallel import each
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.selection import is_source
from thumbsmith.record import Record
from thumbsmith.requests import DEFAULTS, Options
from thumbsmith.standing import Judge, Standing
from thumbsmith.store import Store, overlaps
from thumbsmith.store.folder import FolderStore

# Keys are looked up in the index, and their manifests read, in batches of this many; manifests this many at once.
_BATCH: Final = 1_000
READERS: Final = 16

# Folders answer at once: there more threads only wait for one another. With 16, 5,000 small files took twice the CPU.
_FOLDER_READERS: Final = 4

# Each reader is handed this many at a time: to hand over one costs as much as to read a small file.
_HANDFUL: Final = 8

# After this many store failures in a row, with no success between them, the store is at fault and not its objects.
MAX_FAILURES_IN_A_ROW: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is kept right: a source, a destination and the recipe between them, and how.

    Keys that do not start with `prefix` are left alone. `index` is the file that remembers what manifests said.
    """

    source: Store
    destination: Store
    recipe: Recipe
    options: Options = DEFAULTS
    prefix: str = ""
    index: Path | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """What the listings of both stores say, on disk."""

    scope: Scope
    listing: Listing

    @property
    def sources(self) -> int:
        """Return the number of sources."""
        return self.listing.sources


@contextmanager
def survey(scope: Scope) -> Iterator[Survey]:
    """List both stores and yield what they hold, for as long as it is used.

    Raises StoreError when a store cannot be listed, RecipeError when one store lies within the other: what is made
    would be taken for a source.
    """
    source, destination, selection = scope.source, scope.destination.as_destination(), scope.recipe.selection
    if overlaps(source, destination):
        raise RecipeError(f"source {source.url} and destination {destination.url} overlap: one may not hold the other")
    source.reachable()
    try:
        with Listing() as listing:
            listing.add_sources(info for info in source.list(scope.prefix) if is_source(info.key, selection))
            listing.add_destination(destination.list(scope.prefix), scope.prefix)
            yield Survey(scope, listing)
    except sqlite3.Error as error:
        raise StoreError(
            f"the listings' temporary file: {error}: set TMPDIR to a folder with room", transient=True
        ) from error


def inspect(found: Survey, *, stop: Callable[[], bool], readers: int | None = None) -> Iterator[Standing]:
    """Yield how every source stands, what is left of those that are gone, and what is foreign; change nothing.

    They come in the order of their keys' bytes, and last the objects that by their names cannot be ours. Once `stop`
    says True nothing more is read, and what needs no reading is yielded to the end of the batch.
    """
    scope = found.scope
    in_folders = isinstance(scope.source, FolderStore) and isinstance(scope.destination, FolderStore)
    readers = readers or (_FOLDER_READERS if in_folders else READERS)
    failures: list[StoreError] = []  # in a row
    records: dict[str, Record] = {}

    def read(groups: Sequence[Group]) -> list[tuple[Standing, Record | None]]:
        return [_read(judge, group, records.get(group.key), failures) for group in groups if not stop()]

    with Index(scope.index) as index:
        judge = Judge(
            scope.source, scope.destination.as_destination(), scope.recipe, scope.options, remembers=index.lasts
        )
        for groups in batched(found.listing.groups(), _BATCH):
            records = index.recall([group.key for group in groups])
            told = {group.key: judge.by_listing(group, records.get(group.key)) for group in groups}
            learnt: dict[str, Record] = {}
            unknown = [group for group in groups if told[group.key] is None]
            handfuls = batched(unknown, _HANDFUL)
            for found_out in each(read, handfuls, threads=readers, stop=stop) if unknown else ():
                for standing, record in found_out:
                    told[standing.key] = standing
                    if record:
                        learnt[standing.key] = record
            index.remember(learnt)
            yield from (standing for standing in told.values() if standing)
            if stop():
                return
    yield from (Standing(key=info.key, foreign=(info,)) for info in found.listing.others())


def _read(
    judge: Judge, group: Group, record: Record | None, failures: list[StoreError]
) -> tuple[Standing, Record | None]:
    """Return how a key stands and what to remember, by reading, unless the store has failed too often."""
    if len(failures) >= MAX_FAILURES_IN_A_ROW:
        unreached = StoreError(f"not tried: the stores failed {len(failures)} times in a row", transient=True)
        return judge.failed(group, unreached), None
    try:
        told = judge.by_reading(group, record)
    except StoreError as error:
        failures.append(error)
        return judge.failed(group, error), None
    except ThumbsmithError as error:
        return judge.failed(group, error), None
    failures.clear()
    return told
