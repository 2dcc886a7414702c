"""The cases brought to this machine's engine, or to a deployment through its stores."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Final

from thumbsmith import manifest as manifests
from thumbsmith.conformance.cases import Case
from thumbsmith.conformance.checks import mistakes
from thumbsmith.converge import Renderer, converge
from thumbsmith.errors import ThumbsmithError
from thumbsmith.keys import MANIFEST
from thumbsmith.manifest import Manifest
from thumbsmith.recipe import Recipe
from thumbsmith.store.memory import MemoryStore
from thumbsmith.store.types import Headers, Store

HEADERS: Final = Headers(content_type="application/octet-stream")

# Seconds between two looks at what is there by now.
PAUSE: Final = 0.5

REMOVED: Final = "removed with their sources"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one case: what is wrong, nothing where all is right."""

    name: str
    wrong: tuple[str, ...] = ()


def run_here(
    cases: Sequence[Case], recipe: Recipe, workers: Renderer, destination: Store, prefix: str
) -> Iterator[Result]:
    """Yield what this machine's engine makes of each case in `destination`, through its workers, and if it cleans up.

    The pictures lie in memory; what is made of them is written under `prefix`, and goes whatever happens.
    """
    source = MemoryStore("conformance")
    keyed = [(f"{prefix}{case.file}", case) for case in cases]
    try:
        for key, case in keyed:
            source.put(key, case.data, HEADERS)
            yield _made(case, key, partial(converge, key, source, destination, recipe, renderer=workers), destination)
    finally:
        for key, _ in keyed:
            source.delete(key)
            converge(key, source, destination, recipe, renderer=workers)
    left = ("thumbnails of removed pictures are there",) if any(True for _ in destination.list(prefix)) else ()
    yield Result(REMOVED, left)


def _made(case: Case, key: str, make: Callable[[], object], destination: Store) -> Result:
    try:
        make()
    except ThumbsmithError as error:
        return Result(case.name, (str(error),))
    return _judged(case, key, destination)


def run_there(
    cases: Sequence[Case],
    source: Store,
    destination: Store,
    prefix: str,
    patience: float,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Result]:
    """Yield what a deployment that watches `source` makes of each case in `destination`, and whether it cleans up.

    The pictures are put under `prefix` and waited for, each `patience` seconds at most; whatever happens they are
    removed, and then what was made of them has to go. Raises StoreError.
    """
    keyed = [(f"{prefix}{case.file}", case) for case in cases]
    try:
        for key, case in keyed:
            source.put(key, case.data, HEADERS)
        until = time.monotonic() + patience
        for key, case in keyed:
            _waited(partial(_manifest, key, destination), until, pause)
            yield _judged(case, key, destination)
    finally:
        for key, _ in keyed:
            source.delete(key)
    until = time.monotonic() + patience
    gone = _waited(lambda: not any(True for _ in destination.list(prefix)), until, pause)
    left = () if gone else (f"thumbnails of removed pictures are there after {patience:g} s",)
    yield Result(REMOVED, left)


def _waited(look: Callable[[], object], until: float, pause: Callable[[float], None]) -> bool:
    """Return whether what is looked for came in time."""
    while not (found := look()) and time.monotonic() < until:
        pause(PAUSE)
    return bool(found)


def _judged(case: Case, key: str, destination: Store) -> Result:
    manifest = _manifest(key, destination)
    wrong = tuple(mistakes(case, manifest, destination)) if manifest else ("there is no manifest",)
    return Result(case.name, wrong)


def _manifest(key: str, destination: Store) -> Manifest | None:
    reader = destination.open(f"{key}/{MANIFEST}")
    if reader is None:
        return None
    with closing(reader):
        manifest = manifests.parse(reader.read(0, manifests.MAX_BYTES))
    return manifest if manifest and manifest.source.key == key else None
