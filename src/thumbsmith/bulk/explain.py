"""Explain one key: what the recipe requires, what exists, and why. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from thumbsmith.bulk.scan import Scope
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.model import SOURCE
from thumbsmith.recipe.names import density_mark, expected
from thumbsmith.recipe.selection import Selection, is_ignored, is_source, system_folder
from thumbsmith.recipe.suffixes import other_kind
from thumbsmith.reconcile.converge import StoreDriver
from thumbsmith.reconcile.decide import Assessment, State, unusable_key
from thumbsmith.reconcile.manifest import Manifest, Rejection
from thumbsmith.reconcile.protocol import Finding, examine
from thumbsmith.store.base import ObjectInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedRendition:
    """One rendition that the recipe requires. If the source's format is not known, its extension is `*`.

    right: it is current. stale: it exists and will be rendered again. missing: it does not exist.
    """

    name: str
    state: Literal["right", "stale", "missing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The status of one key. `state` is None if the key is no source; `why` then says why not.

    `expected` are the renditions that the recipe requires, in its order. `obsolete` are the names of managed objects
    that it does not require. `recorded` is the current manifest.
    """

    key: str
    why: str
    state: State | None = None
    source: ObjectInfo | None = None
    rejection: Rejection | None = None
    recorded: Manifest | None = None
    expected: tuple[ExpectedRendition, ...] = ()
    obsolete: tuple[str, ...] = ()


def explain(scope: Scope, key: str) -> Explanation:
    """Examine one key in both stores; return its status.

    Raises StoreError, also if the source store is missing or the file is unreadable.
    """
    scope.source.check_reachable()
    refusal = unusable_key(key, scope.recipe, scope.destination.max_key_bytes)
    if refusal:
        return Explanation(key=key, state=State.REJECTED, why=refusal.detail, rejection=refusal)
    driver = StoreDriver(key, scope.source, scope.destination.as_destination(), scope.recipe, renderer=None)
    found = driver.run(examine(scope.recipe, scope.options))
    assessment = found.assessment
    if found.source is not None:
        scope.source.check_readable(key)
    if assessment is None:
        why = _why_no_source(key, scope)
        return Explanation(key=key, why=why, recorded=found.manifest, obsolete=tuple(found.present))
    is_rejected = assessment.state is State.REJECTED
    return Explanation(
        key=key,
        why=f"{assessment.why}; only its metadata changed" if assessment.touched else assessment.why,
        state=assessment.state,
        source=found.source,
        rejection=found.manifest.rejection if found.manifest and is_rejected else None,
        recorded=found.manifest,
        expected=tuple(_expected(found, assessment, scope.recipe)),
        obsolete=assessment.obsolete,
    )


def _why_no_source(key: str, scope: Scope) -> str:
    """Return why a key that was not found or not selected is no source."""
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
    if is_ignored(key, selection):
        suffix = key.rpartition(".")[2]
        return (
            f'it is a {other_kind(key)} file by its suffix, and ignored unless include has a glob like "**/*.{suffix}"'
        )
    excluding = next((glob for glob in selection.exclude if Selection(include=(glob,)).selects(key)), None)
    return f'exclude has "{excluding}"' if excluding else "no glob of include matches it"


def _expected(found: Finding, assessment: Assessment, recipe: Recipe) -> Iterator[ExpectedRendition]:
    if assessment.state is State.REJECTED:
        return
    current = {record.name for record in assessment.current}
    for name in _expected_names(found, assessment, recipe):
        state: Literal["right", "stale", "missing"] = (
            "right" if name in current else "stale" if name in found.present else "missing"
        )
        yield ExpectedRendition(name=name, state=state)


def _expected_names(found: Finding, assessment: Assessment, recipe: Recipe) -> list[str]:
    """Return the names that the recipe makes of this source. Its format is known if a manifest describes it."""
    record = found.manifest.source if found.manifest else None
    if record and record.format and found.source and (assessment.touched or record.etag == found.source.etag):
        return list(expected(recipe, record.format, alpha=bool(record.alpha)))
    return [
        f"{variant.name}{density_mark(variant.density)}.{'*' if choice == SOURCE else choice.extension}"
        for variant in recipe.variants_by_density
        for choice in variant.formats
    ]
