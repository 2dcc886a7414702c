"""The protocol, and variants of it with one rule broken. Each variant changes the results of some effects.

A rule is a generator: it receives an effect and its own notes, yields the effects that are really performed, and
returns the result.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any, TypeAlias

from tests.proof.program import AnyEffect, Event, Protocol, one_at_a_time
from tests.proof.world import KEY, Advance, etag_of
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import MANIFEST
from thumbsmith.reconcile.effects import (
    Delete,
    DigestRendition,
    DigestSource,
    HeadSource,
    ListRenditions,
    Put,
    ReadManifest,
    Render,
)
from thumbsmith.reconcile.manifest import parse
from thumbsmith.reconcile.protocol import Options, Outcome, steps
from thumbsmith.store.base import ObjectInfo

Notes: TypeAlias = dict[str, Any]
Rule: TypeAlias = Callable[[AnyEffect, Event, Notes], Generator[AnyEffect, Any, object]]


def real(_: Event, recipe: Recipe) -> Generator[AnyEffect, Any, Outcome]:
    """Return the real protocol: it uses only the key of a message."""
    return one_at_a_time(steps(KEY, recipe))


def last_first(_: Event, recipe: Recipe) -> Generator[AnyEffect, Any, Outcome]:
    """Return the real protocol, with the other order of renditions that are written at the same time."""
    return one_at_a_time(steps(KEY, recipe), last_first=True)


def first_delivery_last_first(event: Event, recipe: Recipe) -> Generator[AnyEffect, Any, Outcome]:
    """Return the protocol of the function on AWS with that order."""
    return one_at_a_time(steps(KEY, recipe, Options(first_delivery=not event.redelivered)), last_first=True)


def first_delivery(event: Event, recipe: Recipe) -> Generator[AnyEffect, Any, Outcome]:
    """Return the real protocol of the function on AWS, which lists after a redelivery only."""
    return one_at_a_time(steps(KEY, recipe, Options(first_delivery=not event.redelivered)))


def never_listing(_: Event, recipe: Recipe) -> Generator[AnyEffect, Any, Outcome]:
    """Take each delivery for the first one."""
    return one_at_a_time(steps(KEY, recipe, Options(first_delivery=True)))


def digesting(_: Event, recipe: Recipe) -> Generator[AnyEffect, Any, Outcome]:
    """Return the real protocol for sources in folders, whose digests it records."""
    return one_at_a_time(steps(KEY, recipe, record_digest=True))


def altered(rule: Rule, *, record_digest: bool = False) -> Protocol:
    """Return the protocol with a rule."""

    def protocol(event: Event, recipe: Recipe) -> Generator[AnyEffect, Any, Outcome]:
        return _drive(one_at_a_time(steps(KEY, recipe, record_digest=record_digest)), rule, event)

    return protocol


def _drive(
    protocol: Generator[AnyEffect, Any, Outcome], rule: Rule, event: Event
) -> Generator[AnyEffect, Any, Outcome]:
    notes: Notes = {}
    result: object = None
    while True:
        try:
            effect = protocol.send(result)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        result = yield from rule(effect, event, notes)


def sequencer_first(event: Event, recipe: Recipe) -> Generator[AnyEffect, Any, Outcome]:
    """Write the event's number to a table, drop the event if a later one was seen, then run the real protocol."""
    if not (yield Advance(event.number)):
        return Outcome(status="fresh")
    return (yield from one_at_a_time(steps(KEY, recipe)))


def trust_the_event(effect: AnyEffect, event: Event, notes: Notes) -> Generator[AnyEffect, Any, object]:
    """Trust the event: render after a creation, delete after a deletion, and check the source only once."""
    if isinstance(effect, HeadSource):
        if "source" not in notes:
            notes["source"] = (yield effect) if event.exists else None
        return notes["source"]
    result = yield effect
    if isinstance(effect, Render) and result is None:
        notes.clear()
    return result


def no_check_afterwards(effect: AnyEffect, event: Event, notes: Notes) -> Generator[AnyEffect, Any, object]:
    """After a write or a deletion, assume that the source did not change."""
    if isinstance(effect, HeadSource) and notes.get("written"):
        return notes["source"]
    result = yield effect
    if isinstance(effect, HeadSource):
        notes["source"] = result
    notes["written"] = notes.get("written") or isinstance(effect, Put | Delete)
    return result


def re_read_then_put(effect: AnyEffect, event: Event, notes: Notes) -> Generator[AnyEffect, Any, object]:
    """Check the source again before the first write, after the rendering, instead of after the last write."""
    result = yield from no_check_afterwards(effect, event, notes)
    if isinstance(effect, Render):
        now = yield HeadSource()
        if now is None or now.etag != effect.etag:
            return None
    return result


def manifest_alone(effect: AnyEffect, event: Event, notes: Notes) -> Generator[AnyEffect, Any, object]:
    """Assume that each rendition exists as the manifest says."""
    result = yield effect
    if isinstance(effect, ReadManifest):
        notes["manifest"] = result and result.manifest
    if isinstance(effect, ListRenditions) and notes["manifest"]:
        return result | {each.name: ObjectInfo(each.key, each.etag, 1) for each in notes["manifest"].renditions}
    return result


def deletions_without_a_check(effect: AnyEffect, event: Event, notes: Notes) -> Generator[AnyEffect, Any, object]:
    """If there is nothing to do but to delete obsolete renditions, do not check the source after that."""
    if isinstance(effect, HeadSource) and notes.get("deleted"):
        return notes["source"]
    result = yield effect
    if isinstance(effect, HeadSource):
        notes["source"] = result
    if isinstance(effect, Delete):
        notes["deleted"] = notes["source"] is not None
    if isinstance(effect, Put):
        notes["deleted"] = False
    return result


def etag_of_the_listing(effect: AnyEffect, event: Event, notes: Notes) -> Generator[AnyEffect, Any, object]:
    """For a rendition with the recorded bytes, record the etag of the listing, which is older than the read."""
    if isinstance(effect, Put) and effect.name == MANIFEST and notes.get("digests"):
        manifest = parse(effect.data)
        assert manifest
        records = tuple(
            replace(record, etag=notes["listed"][record.name].etag)
            if notes["digests"].get(record.name) == record.sha256
            else record
            for record in manifest.renditions
        )
        effect = replace(effect, data=replace(manifest, renditions=records).to_bytes())
    result = yield effect
    if isinstance(effect, ListRenditions):
        notes.update(listed=result, digests={})
    if isinstance(effect, DigestRendition):
        notes["digests"][effect.name] = result
    return result


def size_alone(effect: AnyEffect, event: Event, notes: Notes) -> Generator[AnyEffect, Any, object]:
    """Assume that a source of the recorded size has the recorded bytes."""
    if isinstance(effect, ReadManifest):
        result = yield effect
        notes["manifest"] = result and result.manifest
        return result
    if isinstance(effect, DigestSource) and notes["manifest"] and not notes.get("rendered"):
        return notes["manifest"].source.sha256
    notes["rendered"] = isinstance(effect, Render)
    return (yield effect)


def digest_of_any_version(effect: AnyEffect, event: Event, notes: Notes) -> Generator[AnyEffect, Any, object]:
    """Record the digest of the current bytes, even if they are not the rendered ones."""
    if isinstance(effect, DigestSource):
        now = yield HeadSource()
        return (yield DigestSource(now.etag)) if now else None
    return (yield effect)


def touched_without_a_check(effect: AnyEffect, event: Event, notes: Notes) -> Generator[AnyEffect, Any, object]:
    """If only the metadata of the source changed, record its new etag and do not check the source after that."""
    if isinstance(effect, HeadSource) and notes.get("recorded"):
        return notes["source"]
    if isinstance(effect, DigestSource):
        notes["digested"] = True
    if isinstance(effect, Render | ReadManifest):
        notes["digested"] = False
    result = yield effect
    if isinstance(effect, HeadSource):
        notes["source"] = result
    notes["recorded"] = isinstance(effect, Put) and effect.name == MANIFEST and notes.get("digested")
    return result


# Other orders, which turn out to be correct too.


def source_first(effect: AnyEffect, event: Event, notes: Notes) -> Generator[AnyEffect, Any, object]:
    """Read the source before the manifest and the renditions, not after them."""
    if isinstance(effect, ReadManifest):
        notes["source"] = yield HeadSource()
    if isinstance(effect, HeadSource) and "source" in notes:
        return notes.pop("source")
    return (yield effect)


def manifest_first(effect: AnyEffect, event: Event, notes: Notes) -> Generator[AnyEffect, Any, object]:
    """Write the manifest before the renditions that it names. Their etags are computed from their bytes."""
    held = notes.setdefault("held", [])
    if isinstance(effect, Put) and effect.name != MANIFEST:
        held.append(effect)
        return etag_of(effect.data)
    result = yield effect
    if isinstance(effect, Put):
        while held:
            yield held.pop(0)
    return result


def delete_last(effect: AnyEffect, event: Event, notes: Notes) -> Generator[AnyEffect, Any, object]:
    """Delete obsolete renditions after the manifest was written, not before."""
    held = notes.setdefault("held", [])
    if isinstance(effect, Delete):
        held.append(effect)
        return None
    while held and isinstance(effect, HeadSource):
        yield held.pop(0)
    return (yield effect)
