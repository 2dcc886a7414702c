"""What a payload says, of a call or of a message: that something may have happened to keys. Nothing else is trusted.

Events come by several ways, one wrapped in another. Whichever it is, all that is read is a bucket, a key, and what kind
of thing happened; whether the object is there, how large it is and which version, its store is asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import unquote_plus

# What may change a source or its thumbnails.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
_NOTIFIED: Final = re.compile(r"(ObjectCreated|ObjectRemoved|LifecycleExpiration|ObjectTagging):\w+")
_NOTIFIED_RESTORED: Final = "ObjectRestore:Completed"

# The same as EventBridge calls it: https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html
_ANNOUNCED: Final = frozenset({"Object Created", "Object Deleted", "Object Tags Added", "Object Tags Deleted"})
_ANNOUNCED_RESTORED: Final = "Object Restore Completed"

# Later minor versions only add members: a reader compares the major one alone.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
_VERSION: Final = re.compile(r"2\.\d+")

# How much of a message that cannot be read is told.
_MAX_WORDS: Final = 200


@dataclass(frozen=True, slots=True)
class KeyChanged:
    """Something may have happened to this key. `restored`: an archived object can be read now, for the first time."""

    bucket: str
    key: str
    restored: bool = False


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that changes no thumbnail; `reason` is one word."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A part of a payload that is nothing that is known: somebody has to look at it."""

    detail: str


Event: TypeAlias = KeyChanged | Ignored | Unreadable


def parse_events(payload: object) -> Iterator[Event]:
    """Yield what a payload says, one for each record: S3's, EventBridge's, or either in SNS's envelope."""
    match payload:
        case {"Event": "s3:TestEvent", **rest}:  # what S3 sends when notifications are set up
            yield Ignored("test_event", str(rest.get("Bucket")))
        case {"Records": list(records)}:
            for record in records:
                yield from _said_in_record(record)
        case {"source": "aws.s3", "detail-type": str(kind), "detail": detail}:
            yield _announced(kind, detail)
        case {"Type": "Notification", "Message": str(message)}:  # SNS, by way of a queue
            yield from parse_event_text(message)
        case {"thumbsmith": 1, "bucket": str(bucket), "keys": list(keys), **rest}:  # `asked`, below
            for key in keys:
                yield _asked_for(bucket, key, retry=rest.get("retry") is True)
        case _:
            yield Unreadable(f"no event that is known: {_words(payload)}")


def backfill_message(bucket: str, key: str, *, retry: bool = False) -> str:
    """Return the message by which a backfill asks for a key of a bucket; with `retry`, also one that was rejected.

    {"thumbsmith": 1, "bucket": "photos", "keys": ["a.jpg"]}: JSON, keys as they are, and as many as one likes.
    """
    return json.dumps({"thumbsmith": 1, "bucket": bucket, "keys": [key], **({"retry": True} if retry else {})})


def parse_event_text(text: str) -> Iterator[Event]:
    """Yield what a payload says that is JSON: a message's body."""
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        yield Unreadable(f"no JSON: {_words(text)}")
    else:
        yield from parse_events(payload)


def _said_in_record(record: object) -> Iterator[Event]:
    match record:
        case {"EventSource": "aws:sns", "Sns": {"Message": str(message)}}:  # SNS, directly
            yield from parse_event_text(message)
        case {"eventVersion": str(version)} if not _VERSION.fullmatch(version):
            yield Unreadable(f"a record of version {version!a}; known is 2")
        case {
            "eventVersion": str(),
            "eventName": str(name),
            "s3": {"bucket": {"name": str(bucket)}, "object": {"key": str(key)}},
        } if key:
            yield _notified(name, bucket, key)
        case _:
            yield Unreadable(f"no record that is known: {_words(record)}")


def _notified(name: str, bucket: str, encoded: str) -> Event:
    """Return what a record of S3's says. Keys in it are encoded as HTML forms are, once."""
    name = name.removeprefix("s3:")
    if not _NOTIFIED.fullmatch(name) and name != _NOTIFIED_RESTORED:
        return Ignored("other_event", name)
    try:
        return KeyChanged(bucket, unquote_plus(encoded, errors="strict"), restored=name == _NOTIFIED_RESTORED)
    except UnicodeDecodeError:
        return Unreadable(f"a key that is not UTF-8: {_words(encoded)}")


def _announced(kind: str, detail: Any) -> Event:
    """Return what EventBridge says. Keys in it are as they are."""
    if kind not in _ANNOUNCED and kind != _ANNOUNCED_RESTORED:
        return Ignored("other_event", kind)
    match detail:
        case {"bucket": {"name": str(bucket)}, "object": {"key": str(key)}} if key:
            return KeyChanged(bucket, key, restored=kind == _ANNOUNCED_RESTORED)
    return Unreadable(f"no detail that is known: {_words(detail)}")


def _asked_for(bucket: str, key: object, *, retry: bool) -> Event:
    if isinstance(key, str) and key:
        return KeyChanged(bucket, key, restored=retry)
    return Unreadable(f"no key: {_words(key)}")


def _words(found: object) -> str:
    try:
        return ascii(found)[:_MAX_WORDS]
    except RecursionError:
        return "nested without end"
