"""Make the whole destination match the whole source: converge every key that is not settled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from thumbsmith.bulk.parallel import each
from thumbsmith.bulk.scan import PendingKey, Scope, StoreScan, batched
from thumbsmith.bulk.status import MAX_FAILURES_IN_A_ROW, KeyStatus, inspect, not_tried
from thumbsmith.errors import MassDeletionRefused, StoreError, StoreFull
from thumbsmith.reconcile.converge import Renderer, Result
from thumbsmith.reconcile.decide import State
from thumbsmith.reconcile.protocol import Outcome

T = TypeVar("T")

# Returns a block in which no other thread converges the key.
KeyLock: TypeAlias = Callable[[str], AbstractContextManager[object]]

_FRESH: Final = Outcome(status="fresh")

# Keys are stored as pending in batches of this size.
_BATCH_KEYS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncResult(Result):
    """The result for one key.

    `listed` is False for the thumbnails of a deleted source. `already_settled` is True if the key was not converged:
    the scan found it settled, or failed to determine its status.
    """

    listed: bool
    already_settled: bool = False


def sync(
    found: StoreScan,
    *,
    renderer: Renderer,
    threads: int,
    stop: Callable[[], bool],
    allow_mass_delete: bool = False,
    lock: KeyLock = nullcontext,
) -> Iterator[SyncResult]:
    """Converge every key of the scan that is not settled. Yield the results: first of settled keys, then of the others.

    All keys are inspected before anything is written or deleted. Unless `allow_mass_delete`, raises MassDeletionRefused
    if more than half of all renditions would be deleted because their sources are missing: the source may be empty or
    mistyped. Once `stop` returns True, no further key is begun, and the keys in progress are finished. After too many
    consecutive store failures, the other keys are yielded as failed.

    The thumbnails of deleted sources are deleted first. If the destination is full after that, sources with obsolete
    thumbnails are next. If it is still not writable, no other source is decoded: raises StoreError, or, if a key was
    converged, yields each remaining source as failed.

    Each key is converged in the block of `lock(key)`.
    """
    yield from classify(found, stop=stop, allow_mass_delete=allow_mass_delete)
    if stop():
        return
    if found.join.leftovers or found.scope.prefix:  # with a prefix, only a part was listed
        found.scope.destination.sweep()
    succeeded = False

    def converged(keys: Iterator[PendingKey]) -> Iterator[SyncResult]:
        nonlocal succeeded
        for result in _converge_all(found, keys, renderer, threads, stop, lock):
            succeeded = succeeded or result.error is None
            yield result

    yield from converged(found.join.pending(listed=False))
    sources = found.join.pending(listed=True)
    if stop() or not any(found.join.pending(listed=True)):
        return
    try:
        try:
            found.scope.destination.check_writable()
        except StoreFull:  # obsolete thumbnails are deleted before new ones are written
            yield from converged(found.join.pending(listed=True, deletes=True))
            sources = found.join.pending(listed=True, deletes=False)
            found.scope.destination.check_writable()
    except StoreError as error:
        if not succeeded:
            raise
        yield from (SyncResult(key=pending.key, listed=True, error=error) for pending in sources)
        return
    yield from converged(sources)


def classify(
    found: StoreScan,
    *,
    stop: Callable[[], bool],
    allow_mass_delete: bool = False,
    on_status: Callable[[KeyStatus], object] = lambda _: None,
) -> Iterator[SyncResult]:
    """Inspect all keys. Yield those that are settled; store the others as pending in the scan. Write nothing else.

    `on_status` receives each status. Raises MassDeletionRefused as `sync` does. Once `stop` returns True, the pending
    keys are incomplete.
    """
    renditions = orphaned = 0
    for batch in batched(inspect(found, stop=stop), _BATCH_KEYS):
        for status in batch:
            on_status(status)
            renditions += status.renditions
            if status.source is None:
                orphaned += status.renditions
        found.join.add_pending(_pending(status) for status in batch if _is_pending(status))
        yield from (_settled(status) for status in batch if _is_settled(status))
    if stop():
        return
    if 2 * orphaned > renditions and not (allow_mass_delete or found.scope.options.keep_orphans):
        where = found.scope.destination.url
        raise MassDeletionRefused(
            f"{where}: {orphaned:,} of {renditions:,} thumbnails belong to sources that no longer exist"
        )


def without_mass_delete(
    scope: Scope, run: Callable[[Scope], T], on_refusal: Callable[[MassDeletionRefused], object]
) -> T:
    """Return `run(scope)`. If it is refused, call `on_refusal`, then run again without deleting orphans.

    For a sync without a user: the sources may be missing because another disk was mounted over their folder.
    """
    try:
        return run(scope)
    except MassDeletionRefused as refusal:
        on_refusal(refusal)
        return run(scope.keeping_orphans())


def _pending(status: KeyStatus) -> PendingKey:
    source = status.source
    if source is None:
        return PendingKey(status.key, False)
    deletes, untouched = bool(status.orphaned), status.untouched
    return PendingKey(status.key, True, source.size, source.etag, deletes=deletes, untouched=untouched)


def _is_pending(status: KeyStatus) -> bool:
    """Return whether to converge the key; also a source whose thumbnails could not be inspected."""
    if status.unlisted:
        return False
    return bool(status.orphaned) if status.source is None else not status.settled


def _is_settled(status: KeyStatus) -> bool:
    return status.settled or status.unlisted or (status.source is None and status.error is not None)


def _settled(status: KeyStatus) -> SyncResult:
    if status.error:
        listed = status.source is not None
        return SyncResult(key=status.key, listed=listed, already_settled=True, error=status.error)
    is_fresh = status.state is State.FRESH
    outcome = _FRESH if is_fresh else Outcome(status="rejected", code=status.code, detail=status.why)
    return SyncResult(key=status.key, listed=True, already_settled=True, outcome=outcome)


def _converge_all(
    found: StoreScan,
    keys: Iterator[PendingKey],
    renderer: Renderer,
    threads: int,
    stop: Callable[[], bool],
    lock: KeyLock,
) -> Iterator[SyncResult]:
    """Converge pending keys; yield the results in any order."""
    failures = 0  # consecutive

    def converge(pending: PendingKey) -> SyncResult:
        with lock(pending.key):
            result = found.scope.attempt(pending.key, renderer, untouched=pending.untouched)
        return SyncResult(key=result.key, listed=pending.listed, outcome=result.outcome, error=result.error)

    def stopped() -> bool:
        return stop() or failures >= MAX_FAILURES_IN_A_ROW

    for result in each(converge, keys, threads=threads, stop=stopped):
        failures = failures + 1 if isinstance(result.error, StoreError) and not result.error.one_object else 0
        yield result
    if failures and not stop():
        error = not_tried(failures)
        yield from (SyncResult(key=pending.key, listed=pending.listed, error=error) for pending in keys)
