"""What is there against what is wanted, for one source: a pure decision that every shell shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import MANIFEST, expected, possible_names
from thumbsmith.reconcile.manifest import Manifest, RenditionRecord, SourceRecord
from thumbsmith.store.base import ObjectInfo


class State(StrEnum):
    """How a source's thumbnails stand."""

    MISSING = "missing"  # nothing was ever finished for it
    STALE = "stale"  # the source, the recipe or a rendition is no longer what the manifest says
    FRESH = "fresh"
    REJECTED = "rejected"  # recorded, and the record stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The verdict on one source that is there.

    `kept` are renditions that stand as they are; `wanted` the names to be made, None for all of them; `doubtful` those
    whose etag is not the recorded one, so that only their bytes can tell; `retired` what is ours and no longer wanted;
    `unjudged` says that the limits changed since the source was judged; `touched` that the source has another etag than
    the recorded one, but the recorded bytes: only its metadata changed.
    """

    state: State
    why: str
    kept: tuple[RenditionRecord, ...] = ()
    wanted: frozenset[str] | None = None
    doubtful: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    unjudged: bool = False
    touched: bool = False

    @property
    def settled(self) -> bool:
        """Return whether nothing has to be made or recorded."""
        return self.state in (State.FRESH, State.REJECTED)

    @property
    def nothing_to_render(self) -> bool:
        """Return whether every picture that is wanted stands already, and the source need not be judged again."""
        return self.wanted is not None and not self.wanted and not self.unjudged


def assess(
    source: ObjectInfo,
    manifest: Manifest | None,
    present: Mapping[str, ObjectInfo],
    recipe: Recipe,
    digests: Mapping[str, str | None] | None = None,
    sha256: str | None = None,
) -> Assessment:
    """Return the verdict from the source, its manifest, what is `present` by name, and `digests` of the doubtful.

    `sha256` is the digest of this version of the source, where it was read.
    """
    if manifest is None:
        state = State.STALE if MANIFEST in present else State.MISSING
        why = "the manifest cannot be read" if MANIFEST in present else "there is no manifest"
        return Assessment(state=state, why=why, retired=_others(present, possible_names(recipe)))
    touched = manifest.source.etag != source.etag
    if touched and not (may_be_same(source, manifest.source) and sha256 == manifest.source.sha256):
        why = "the source was replaced"
        return Assessment(state=State.STALE, why=why, retired=_others(present, possible_names(recipe)))
    if manifest.rejection:
        if manifest.limits == recipe.limits.judgment:
            why, retired = manifest.rejection.detail, _others(present, set())
            return Assessment(state=State.REJECTED, why=why, retired=retired, touched=touched)
        return Assessment(
            state=State.STALE,
            why="the limits or what is read changed",
            retired=_others(present, possible_names(recipe)),
        )
    return replace(_compare(manifest, present, recipe, digests or {}), touched=touched)


def may_be_same(source: ObjectInfo, recorded: SourceRecord) -> bool:
    """Return whether a source has another etag than the recorded one, but may have the recorded bytes."""
    return recorded.etag != source.etag and recorded.sha256 is not None and recorded.bytes == source.size


def _compare(
    manifest: Manifest, present: Mapping[str, ObjectInfo], recipe: Recipe, digests: Mapping[str, str | None]
) -> Assessment:
    """Return the verdict where the manifest speaks of this very source: rendition by rendition."""
    names = expected(recipe, manifest.source.format or "", alpha=bool(manifest.source.alpha))
    recorded = {record.name: record for record in manifest.renditions}
    kept: list[RenditionRecord] = []
    doubtful: list[str] = []
    for name, (variant, _) in names.items():
        record, there = recorded.get(name), present.get(name)
        if record is None or there is None or record.fingerprint != variant.fingerprint:
            continue
        if record.etag == there.etag or digests.get(name) == record.sha256:
            kept.append(record)  # its etag too: the one listed need not be that of the bytes digested since
        elif name not in digests:
            doubtful.append(name)
    wanted = frozenset(names) - {record.name for record in kept}
    same_recipe = manifest.recipe == recipe.fingerprint
    return Assessment(
        state=State.FRESH if same_recipe and not wanted else State.STALE,
        why=_why(wanted, same_recipe=same_recipe),
        kept=tuple(kept),
        wanted=wanted,
        doubtful=tuple(doubtful),
        retired=_others(present, set(names)),
        unjudged=manifest.limits != recipe.limits.fingerprint,
    )


def _others(present: Mapping[str, ObjectInfo], names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in present if name not in names and name != MANIFEST))


def _why(wanted: frozenset[str], *, same_recipe: bool) -> str:
    if not wanted:
        return "as recorded" if same_recipe else "the recipe changed"
    names = ", ".join(sorted(wanted))
    return f"missing or altered: {names}" if same_recipe else f"the recipe changed: {names}"
