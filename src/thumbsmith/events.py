"""Reads event payloads: which keys of which buckets may have changed.

Events arrive in several envelopes. Only the bucket, the key and the kind of event are read from any of them. The store
itself is asked whether the object exists, how large it is, and which version it has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote_plus, unquote_plus

# The S3 events that may change a source or its thumbnails.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
# Ceph adds expirations by other names, and objects that another zone wrote or deleted:
# https://docs.ceph.com/en/latest/radosgw/s3-notification-compatibility
_S3_CHANGES: Final = re.compile(
    r"(?:ObjectCreated|ObjectRemoved|LifecycleExpiration|ObjectTagging|ObjectSynced|ObjectLifecycle:Expiration):\w+"
)
_S3_RESTORED: Final = "ObjectRestore:Completed"

# The names of the same events at EventBridge: https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html
_EVENTBRIDGE_CHANGES: Final = frozenset(
    {"Object Created", "Object Deleted", "Object Tags Added", "Object Tags Deleted"}
)
_EVENTBRIDGE_RESTORED: Final = "Object Restore Completed"

# A new minor version only adds members, so a reader compares the major version only.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
_S3_RECORD_VERSION: Final = re.compile(r"2\.\d+")

# SeaweedFS keeps the objects of a bucket in a folder below this one, the parts of uploads in a folder of the bucket,
# and the versions of an object in a folder next to it. Its attributes name the latest version, so it changes last.
_SEAWEEDFS_BUCKETS: Final = "/buckets/"
_SEAWEEDFS_PARTS: Final = ".uploads/"
_SEAWEEDFS_VERSION: Final = re.compile(r"\.versions/v_[^/]+\Z")
_SEAWEEDFS_VERSIONS: Final = ".versions"

# Endings of names that S3 accepts in place of a bucket's, and what they are.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-alias.html and directory-bucket-naming-rules.html
_NO_BUCKETS: Final = {
    "-s3alias": "the alias of an access point, which events do not contain",
    "--ol-s3": "the alias of an Object Lambda access point, which events do not contain",
    "--x-s3": "a directory bucket, which reports no events",
}

# The length of an excerpt from an unreadable payload.
_MAX_EXCERPT_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class KeyChanged:
    """The object with this key may have changed.

    `restored`: an archived object became readable. `retry`: a backfill wants a recorded rejection tried again.
    `new_at`: the time at which S3 created the object, or shortly after which a backfill found nothing made of it, as
    text (ISO 8601); None for all other events.
    """

    bucket: str
    key: str
    restored: bool = False
    retry: bool = False
    new_at: str | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that changes no thumbnail. `reason` is one word for logs and metrics."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A part of a payload in an unknown format. The operator must find out who sent it."""

    detail: str


Event: TypeAlias = KeyChanged | Ignored | Unreadable


def parse_events(payload: object) -> Iterator[Event]:
    """Yield the events of a payload: from S3, EventBridge, SeaweedFS, a backfill, or inside an SNS envelope.

    Raises nothing: what cannot be read is yielded as Unreadable.
    """
    match payload:
        case {"Event": "s3:TestEvent", **rest}:  # S3 sends it when notifications are configured
            yield Ignored("test_event", str(rest.get("Bucket")))
        case {"Records": list(records)}:
            for record in records:
                yield from _parse_record(record)
        case {"source": "aws.s3", "detail-type": str(kind), "detail": detail, **rest}:
            yield _parse_eventbridge(kind, detail, rest.get("time"))
        case {"Type": "Notification", "Message": str(message)}:  # SNS, through a queue
            yield from parse_event_text(message)
        case {"event_type": str(), "key": str(path), "message": dict(message)}:  # from SeaweedFS
            yield from _parse_seaweedfs(path, message)
        case {"thumbsmith": 1, "bucket": str(bucket), "keys": list(keys), **rest}:  # from `backfill_message`
            for key in keys:
                yield _parse_backfill_key(bucket, key, rest)
        case _:
            yield Unreadable(f"unknown event: {_excerpt(payload)}")


def parse_event_text(text: str) -> Iterator[Event]:
    """Yield the events of a payload in JSON, such as the body of a message. Raises nothing, like `parse_events`."""
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        yield Unreadable(f"not JSON: {_excerpt(text)}")
    else:
        yield from parse_events(payload)


def backfill_message(bucket: str, key: str, *, retry: bool = False, new_at: str | None = None) -> str:
    """Return the message with which a backfill requests one key. `retry` also tries a recorded rejection again.

    `new_at` is the time of sending (ISO 8601), if a listing of the destination found nothing made of the key: then a
    function need not list again. {"thumbsmith": 1, "bucket": "photos", "keys": ["a.jpg"]}: JSON with unencoded keys.
    Other senders may list several keys.
    """
    options = ({"retry": True} if retry else {}) | ({"new_at": new_at} if new_at else {})
    return json.dumps({"thumbsmith": 1, "bucket": bucket, "keys": [key], **options})


def not_a_bucket(name: str) -> str | None:
    """Return what kind of thing without events has this name; None for the name of a bucket."""
    return next((kind for ending, kind in _NO_BUCKETS.items() if name.endswith(ending)), None)


def _parse_record(record: object) -> Iterator[Event]:
    match record:
        case {"EventSource": "aws:sns", "Sns": {"Message": str(message)}}:  # SNS, directly
            yield from parse_event_text(message)
        case {"eventVersion": str(version)} if not _S3_RECORD_VERSION.fullmatch(version):
            yield Unreadable(f"a record of version {version!a}: expected 2.x")
        case {
            "eventVersion": str(),
            "eventName": str(name),
            "s3": {"bucket": {"name": str(bucket)}, "object": {"key": str(key)}},
            **rest,
        } if key:
            event = _parse_s3(name, bucket, key, rest.get("eventTime"))
            if rest.get("eventSource") != "ceph:s3":
                yield event
                return
            # The documentation of Ceph does not say whether the key is encoded, and its versions may differ. The store
            # knows which of both keys exists.
            unencoded = _parse_s3(name, bucket, quote_plus(key), rest.get("eventTime"))
            yield from dict.fromkeys(each for each in (event, unencoded) if not isinstance(each, Unreadable))
        case _:
            yield Unreadable(f"unknown record: {_excerpt(record)}")


def _parse_s3(name: str, bucket: str, encoded_key: str, time: object) -> Event:
    """Return the event of an S3 record. Its key is encoded once, like a field of an HTML form."""
    name = name.removeprefix("s3:")  # MinIO writes this prefix
    if not _S3_CHANGES.fullmatch(name) and name != _S3_RESTORED:
        return Ignored("other_event", name)
    try:
        key = unquote_plus(encoded_key, errors="strict")
    except UnicodeDecodeError:
        return Unreadable(f"a key that is not UTF-8: {_excerpt(encoded_key)}")
    created = str(time) if name.startswith("ObjectCreated:") and time else None
    return KeyChanged(bucket, key, restored=name == _S3_RESTORED, new_at=created)


def _parse_eventbridge(kind: str, detail: Any, time: object) -> Event:
    """Return the event of an EventBridge payload. Its key is not encoded."""
    if kind not in _EVENTBRIDGE_CHANGES and kind != _EVENTBRIDGE_RESTORED:
        return Ignored("other_event", kind)
    match detail:
        case {"bucket": {"name": str(bucket)}, "object": {"key": str(key)}} if key:
            created = str(time) if kind == "Object Created" and time else None
            return KeyChanged(bucket, key, restored=kind == _EVENTBRIDGE_RESTORED, new_at=created)
    return Unreadable(f"unknown detail: {_excerpt(detail)}")


def _parse_seaweedfs(path: str, message: dict[str, Any]) -> Iterator[Event]:
    """Yield the events of a webhook of SeaweedFS: a change of a file below /buckets, whose name is not encoded.

    A file that was moved changes two keys. https://github.com/seaweedfs/seaweedfs/wiki/Filer-Notification-Webhook
    """
    paths = [path]
    match message:
        case {"new_entry": {"name": str(name)}, "new_parent_path": str(folder)} if f"{folder}/{name}" != path:
            paths.append(f"{folder}/{name}")
    is_folder = any(isinstance(entry, dict) and entry.get("is_directory") is True for entry in message.values())
    for each in paths:
        bucket, _, key = each.removeprefix(_SEAWEEDFS_BUCKETS).partition("/")
        if not each.startswith(_SEAWEEDFS_BUCKETS) or not key or key.startswith(_SEAWEEDFS_PARTS):
            yield Ignored("other_event", each)
        elif is_folder and key.endswith(_SEAWEEDFS_VERSIONS):
            yield KeyChanged(bucket, key.removesuffix(_SEAWEEDFS_VERSIONS))
        elif is_folder:
            yield Ignored("folder", each)
        else:
            yield KeyChanged(bucket, _SEAWEEDFS_VERSION.sub("", key))


def _parse_backfill_key(bucket: str, key: object, options: Mapping[Any, Any]) -> Event:
    if isinstance(key, str) and key:
        new_at = options.get("new_at")
        return KeyChanged(bucket, key, retry=options.get("retry") is True, new_at=str(new_at) if new_at else None)
    return Unreadable(f"expected a key, found {_excerpt(key)}")


def _excerpt(found: object) -> str:
    try:
        return ascii(found)[:_MAX_EXCERPT_CHARACTERS]
    except RecursionError:
        return "nested too deep"
