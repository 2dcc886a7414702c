"""Update the thumbnails of one key: run the protocol over real stores. Every shell (CLI, web, AWS) calls this."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from thumbsmith.errors import Rejected, SourceChanged, ThumbsmithError, UsageError
from thumbsmith.reader import RangeReader
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import MANIFEST, is_managed_name
from thumbsmith.recipe.recipe import checked_recipe
from thumbsmith.recipe.selection import is_source
from thumbsmith.reconcile.effects import (
    Delete,
    DigestRendition,
    DigestSource,
    Effect,
    HeadSource,
    ListRenditions,
    Put,
    PutAll,
    ReadManifest,
    Render,
)
from thumbsmith.reconcile.manifest import read_manifest_version
from thumbsmith.reconcile.protocol import DEFAULTS, Options, Outcome, steps
from thumbsmith.store.base import ObjectInfo, OpenObject, Store, refuse_overlap
from thumbsmith.store.open import as_store

if TYPE_CHECKING:
    from thumbsmith.worker import Work

T = TypeVar("T")

# Renditions of one source that are written at the same time, where the store allows it.
MAX_PUTS_AT_ONCE: Final = 4

# Objects are read in pieces of this size to compute their digest.
_DIGEST_PIECE_BYTES: Final = 1 << 20


class Renderer(Protocol):
    """Renders a source: `Workers`, or a simpler implementation in a test."""

    def render(self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None) -> Work:
        """Return the renditions named in `wanted`; None means all.

        Raises Rejected, WorkerError, and what the reader raises.
        """
        ...


def converge(
    key: str,
    source: Store | str | os.PathLike[str],
    destination: Store | str | os.PathLike[str],
    recipe: Recipe | None = None,
    *,
    renderer: Renderer | None = None,
    options: Options = DEFAULTS,
    check: Callable[[], object] | None = None,
) -> Outcome:
    """Make the destination match the current source under `key`; return what was done.

    The stores may be given by their addresses. Without a recipe the default recipe is used. `renderer` decodes and
    encodes; by default, the worker processes of this process do. It is safe to repeat a call, to interrupt it, and to
    run two at once. `check` is called before each step and may raise an exception to stop the run.

    Raises StoreError, WorkerError or MissingDecoder if no decision was possible: try again later. Raises UsageError if
    the stores overlap, or for a key that is no text.

        outcome = converge("cat.jpg", "photos", "thumbs")
        print(outcome.status, [each.key for each in outcome.renditions])
    """
    if not isinstance(key, str):
        raise UsageError(f"expected a key, such as 'cat.jpg' for the image cat.jpg in the source, found {key!r}")
    images, thumbnails = as_store(source), as_store(destination)
    refuse_overlap(images, thumbnails)
    return _converge(key, images, thumbnails, checked_recipe(recipe), renderer, options, check)


def _converge(
    key: str,
    source: Store,
    destination: Store,
    recipe: Recipe,
    renderer: Renderer | None,
    options: Options,
    check: Callable[[], object] | None,
) -> Outcome:
    record_digest = not source.etags_identify_content
    protocol = steps(key, recipe, options, destination.max_key_bytes, record_digest=record_digest)
    with source.for_one_key() as sources, destination.as_destination().for_one_key() as thumbnails:
        return StoreDriver(key, sources, thumbnails, recipe, renderer, check).run(protocol)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result for one key: an outcome or an error."""

    key: str
    outcome: Outcome | None = None
    error: ThumbsmithError | None = None

    @property
    def word(self) -> str:
        """Return the word for this result in messages and JSON: the outcome's status, or "failed"."""
        return outcome_word(self.outcome)

    @property
    def code(self) -> str | None:
        """Return the rejection code, or None."""
        return self.outcome.code if self.outcome else None

    @property
    def detail(self) -> str | None:
        """Return a sentence about the error or the rejection, without the key; or None."""
        if self.error:
            return self.error.about(self.key)
        return self.outcome.detail if self.outcome else None

    @property
    def written(self) -> int:
        """Return the number of renditions that were written."""
        return self.outcome.written if self.outcome else 0

    @property
    def deleted(self) -> int:
        """Return the number of objects that were deleted."""
        return self.outcome.deleted if self.outcome else 0


def attempt(
    key: str,
    source: Store,
    destination: Store,
    recipe: Recipe,
    *,
    renderer: Renderer,
    options: Options = DEFAULTS,
    check: Callable[[], object] | None = None,
) -> Result:
    """Do what `converge` does for two stores that do not overlap; return its outcome, or its ThumbsmithError."""
    try:
        outcome = _converge(key, source, destination, recipe, renderer, options, check)
    except ThumbsmithError as error:
        return Result(key=key, error=error)
    return Result(key=key, outcome=outcome)


def outcome_word(outcome: Outcome | None) -> str:
    """Return the word for an outcome in messages, JSON and metrics: its status, or "failed" if there is none."""
    return outcome.status if outcome else "failed"


@dataclass(frozen=True, slots=True)
class StoreDriver:
    """Performs the effects of the protocol for one key, over real stores.

    Without a renderer, the shared workers render. `check` is called before each effect and may raise an exception to
    stop. `opened` is the source that was opened to be rendered next.
    """

    key: str
    source: Store
    destination: Store
    recipe: Recipe
    renderer: Renderer | None
    check: Callable[[], object] | None = None
    opened: list[OpenObject] = field(default_factory=list)

    def run(self, protocol: Generator[Effect, Any, T]) -> T:
        """Perform all effects of the generator; return what it returns."""
        result = None
        try:
            while True:
                effect = protocol.send(result)
                if self.check:
                    self.check()
                result = self.perform(effect)
        except StopIteration as end:
            returned: T = end.value
            return returned
        finally:
            while self.opened:
                self.opened.pop().close()

    def perform(self, effect: Effect) -> object:
        """Return the result of one effect."""
        match effect:
            case ReadManifest():
                return read_manifest_version(self.destination, self.key)
            case ListRenditions():
                return self._list_renditions()
            case HeadSource(rendered_next):
                return self._head_source(rendered_next=rendered_next)
            case DigestRendition(name):
                return self.digest_rendition(name)
            case DigestSource(etag):
                return self.digest_source(etag)
            case Render(etag, names):
                return self._render(etag, names)
            case Put() | PutAll():
                return self._put(effect) if isinstance(effect, Put) else self._put_all(effect.puts)
            case Delete(name):
                self.destination.delete(f"{self.key}/{name}")
                return None

    def _put(self, effect: Put) -> str:
        put = self.destination.put_last if effect.name == MANIFEST else self.destination.put
        return put(f"{self.key}/{effect.name}", effect.data, effect.headers)

    def _put_all(self, puts: Sequence[Put]) -> list[str]:
        """Return the result of PutAll. Writes several objects at once where the store allows it.

        Raises the first error after all writes have ended, so that none happens later.
        """
        if self.destination.puts_at_once and len(puts) > 1:
            with ThreadPoolExecutor(min(len(puts), MAX_PUTS_AT_ONCE), thread_name_prefix="thumbsmith-put") as pool:
                running = [pool.submit(copy_context().run, self._put, put) for put in puts]
            return [each.result() for each in running]
        etags = []
        for number, put in enumerate(puts):
            if number and self.check:
                self.check()
            etags.append(self._put(put))
        return etags

    def _list_renditions(self) -> dict[str, ObjectInfo]:
        objects = {info.key[len(self.key) + 1 :]: info for info in self.destination.children(self.key)}
        return {name: info for name, info in objects.items() if is_managed_name(name)}

    def _head_source(self, *, rendered_next: bool) -> ObjectInfo | None:
        """Return the source; None if it does not exist, is not selected or is opted out.

        Raises StoreError, also if the whole folder of sources is missing.
        """
        source = None
        if is_source(self.key, self.recipe.selection):
            source = self._open_source() if rendered_next else self.source.head(self.key)
        if source is None:
            self.source.check_absence()  # a missing folder, such as an unmounted disk, deletes no thumbnails
        return None if source is None or source.opted_out else source

    def _open_source(self) -> ObjectInfo | None:
        try:
            reader = self.source.open_ahead(self.key)
        except Rejected:  # it is archived: the rejection is recorded when it is rendered
            return self.source.head(self.key)
        if reader is None:
            return None
        self.opened.append(reader)
        return reader.info

    def digest_rendition(self, name: str) -> str | None:
        """Return the result of DigestRendition. Raises StoreError."""
        reader = self.destination.open(f"{self.key}/{name}")
        return _digest_of(reader) if reader else None

    def digest_source(self, etag: str) -> str | None:
        """Return the result of DigestSource. Raises StoreError."""
        try:
            reader = self.source.open(self.key)
        except Rejected:
            return None  # it was archived after the examination
        return _digest_of(reader, etag) if reader else None

    def _render(self, etag: str, names: frozenset[str] | None) -> Work | Rejected | None:
        try:
            reader = self.opened.pop() if self.opened else self.source.open(self.key)
            if reader is None:
                return None
            with closing(reader):
                if reader.info.etag != etag:
                    return None
                return (self.renderer or _shared_workers()).render(reader, self.recipe, names)
        except SourceChanged:
            return None
        except Rejected as rejected:
            return rejected


def digest(reader: OpenObject) -> str:
    """Return the sha256 of an object's bytes in hex. Raises what the reader raises."""
    found = hashlib.sha256()
    for offset in range(0, reader.size, _DIGEST_PIECE_BYTES):
        found.update(reader.read(offset, _DIGEST_PIECE_BYTES))
    return found.hexdigest()


def _digest_of(reader: OpenObject, etag: str | None = None) -> str | None:
    """Return the digest and close the reader; None if the object changes during the read or has another etag."""
    with closing(reader):
        try:
            return digest(reader) if etag in {None, reader.info.etag} else None
        except SourceChanged:
            return None


def _shared_workers() -> Renderer:
    from thumbsmith.worker import shared  # noqa: PLC0415 - only rendering needs worker processes

    return shared()
