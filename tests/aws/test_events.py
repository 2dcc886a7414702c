"""Any payload is parsed or reported as unreadable; only bucket, key and kind are read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.aws.scene import CREATED, eventbridge_event, notification, record, sns_message
from thumbsmith.events import Ignored, KeyChanged, Unreadable, parse_event_text, parse_events

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PARTS = [
    ("Records",), ("Records", 0), ("Records", 0, "s3"), ("Records", 0, "eventName"), ("Records", 0, "eventVersion"),
    ("Records", 0, "s3", "bucket"), ("Records", 0, "s3", "bucket", "name"), ("Records", 0, "s3", "object", "key"),
    ("detail",), ("detail-type",), ("source",), ("detail", "object"), ("detail", "object", "key"), ("Message",),
]  # fmt: skip
PAYLOADS = [notification("a.jpg"), eventbridge_event("a.jpg"), sns_message(notification("a.jpg"))]


@given(payload=st.sampled_from(PAYLOADS), part=st.sampled_from(PARTS), instead=JSON)
def test_no_payload_raises(payload: dict, part: tuple, instead: object):
    """With any part replaced by any JSON, a payload gives events and raises nothing."""
    changed = json.loads(json.dumps(payload))
    here = changed
    for name in part[:-1]:
        here = here[name] if isinstance(here, list) else here.setdefault(name, {})
        if isinstance(here, str):
            return
    if isinstance(here, list) and not here:
        return
    here[part[-1]] = instead
    parsed = list(parse_events(changed))
    assert parsed or changed.get("Records") == [] or part == ("Message",)
    assert all(isinstance(each, KeyChanged | Ignored | Unreadable) for each in parsed)


@given(text=st.text() | JSON.map(json.dumps))
def test_no_text_raises(text: str):
    """Any text that is not an event is Unreadable, with a detail in printable ASCII."""
    for parsed in parse_event_text(text):
        assert isinstance(parsed, Unreadable)
        assert parsed.detail.isascii()
        assert parsed.detail.isprintable()


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        ({"Records": [record("a.jpg") | {"eventVersion": "3.1"}]}, "a record of version '3.1': expected 2.x"),
        ({"Records": [{**record("a.jpg"), "s3": {"bucket": {"name": "b"}, "object": {"key": "%FF"}}}]}, "not UTF-8"),
        ({"Records": [record("")]}, "unknown record"),
        (eventbridge_event(""), "unknown detail"),
        ({"source": "aws.s3", "detail-type": "Object Created", "detail": None}, "unknown detail: None"),
        ({"Type": "SubscriptionConfirmation", "Message": "confirm"}, "unknown event"),
    ],
)
def test_unreadable_details(payload: dict, sentence: str):
    """The detail of an unreadable event says what was found."""
    (parsed,) = parse_events(payload)
    assert isinstance(parsed, Unreadable)
    assert sentence in parsed.detail


def test_deep_nesting_is_unreadable():
    """A payload that is nested too deep to print is unreadable."""
    nested: list = []
    for _ in range(100_000):
        nested = [nested]
    assert list(parse_events({"Records": [nested]})) == [Unreadable("unknown record: nested too deep")]


@pytest.mark.parametrize(
    "name",
    [
        "ObjectCreated:Put",
        "ObjectCreated:CompleteMultipartUpload",
        "ObjectRemoved:Delete",
        "ObjectRemoved:DeleteMarkerCreated",
        "LifecycleExpiration:Delete",
        "LifecycleExpiration:DeleteMarkerCreated",
        "ObjectTagging:Put",
        "ObjectTagging:Delete",
    ],
)
def test_s3_events_that_change_thumbnails(name: str):
    """S3 events of creation, deletion, expiration and tagging name the changed key."""
    created = CREATED if name.startswith("ObjectCreated") else None
    assert list(parse_events({"Records": [record("a.jpg", name)]})) == [KeyChanged("src", "a.jpg", new_at=created)]


@pytest.mark.parametrize("kind", ["Object Created", "Object Deleted", "Object Tags Added", "Object Tags Deleted"])
def test_eventbridge_events_that_change_thumbnails(kind: str):
    """EventBridge events of creation, deletion and tagging name the changed key."""
    created = CREATED if kind == "Object Created" else None
    assert list(parse_events(eventbridge_event("a.jpg", kind))) == [KeyChanged("src", "a.jpg", new_at=created)]


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.10", "2.345"])
def test_every_minor_version_is_read(version: str):
    """Records with any minor version of version 2 are read."""
    assert list(parse_events({"Records": [record("a.jpg") | {"eventVersion": version}]})) == [
        KeyChanged("src", "a.jpg", new_at=CREATED)
    ]


@pytest.mark.parametrize("version", ["", "2", "2.", "20.1", "3.0", "2.1 ", "x2.1"])
def test_another_major_version_is_not_read(version: str):
    """Records of another major version are unreadable."""
    (parsed,) = parse_events({"Records": [record("a.jpg") | {"eventVersion": version}]})
    assert parsed == Unreadable(f"a record of version {version!r}: expected 2.x")


def test_minio_prefixes_event_names():
    """MinIO's prefix "s3:" of event names is accepted."""
    assert list(parse_events({"Records": [record("a b.jpg", "s3:ObjectCreated:Put")]})) == [
        KeyChanged("src", "a b.jpg", new_at=CREATED)
    ]
