"""The one use case: make the destination agree with one source as it is now. Every shell calls it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from thumbsmith.errors import Rejected, SourceChanged
from thumbsmith.reader import RangeReader
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import is_managed_name
from thumbsmith.recipe.selection import is_source
from thumbsmith.reconcile.effects import (
    DEFAULTS,
    Delete,
    DigestRendition,
    DigestSource,
    ListRenditions,
    LoadManifest,
    LookAtSource,
    Options,
    Outcome,
    Put,
    Render,
    Request,
)
from thumbsmith.reconcile.manifest import Manifest, read_manifest
from thumbsmith.reconcile.protocol import steps
from thumbsmith.store.base import ObjectInfo, OpenObject, Store

if TYPE_CHECKING:
    from thumbsmith.worker import Work


T = TypeVar("T")

# Objects are hashed in pieces of this many bytes.
_PIECE: Final = 1 << 20


class Renderer(Protocol):
    """Whoever turns a source into pictures: `Workers`, or something simpler in a test."""

    def render(self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None) -> Work:
        """Return the pictures named in `wanted`, all for None. Raises Rejected, WorkerError, what the reader raises."""
        ...


def converge(
    key: str,
    source: Store,
    destination: Store,
    recipe: Recipe,
    *,
    renderer: Renderer | None = None,
    options: Options = DEFAULTS,
    check: Callable[[], object] | None = None,
) -> Outcome:
    """Make the destination agree with the source under `key` as it is now, and return what was done.

    Pictures are handled by `renderer`, by default this process's own worker processes. Safe to repeat, to interrupt and
    to run twice at once. `check` is called before each step: what it raises stops the work there. Raises StoreError,
    WorkerError or MissingDecoder where nothing could be decided: try again.
    """
    hands = StoreDriver(key, source, destination.as_destination(), recipe, renderer, check)
    record_digest = not source.etags_identify_content
    return hands.carry_out(steps(key, recipe, options, destination.max_key_bytes, record_digest=record_digest))


@dataclass(frozen=True, slots=True)
class StoreDriver:
    """Carries out the protocol's requests for one key, over real stores. Without a renderer, by the shared workers.

    `check` is called before each request, to raise where no more is to be done.
    """

    key: str
    source: Store
    destination: Store
    recipe: Recipe
    renderer: Renderer | None
    check: Callable[[], object] | None = None

    def carry_out(self, protocol: Generator[Request, Any, T]) -> T:
        """Return what the protocol returns, having done all that it asked for."""
        reply = None
        while True:
            try:
                request = protocol.send(reply)
            except StopIteration as end:
                answer: T = end.value
                return answer
            if self.check:
                self.check()
            reply = self.perform(request)

    def perform(self, request: Request) -> object:
        """Return the reply to one request."""
        match request:
            case LoadManifest():
                return self._load_manifest()
            case ListRenditions():
                return self._list_renditions()
            case LookAtSource():
                return self._look_at_source()
            case DigestRendition(name):
                return self._digest(name)
            case DigestSource(etag):
                return self._digest_source(etag)
            case Render(etag, wanted):
                return self._render(etag, wanted)
            case Put(name, data, headers):
                return self.destination.put(f"{self.key}/{name}", data, headers)
            case Delete(name):
                self.destination.delete(f"{self.key}/{name}")
                return None

    def _look_at_source(self) -> ObjectInfo | None:
        """Return the source; None where there is none, and where there shall be no thumbnails of it.

        Raises StoreError, also where a folder of sources is gone.
        """
        source = self.source.head(self.key) if is_source(self.key, self.recipe.selection) else None
        if source is None:
            self.source.check_absence()
        return None if source is None or source.opted_out else source

    def _load_manifest(self) -> Manifest | None:
        return read_manifest(self.destination, self.key)

    def _list_renditions(self) -> dict[str, ObjectInfo]:
        objects = {info.key[len(self.key) + 1 :]: info for info in self.destination.children(self.key)}
        return {name: info for name, info in objects.items() if is_managed_name(name)}

    def _digest(self, name: str) -> str | None:
        reader = self.destination.open(f"{self.key}/{name}")
        return _digest_of(reader) if reader else None

    def _digest_source(self, etag: str) -> str | None:
        try:
            reader = self.source.open(self.key)
        except Rejected:
            return None  # archived since it was seen
        return _digest_of(reader, etag) if reader else None

    def _render(self, etag: str, wanted: frozenset[str] | None) -> Work | Rejected | None:
        try:
            reader = self.source.open(self.key)
            if reader is None:
                return None
            with closing(reader):
                if reader.info.etag != etag:
                    return None
                return (self.renderer or _shared()).render(reader, self.recipe, wanted)
        except SourceChanged:
            return None
        except Rejected as rejected:
            return rejected


def digest(reader: OpenObject) -> str:
    """Return the sha256 of an object's bytes in hex. Raises what the reader raises."""
    found = hashlib.sha256()
    for offset in range(0, reader.size, _PIECE):
        found.update(reader.read(offset, _PIECE))
    return found.hexdigest()


def _digest_of(reader: OpenObject, etag: str | None = None) -> str | None:
    """Return the digest, and close the reader; None where the object changes meanwhile, or has not this etag."""
    with closing(reader):
        try:
            return digest(reader) if etag in {None, reader.info.etag} else None
        except SourceChanged:
            return None


def _shared() -> Renderer:
    from thumbsmith.worker import shared  # noqa: PLC0415 - only who makes pictures needs processes

    return shared()
