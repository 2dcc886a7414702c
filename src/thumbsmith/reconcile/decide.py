"""The decision about one source: compare what exists with what the recipe requires. Pure, without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from thumbsmith.errors import Code
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import MANIFEST, expected, possible_names
from thumbsmith.reconcile.manifest import Manifest, Rejection, RenditionRecord, SourceRecord
from thumbsmith.store.base import ObjectInfo


class State(StrEnum):
    """How the thumbnails of a source agree with the source and the recipe."""

    MISSING = "missing"  # there is no manifest
    STALE = "stale"  # the source, the recipe or a rendition differs from the manifest
    FRESH = "fresh"
    REJECTED = "rejected"  # the recorded rejection is still valid


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The decision about one existing source.

    `current` are the records of renditions that stay as they are. `to_render` are the names to render; None means all.
    `etag_mismatch` are names whose etag is not the recorded one: only their bytes can show whether they are current.
    `obsolete` are names of managed objects that the recipe no longer makes. `limits_changed` says that the limits
    changed since the source was checked against them. `touched` says that the source has another etag than the
    recorded one, but the recorded bytes.
    """

    state: State
    why: str
    current: tuple[RenditionRecord, ...] = ()
    to_render: frozenset[str] | None = None
    etag_mismatch: tuple[str, ...] = ()
    obsolete: tuple[str, ...] = ()
    limits_changed: bool = False
    touched: bool = False

    @property
    def settled(self) -> bool:
        """Return whether there is nothing to render and nothing to record."""
        return self.state in (State.FRESH, State.REJECTED)

    @property
    def nothing_to_render(self) -> bool:
        """Return whether all renditions are current, and the source need not be checked against the limits again."""
        return self.to_render is not None and not self.to_render and not self.limits_changed


def assess(
    source: ObjectInfo,
    manifest: Manifest | None,
    present: Mapping[str, ObjectInfo],
    recipe: Recipe,
    digests: Mapping[str, str | None] | None = None,
    sha256: str | None = None,
) -> Assessment:
    """Return the decision about a source from its manifest and the objects `present` under its key, by name.

    `digests` are the sha256 of the renditions that had an `etag_mismatch`; None for one that no longer exists.
    `sha256` is the digest of this version of the source, if it was read.
    """
    if manifest is None:
        if MANIFEST in present:
            return _render_all(State.STALE, "the manifest cannot be read", present, recipe)
        return _render_all(State.MISSING, "there is no manifest", present, recipe)
    touched = manifest.source.etag != source.etag
    if touched and not (may_be_same(source, manifest.source) and sha256 == manifest.source.sha256):
        return _render_all(State.STALE, "the source was replaced", present, recipe)
    if manifest.rejection:
        if manifest.limits != recipe.limits.rejection_fingerprint:
            return _render_all(State.STALE, "the limits or what is read changed", present, recipe)
        why, obsolete = manifest.rejection.detail, _others(present, set())
        return Assessment(state=State.REJECTED, why=why, obsolete=obsolete, touched=touched)
    return replace(_compare(manifest, present, recipe, digests or {}), touched=touched)


def may_be_same(source: ObjectInfo, recorded: SourceRecord) -> bool:
    """Return whether a source has another etag than the recorded one, but may have the recorded bytes."""
    return recorded.etag != source.etag and recorded.sha256 is not None and recorded.bytes == source.size


def longest_key_bytes(recipe: Recipe, max_key_bytes: int) -> int:
    """Return the bytes that a key may have at most, so that the names of its thumbnails and its manifest fit."""
    return max_key_bytes - 1 - len(_longest_name(recipe))


def _longest_name(recipe: Recipe) -> str:
    return max([MANIFEST, *expected(recipe, "jpeg", alpha=False)], key=len)


def unusable_key(key: str, recipe: Recipe, max_key_bytes: int) -> Rejection | None:
    """Return why no manifest can be stored under this key, or None: it is not UTF-8, or it is too long."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return Rejection(code=Code.UNSUPPORTED_KEY, detail="the name is not UTF-8")
    longest = _longest_name(recipe)
    if size + 1 + len(longest) > max_key_bytes:
        return Rejection(code=Code.KEY_TOO_LONG, detail=f"{size} bytes leave no room for /{longest} in {max_key_bytes}")
    return None


def _render_all(state: State, why: str, present: Mapping[str, ObjectInfo], recipe: Recipe) -> Assessment:
    """Return that nothing recorded can be used: all renditions are rendered again."""
    obsolete = _others(present, possible_names(recipe)) if present else ()
    return Assessment(state=state, why=why, obsolete=obsolete)


def _compare(
    manifest: Manifest, present: Mapping[str, ObjectInfo], recipe: Recipe, digests: Mapping[str, str | None]
) -> Assessment:
    """Return the decision if the manifest describes this source: compare each rendition."""
    names = expected(recipe, manifest.source.format or "", alpha=bool(manifest.source.alpha))
    records = {record.name: record for record in manifest.renditions}
    current: list[RenditionRecord] = []
    etag_mismatch: list[str] = []
    for name, (variant, _) in names.items():
        record, info = records.get(name), present.get(name)
        if record is None or info is None or record.fingerprint != variant.fingerprint:
            continue
        if record.etag == info.etag or digests.get(name) == record.sha256:
            # The recorded etag stays: the listed one may belong to other bytes than those digested later.
            current.append(record)
        elif name not in digests:
            etag_mismatch.append(name)
    to_render = frozenset(names) - {record.name for record in current}
    same_recipe = manifest.recipe == recipe.fingerprint
    return Assessment(
        state=State.FRESH if same_recipe and not to_render else State.STALE,
        why=_why(to_render, same_recipe=same_recipe),
        current=tuple(current),
        to_render=to_render,
        etag_mismatch=tuple(etag_mismatch),
        obsolete=_others(present, set(names)),
        limits_changed=manifest.limits != recipe.limits.fingerprint,
    )


def _others(present: Mapping[str, ObjectInfo], names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in present if name not in names and name != MANIFEST))


def _why(to_render: frozenset[str], *, same_recipe: bool) -> str:
    if not to_render:
        return "as recorded" if same_recipe else "the recipe changed"
    names = ", ".join(sorted(to_render))
    return f"missing or altered: {names}" if same_recipe else f"the recipe changed: {names}"
