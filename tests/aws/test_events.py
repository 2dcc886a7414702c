"""Whatever a payload holds, it is read or named as what cannot be; nothing but bucket, key and kind counts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.aws.scene import announcement, enveloped, notification, record
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
PAYLOADS = [notification("a.jpg"), announcement("a.jpg"), enveloped(notification("a.jpg"))]


@given(payload=st.sampled_from(PAYLOADS), part=st.sampled_from(PARTS), instead=JSON)
def test_no_payload_is_an_exception(payload: dict, part: tuple, instead: object):
    """Any part of it may be anything else: something is said of it, unless it is a list of no records."""
    changed = json.loads(json.dumps(payload))
    here = changed
    for name in part[:-1]:
        here = here[name] if isinstance(here, list) else here.setdefault(name, {})
        if isinstance(here, str):
            return
    if isinstance(here, list) and not here:
        return
    here[part[-1]] = instead
    said = list(parse_events(changed))
    assert said or changed.get("Records") == [] or part == ("Message",)
    assert all(isinstance(each, KeyChanged | Ignored | Unreadable) for each in said)


@given(text=st.text() | JSON.map(json.dumps))
def test_no_text_is_an_exception(text: str):
    """What is no JSON, or JSON of something else, is named, in a sentence of printable ASCII."""
    for said in parse_event_text(text):
        assert isinstance(said, Unreadable)
        assert said.detail.isascii()
        assert said.detail.isprintable()


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        ({"Records": [record("a.jpg") | {"eventVersion": "3.1"}]}, "a record of version '3.1'; known is 2"),
        ({"Records": [{**record("a.jpg"), "s3": {"bucket": {"name": "b"}, "object": {"key": "%FF"}}}]}, "not UTF-8"),
        ({"Records": [record("")]}, "no record that is known"),
        (announcement(""), "no detail that is known"),
        ({"source": "aws.s3", "detail-type": "Object Created", "detail": None}, "no detail that is known: None"),
        ({"Type": "SubscriptionConfirmation", "Message": "confirm"}, "no event that is known"),
    ],
)
def test_what_cannot_be_read_is_said(payload: dict, sentence: str):
    """One sentence says what was found."""
    (said,) = parse_events(payload)
    assert isinstance(said, Unreadable)
    assert sentence in said.detail


def test_what_never_ends_is_named():
    """JSON may be nested deeper than it can be shown."""
    nested: list = []
    for _ in range(100_000):
        nested = [nested]
    assert list(parse_events({"Records": [nested]})) == [Unreadable("no record that is known: nested without end")]


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
def test_every_event_that_may_change_a_thumbnail_is_a_hint(name: str):
    """An object that was written, deleted, expired or tagged is named by its bucket and key."""
    assert list(parse_events({"Records": [record("a.jpg", name)]})) == [KeyChanged("src", "a.jpg")]


@pytest.mark.parametrize("kind", ["Object Created", "Object Deleted", "Object Tags Added", "Object Tags Deleted"])
def test_every_announcement_that_may_change_a_thumbnail_is_a_hint(kind: str):
    """EventBridge has one word for a deletion and an expiration."""
    assert list(parse_events(announcement("a.jpg", kind))) == [KeyChanged("src", "a.jpg")]


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.10", "2.345"])
def test_every_minor_version_is_read(version: str):
    """S3 may raise the minor version, to any number: a reader compares the major version alone."""
    assert list(parse_events({"Records": [record("a.jpg") | {"eventVersion": version}]})) == [
        KeyChanged("src", "a.jpg")
    ]


@pytest.mark.parametrize("version", ["", "2", "2.", "20.1", "3.0", "2.1 ", "x2.1"])
def test_another_major_version_is_not_read(version: str):
    """What another version means is not known: it is reported."""
    (said,) = parse_events({"Records": [record("a.jpg") | {"eventVersion": version}]})
    assert said == Unreadable(f"a record of version {version!r}; known is 2")


def test_other_servers_spell_alike():
    """MinIO writes the prefix that configurations have before the event's name."""
    assert list(parse_events({"Records": [record("a b.jpg", "s3:ObjectCreated:Put")]})) == [
        KeyChanged("src", "a b.jpg")
    ]
