"""The whole destination made to agree with the whole source: `converge` for every key that is not settled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from thumbsmith.bulk.join import PendingKey, batched
from thumbsmith.bulk.parallel import each
from thumbsmith.bulk.scan import MAX_FAILURES_IN_A_ROW, Scope, StoreScan, inspect
from thumbsmith.bulk.status import KeyStatus
from thumbsmith.errors import MassDeletionRefused, StoreError, ThumbsmithError
from thumbsmith.reconcile.converge import Renderer, converge
from thumbsmith.reconcile.decide import State
from thumbsmith.reconcile.effects import Outcome

_BATCH: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of one key: an outcome or an error.

    `listed` is False for what is left of a source that is gone, `planned` True for what was settled before.
    """

    key: str
    listed: bool
    planned: bool = False
    outcome: Outcome | None = None
    error: ThumbsmithError | None = None


def sync(
    found: StoreScan, *, renderer: Renderer, threads: int, stop: Callable[[], bool], may_wipe: bool = False
) -> Iterator[Done]:
    """Make every key of the survey right; yield what became of each: first what is settled, then what was to be done.

    All is inspected before anything is written or deleted. Then MassDeletionRefused is raised, unless `may_wipe`, where
    more than half of all renditions would be deleted because their sources are missing: the source may be mistyped.
    Once `stop` says True nothing more is begun, and what has begun is finished. When the stores fail again and again,
    what was not begun is yielded as failed too. What is left of gone sources is deleted first. Where nothing can be
    written to the destination after that, no picture is decoded: raises StoreError, or, where something was deleted,
    yields each source that was to be made as failed.
    """
    yield from settle(found, stop=stop, may_wipe=may_wipe)
    if stop():
        return
    found.scope.destination.sweep()
    deleted = 0
    for done in _carry_out(found, found.listing.deferred(listed=False), renderer, threads, stop):  # this frees space
        deleted += done.outcome.deleted if done.outcome else 0
        yield done
    sources = found.listing.deferred(listed=True)
    try:
        if not stop() and any(found.listing.deferred(listed=True)):
            found.scope.destination.check_writable()
    except StoreError as error:
        if not deleted:
            raise
        yield from (Done(key=todo.key, listed=True, error=error) for todo in sources)
        return
    yield from _carry_out(found, sources, renderer, threads, stop)


def settle(
    found: StoreScan,
    *,
    stop: Callable[[], bool],
    may_wipe: bool = False,
    told: Callable[[KeyStatus], object] = lambda _: None,
) -> Iterator[Done]:
    """Inspect all; yield what is settled, and defer in the survey's listing what is to be done, writing nothing.

    How each key stands is `told`. Raises MassDeletionRefused as `sync` does. Once `stop` says True what was deferred is
    not all.
    """
    pictures = gone = 0
    for batch in batched(inspect(found, stop=stop), _BATCH):
        for standing in batch:
            told(standing)
        pictures += sum(standing.pictures for standing in batch)
        gone += sum(standing.pictures for standing in batch if standing.source is None)
        found.listing.defer(_todo(standing) for standing in batch if _is_to_do(standing))
        yield from (_as_it_stands(standing) for standing in batch if _is_done(standing))
    if stop():
        return
    if 2 * gone > pictures and not (may_wipe or found.scope.options.keep_orphans):
        raise MassDeletionRefused(
            f"{found.scope.destination.url}: {gone:,} of {pictures:,} thumbnails there are of sources that are gone"
        )


def _todo(standing: KeyStatus) -> PendingKey:
    source = standing.source
    return PendingKey(standing.key, True, source.size, source.etag) if source else PendingKey(standing.key, False)


def _is_to_do(standing: KeyStatus) -> bool:
    """Return whether `converge` is to look at the key: also where a source's thumbnails could not be inspected."""
    if standing.unlisted:
        return False
    return bool(standing.orphaned) if standing.source is None else not standing.settled


def _is_done(standing: KeyStatus) -> bool:
    return standing.settled or standing.unlisted or (standing.source is None and standing.error is not None)


def _as_it_stands(standing: KeyStatus) -> Done:
    if standing.error:
        return Done(key=standing.key, listed=standing.source is not None, planned=True, error=standing.error)
    if standing.state is State.FRESH:
        return Done(key=standing.key, listed=True, planned=True, outcome=Outcome(status="fresh"))
    outcome = Outcome(status="rejected", code=standing.code, detail=standing.why)
    return Done(key=standing.key, listed=True, planned=True, outcome=outcome)


def _carry_out(
    found: StoreScan, keys: Iterator[PendingKey], renderer: Renderer, threads: int, stop: Callable[[], bool]
) -> Iterator[Done]:
    """Converge keys that were deferred; yield what became of each, in no promised order."""
    failures: list[StoreError] = []  # in a row

    def make_right(todo: PendingKey) -> Done:
        return _make_right(found.scope, todo.key, renderer, listed=todo.listed)

    def stopped() -> bool:
        return stop() or len(failures) >= MAX_FAILURES_IN_A_ROW

    for done in each(make_right, keys, threads=threads, stop=stopped):
        if isinstance(done.error, StoreError) and not done.error.one_object:
            failures.append(done.error)
        else:
            failures.clear()
        yield done
    if failures and not stop():
        unreached = StoreError(f"not tried: the stores failed {len(failures)} times in a row", transient=True)
        yield from (Done(key=todo.key, listed=todo.listed, error=unreached) for todo in keys)


def _make_right(scope: Scope, key: str, renderer: Renderer, *, listed: bool) -> Done:
    try:
        outcome = converge(key, scope.source, scope.destination, scope.recipe, renderer=renderer, options=scope.options)
    except ThumbsmithError as error:
        return Done(key=key, listed=listed, error=error)
    return Done(key=key, listed=listed, outcome=outcome)
