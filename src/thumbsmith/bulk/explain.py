"""One source explained: what is wanted of it, what is there, and why. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from thumbsmith.bulk.scan import Scope
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.model import SOURCE
from thumbsmith.recipe.names import density_mark, expected
from thumbsmith.recipe.selection import Selection, is_source, system_folder
from thumbsmith.reconcile.converge import StoreDriver
from thumbsmith.reconcile.decide import Assessment, State
from thumbsmith.reconcile.manifest import Manifest, Rejection
from thumbsmith.reconcile.protocol import Finding, look, unusable_key
from thumbsmith.store.base import ObjectInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One rendition that the recipe wants. Of a source not yet judged, `*` stands for the extension of its own format.

    right: it stands as it is. stale: what stands there is to be made again. missing: nothing does.
    """

    name: str
    state: Literal["right", "stale", "missing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """How one key stands. `state` is None for a key that is no source, and `why` says why it is none.

    `wanted` are the renditions that there should be, in the recipe's order; `left` the names of what is ours there and
    wanted no more. `recorded` is the manifest that is there.
    """

    key: str
    why: str
    state: State | None = None
    source: ObjectInfo | None = None
    rejection: Rejection | None = None
    recorded: Manifest | None = None
    wanted: tuple[Wanted, ...] = ()
    left: tuple[str, ...] = ()


def explain(scope: Scope, key: str) -> Explanation:
    """Look at one key in both stores and return how it stands.

    Raises StoreError, also where the source is missing or the file cannot be read.
    """
    scope.source.check_reachable()
    refusal = unusable_key(key, scope.recipe, scope.destination.max_key_bytes)
    if refusal:
        return Explanation(key=key, state=State.REJECTED, why=refusal.detail, rejection=refusal)
    hands = StoreDriver(key, scope.source, scope.destination.as_destination(), scope.recipe, renderer=None)
    found = hands.carry_out(look(scope.recipe, scope.options))
    verdict = found.assessment
    if found.source is not None:
        scope.source.check_readable(key)
    if verdict is None:
        return Explanation(key=key, why=_why_none(key, scope), recorded=found.manifest, left=tuple(found.present))
    return Explanation(
        key=key,
        why=f"{verdict.why}; only its metadata changed" if verdict.touched else verdict.why,
        state=verdict.state,
        source=found.source,
        rejection=found.manifest.rejection if found.manifest and verdict.state is State.REJECTED else None,
        recorded=found.manifest,
        wanted=tuple(_wanted(found, verdict, scope.recipe)),
        left=verdict.retired,
    )


def _why_none(key: str, scope: Scope) -> str:
    """Return why a key that was looked for and not found, or not selected, is no source."""
    selection = scope.recipe.selection
    if not key:
        return "the empty key is no source"
    if key.endswith("/"):
        return "a key that ends in / marks a folder"
    if "/." in f"/{key}":
        return "a name in it begins with a dot"
    system = system_folder(key)
    if system:
        return f"it is in the system folder {system}, which is never entered"
    if is_source(key, selection):
        if scope.source.head(key) is not None:
            return "it is opted out: thumbs=off is set on it"
        return scope.source.explain_absence(key) or "there is no such object in the source"
    excluding = next((glob for glob in selection.exclude if Selection(include=(glob,)).selects(key)), None)
    return f'exclude has "{excluding}"' if excluding else "no glob of include matches it"


def _wanted(found: Finding, verdict: Assessment, recipe: Recipe) -> Iterator[Wanted]:
    if verdict.state is State.REJECTED:
        return
    kept = {record.name for record in verdict.kept}
    for name in _names(found, verdict, recipe):
        yield Wanted(name=name, state="right" if name in kept else "stale" if name in found.present else "missing")


def _names(found: Finding, verdict: Assessment, recipe: Recipe) -> list[str]:
    """Return the names that the recipe makes of this source; its format is known where a manifest speaks of it."""
    facts = found.manifest.source if found.manifest else None
    if facts and facts.format and found.source and (verdict.touched or facts.etag == found.source.etag):
        return list(expected(recipe, facts.format, alpha=bool(facts.alpha)))
    return [
        f"{variant.name}{density_mark(variant.density)}.{'*' if choice == SOURCE else choice.extension}"
        for variant in recipe.pictures
        for choice in variant.formats
    ]
