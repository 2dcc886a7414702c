"""Plan and sync of two stores in one call, for programs in Python."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thumbsmith.bulk.manifest_cache import cache_file
from thumbsmith.bulk.scan import Scope, scan
from thumbsmith.bulk.status import KeyStatus, inspect
from thumbsmith.environment import cache_folder
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.recipe import checked_recipe
from thumbsmith.reconcile.protocol import DEFAULTS, Options
from thumbsmith.store import Store, refuse_overlap
from thumbsmith.store.open import as_store

if TYPE_CHECKING:
    from thumbsmith.bulk.sync import SyncResult


@dataclass(slots=True)
class SyncCounts:
    """The results of a sync: sources by outcome, rejections by code, renditions written, and objects deleted.

    `errors` counts the keys that failed, also those of deleted sources. `ignored` counts the files that are no sources
    because their suffix says that they are no pictures.
    """

    sources: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("made", "fresh", "rejected", "failed"), 0))
    codes: Counter[str] = field(default_factory=Counter)
    renditions: int = 0
    deleted: int = 0
    errors: int = 0
    ignored: int = 0

    def add(self, result: SyncResult) -> None:
        """Count one key."""
        self.errors += result.error is not None
        if result.word in self.sources and (result.listed or result.outcome):
            self.sources[result.word] += 1
            if result.word == "rejected":
                self.codes[result.code or "rejected"] += 1
        self.renditions += result.written
        self.deleted += result.deleted


def scope_between(
    source: Store | str | os.PathLike[str],
    destination: Store | str | os.PathLike[str],
    recipe: Recipe | None = None,
    options: Options = DEFAULTS,
    prefix: str = "",
) -> Scope:
    """Return the scope of two stores or their addresses, with the manifest cache of this user. Raises StoreError."""
    images, thumbnails = as_store(source), as_store(destination)
    return Scope(
        source=images,
        destination=thumbnails,
        recipe=checked_recipe(recipe),
        options=options,
        prefix=prefix,
        cache=cache_file(cache_folder(), images.url, thumbnails.url),
    )


def plan(
    source: Store | str | os.PathLike[str],
    destination: Store | str | os.PathLike[str],
    recipe: Recipe | None = None,
    *,
    prefix: str = "",
    options: Options = DEFAULTS,
) -> Iterator[KeyStatus]:
    """Return an iterator of the state of each source, and of other objects in the destination. Nothing is changed.

    The stores may be given by their addresses. Without a recipe the default recipe is used. Sources whose keys do not
    begin with `prefix` are left out. Raises StoreError if a store cannot be listed, and UsageError if they overlap.

        for status in plan("photos", "thumbs"):
            print(status.key, status.state, status.why)
    """
    scope = scope_between(source, destination, recipe, options, prefix)
    refuse_overlap(scope.source, scope.destination)
    return _plan(scope)


def _plan(scope: Scope) -> Iterator[KeyStatus]:
    with scan(scope) as found:
        yield from inspect(found, stop=lambda: False)


def sync(  # noqa: PLR0913 - each is a choice of the caller
    source: Store | str | os.PathLike[str],
    destination: Store | str | os.PathLike[str],
    recipe: Recipe | None = None,
    *,
    prefix: str = "",
    options: Options = DEFAULTS,
    jobs: int | None = None,
    allow_mass_delete: bool = False,
    on_result: Callable[[SyncResult], object] = lambda _: None,
) -> SyncCounts:
    """Make the thumbnails in the destination match the images in the source; return the counts.

    The stores may be given by their addresses. Without a recipe the default recipe is used. `jobs` worker processes
    work at the same time, by default one for each core. `on_result` is called for each key, with its outcome or its
    error; one image that fails does not end the sync. It is safe to repeat a call, to interrupt it, and to run two.

    Raises StoreError if a store cannot be listed or written, UsageError if they overlap, MassDeletionRefused if more
    than half of all thumbnails would be deleted unless `allow_mass_delete`, and WorkerError.

        counts = sync("photos", "s3://my-thumbnails", on_result=lambda each: print(each.key, each.word))
        print(counts.sources["made"], counts.renditions)
    """
    from thumbsmith.bulk import sync as engine  # noqa: PLC0415 - a plan needs no workers
    from thumbsmith.worker import THREADS_PER_WORKER, Workers, usable_cores  # noqa: PLC0415 - as above

    scope = scope_between(source, destination, recipe, options, prefix)
    counts, count = SyncCounts(), jobs or usable_cores()
    with Workers(count, isolation=scope.isolation) as workers, scan(scope) as found:
        counts.ignored = found.join.ignored
        for result in engine.sync(
            found,
            renderer=workers,
            threads=THREADS_PER_WORKER * count,
            stop=lambda: False,
            allow_mass_delete=allow_mass_delete,
        ):
            counts.add(result)
            on_result(result)
    return counts
