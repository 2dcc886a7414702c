"""The protocol, and what it would be with one rule broken: each rule alters how requests of the real one are answered.

A rule is a generator: it is given a request and what it has noted so far, yields what is really asked, and returns the
reply.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any, TypeAlias

from tests.proof.program import Asked, Event, Protocol
from tests.proof.world import KEY, Advance, etag_of
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import MANIFEST
from thumbsmith.reconcile.effects import (
    Delete,
    DigestRendition,
    DigestSource,
    ListRenditions,
    LoadManifest,
    LookAtSource,
    Outcome,
    Put,
    Render,
)
from thumbsmith.reconcile.manifest import parse
from thumbsmith.reconcile.protocol import steps
from thumbsmith.store.base import ObjectInfo

Notes: TypeAlias = dict[str, Any]
Rule: TypeAlias = Callable[[Asked, Event, Notes], Generator[Asked, Any, object]]


def real(_: Event, recipe: Recipe) -> Generator[Asked, Any, Outcome]:
    """Return the protocol as it is: of a message it knows nothing but the key."""
    return steps(KEY, recipe)


def digesting(_: Event, recipe: Recipe) -> Generator[Asked, Any, Outcome]:
    """Return the protocol as it is for sources in folders, whose digests it records."""
    return steps(KEY, recipe, record_digest=True)


def altered(rule: Rule, *, record_digest: bool = False) -> Protocol:
    """Return the protocol under a rule."""

    def protocol(event: Event, recipe: Recipe) -> Generator[Asked, Any, Outcome]:
        return _drive(steps(KEY, recipe, record_digest=record_digest), rule, event)

    return protocol


def _drive(protocol: Generator[Asked, Any, Outcome], rule: Rule, event: Event) -> Generator[Asked, Any, Outcome]:
    notes: Notes = {}
    reply: object = None
    while True:
        try:
            request = protocol.send(reply)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        reply = yield from rule(request, event, notes)


def sequencer_first(event: Event, recipe: Recipe) -> Generator[Asked, Any, Outcome]:
    """Claim the event's number in a table, drop the event if a later one was seen, and then do all as it should be."""
    if not (yield Advance(event.number)):
        return Outcome(status="fresh")
    return (yield from steps(KEY, recipe))


def trust_the_event(request: Asked, event: Event, notes: Notes) -> Generator[Asked, Any, object]:
    """Make what was created, delete what was deleted: the source is read for its picture, and not looked at again."""
    if isinstance(request, LookAtSource):
        if "source" not in notes:
            notes["source"] = (yield request) if event.exists else None
        return notes["source"]
    reply = yield request
    if isinstance(request, Render) and reply is None:
        notes.clear()
    return reply


def no_look_afterwards(request: Asked, event: Event, notes: Notes) -> Generator[Asked, Any, object]:
    """Once something was written or deleted, believe that the source is still what it was."""
    if isinstance(request, LookAtSource) and notes.get("written"):
        return notes["source"]
    reply = yield request
    if isinstance(request, LookAtSource):
        notes["source"] = reply
    notes["written"] = notes.get("written") or isinstance(request, Put | Delete)
    return reply


def re_read_then_put(request: Asked, event: Event, notes: Notes) -> Generator[Asked, Any, object]:
    """Look at the source again before the first write, when the picture is made, instead of after the last."""
    reply = yield from no_look_afterwards(request, event, notes)
    if isinstance(request, Render):
        now = yield LookAtSource()
        if now is None or now.etag != request.etag:
            return None
    return reply


def manifest_alone(request: Asked, event: Event, notes: Notes) -> Generator[Asked, Any, object]:
    """Believe that each rendition stands as the manifest says."""
    reply = yield request
    if isinstance(request, LoadManifest):
        notes["manifest"] = reply
    if isinstance(request, ListRenditions) and notes["manifest"]:
        return reply | {each.name: ObjectInfo(each.key, each.etag, 1) for each in notes["manifest"].renditions}
    return reply


def leftovers_without_a_look(request: Asked, event: Event, notes: Notes) -> Generator[Asked, Any, object]:
    """Where all is as recorded but for leftovers, delete these and be done."""
    if isinstance(request, LookAtSource) and notes.get("deleted"):
        return notes["source"]
    reply = yield request
    if isinstance(request, LookAtSource):
        notes["source"] = reply
    if isinstance(request, Delete):
        notes["deleted"] = notes["source"] is not None
    if isinstance(request, Put):
        notes["deleted"] = False
    return reply


def etag_of_the_listing(request: Asked, event: Event, notes: Notes) -> Generator[Asked, Any, object]:
    """Record for a rendition whose bytes are right the etag that it had in the listing, before the bytes were read."""
    if isinstance(request, Put) and request.name == MANIFEST and notes.get("digests"):
        manifest = parse(request.data)
        assert manifest
        records = tuple(
            replace(record, etag=notes["listed"][record.name].etag)
            if notes["digests"].get(record.name) == record.sha256
            else record
            for record in manifest.renditions
        )
        request = replace(request, data=replace(manifest, renditions=records).to_bytes())
    reply = yield request
    if isinstance(request, ListRenditions):
        notes.update(listed=reply, digests={})
    if isinstance(request, DigestRendition):
        notes["digests"][request.name] = reply
    return reply


def size_alone(request: Asked, event: Event, notes: Notes) -> Generator[Asked, Any, object]:
    """Believe that a source of the recorded size has the recorded bytes."""
    if isinstance(request, LoadManifest):
        notes["manifest"] = reply = yield request
        return reply
    if isinstance(request, DigestSource) and notes["manifest"] and not notes.get("rendered"):
        return notes["manifest"].source.sha256
    notes["rendered"] = isinstance(request, Render)
    return (yield request)


def digest_of_any_version(request: Asked, event: Event, notes: Notes) -> Generator[Asked, Any, object]:
    """Take the digest of the bytes that are there now, whether or not they are those that the picture was made of."""
    if isinstance(request, DigestSource):
        now = yield LookAtSource()
        return (yield DigestSource(now.etag)) if now else None
    return (yield request)


def touched_without_a_look(request: Asked, event: Event, notes: Notes) -> Generator[Asked, Any, object]:
    """Where only the source's metadata changed, record its new etag and be done."""
    if isinstance(request, LookAtSource) and notes.get("recorded"):
        return notes["source"]
    if isinstance(request, DigestSource):
        notes["digested"] = True
    if isinstance(request, Render | LoadManifest):
        notes["digested"] = False
    reply = yield request
    if isinstance(request, LookAtSource):
        notes["source"] = reply
    notes["recorded"] = isinstance(request, Put) and request.name == MANIFEST and notes.get("digested")
    return reply


# Other orders. These turn out to end well, too.


def source_first(request: Asked, event: Event, notes: Notes) -> Generator[Asked, Any, object]:
    """Look at the source before manifest and renditions, not after."""
    if isinstance(request, LoadManifest):
        notes["source"] = yield LookAtSource()
    if isinstance(request, LookAtSource) and "source" in notes:
        return notes.pop("source")
    return (yield request)


def manifest_first(request: Asked, event: Event, notes: Notes) -> Generator[Asked, Any, object]:
    """Write the manifest before the renditions that it names. Their etags are foretold from their bytes."""
    held = notes.setdefault("held", [])
    if isinstance(request, Put) and request.name != MANIFEST:
        held.append(request)
        return etag_of(request.data)
    reply = yield request
    if isinstance(request, Put):
        while held:
            yield held.pop(0)
    return reply


def delete_last(request: Asked, event: Event, notes: Notes) -> Generator[Asked, Any, object]:
    """Delete what is no longer wanted after the manifest was written, not before."""
    held = notes.setdefault("held", [])
    if isinstance(request, Delete):
        held.append(request)
        return None
    while held and isinstance(request, LookAtSource):
        yield held.pop(0)
    return (yield request)
