"""The manifest: its content, and how it is read."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thumbsmith.reconcile.manifest import (
    Manifest,
    Rejection,
    RenditionRecord,
    SourceRecord,
    parse,
    read_manifest,
    read_manifest_version,
)
from thumbsmith.store import Headers, open_store

RENDITION = RenditionRecord(
    variant="small",
    fingerprint="f",
    key="photos/Été 1.jpg/small.webp",
    type="image/webp",
    format="webp",
    width=256,
    height=171,
    bytes=8123,
    sha256="0123456789abcdef",
    etag="e",
)
SOURCE = SourceRecord(
    key="photos/Été 1.jpg", etag="s", bytes=9, format="jpeg", width=3840, height=2560, frames=1, alpha=False
)
MANIFEST = Manifest(recipe="r", limits="l", source=SOURCE, color="#a4b1c0", renditions=(RENDITION,))
REJECTED = Manifest(
    recipe="r",
    limits="l",
    source=SourceRecord(key="a", etag="s", bytes=0),
    rejection=Rejection(code="empty", detail="no bytes"),
)


@pytest.mark.parametrize(
    "manifest", [MANIFEST, REJECTED, replace(MANIFEST, renditions=()), replace(MANIFEST, notes=("so",))]
)
def test_a_manifest_can_be_written_and_read(manifest: Manifest):
    """A manifest that was written is read unchanged."""
    assert parse(manifest.to_bytes()) == manifest


def test_the_file_has_the_documented_format():
    """The file is UTF-8 JSON with sorted keys and every documented field."""
    text = MANIFEST.to_bytes().decode()
    content = json.loads(text)
    assert "Été" in text
    assert list(content) == sorted(content)
    assert content["thumbsmith"] == 1
    assert content["status"] == "ok"
    assert content["placeholder"] == {"color": "#a4b1c0"}
    assert content["source"]["width"] == 3840
    assert content["renditions"][0]["key"] == "photos/Été 1.jpg/small.webp"
    assert content["srcset"] == {"webp": "photos/%C3%89t%C3%A9%201.jpg/small.webp?v=01234567 256w"}


def test_a_rejection_has_code_and_detail():
    """The manifest of a rejected source has code and detail, and neither renditions nor srcset."""
    content = json.loads(REJECTED.to_bytes())
    assert content["status"] == "rejected"
    assert content["rejection"] == {"code": "empty", "detail": "no bytes"}
    assert content["renditions"] == []
    assert "srcset" not in content


def _sized(variant: str, width: int, height: int, kind: str = "webp") -> RenditionRecord:
    return replace(RENDITION, variant=variant, key=f"k/{variant}.{kind}", format=kind, width=width, height=height)


def test_srcset_lists_uncropped_renditions_once_per_width():
    """Only renditions with the source's aspect ratio, within a pixel, are listed: narrowest first, one per width."""
    renditions = (
        _sized("large", 1024, 683),
        _sized("icon", 64, 64),
        _sized("small", 256, 170),
        _sized("twin", 256, 171),
        _sized("small", 256, 171, "jpeg"),
        _sized("squashed", 256, 100),
    )
    assert replace(MANIFEST, renditions=renditions).srcset() == {
        "webp": "k/small.webp?v=01234567 256w, k/large.webp?v=01234567 1024w",
        "jpeg": "k/small.jpeg?v=01234567 256w",
    }


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b"{}",
        b"\xff",
        b'{"thumbsmith": 1}',
        b"[" * 100_000,
        MANIFEST.to_bytes()[:-3],
        MANIFEST.to_bytes().replace(b'"thumbsmith": 1', b'"thumbsmith": 2'),
        MANIFEST.to_bytes().replace(b'"width": 256', b'"width": "256"'),
        MANIFEST.to_bytes().replace(b'"etag": "e"', b'"etag": ["e"]'),
        MANIFEST.to_bytes().replace(b'"variant": "small"', b'"variant": "small", "more": 1'),
        MANIFEST.to_bytes().replace(b'"key": "photos', b'"kez": "photos'),
        REJECTED.to_bytes().replace(b'"rejection": {', b'"rejection": [{').replace(b'bytes"\n },', b'bytes"\n }],'),
    ],
)
def test_invalid_content_is_no_manifest(data: bytes):
    """Damaged content, another version and fields of other types give None, never an exception."""
    assert parse(data) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_any_json_is_read_without_an_exception(value: object):
    """Any JSON in any field gives a manifest or None."""
    for field in ("source", "renditions", "rejection", "placeholder", "recipe", "thumbsmith"):
        content = MANIFEST.as_dict() | {field: value}
        assert isinstance(parse(json.dumps(content).encode()), Manifest | None)


def test_notes_are_optional():
    """Notes are in the manifest as sentences; without any there is no such field."""
    noted = replace(MANIFEST, notes=("the color profile is broken, and was ignored",))
    assert noted.as_dict()["notes"] == ["the color profile is broken, and was ignored"]
    assert "notes" not in MANIFEST.as_dict()


def test_a_manifest_is_read_from_a_store():
    """The manifest of a key is read; a missing one, a damaged one and one of another key give None."""
    store, headers = open_store("memory://manifests"), Headers(content_type="application/json")
    store.put(f"{SOURCE.key}/manifest.json", MANIFEST.to_bytes(), headers)
    store.put("other.jpg/manifest.json", MANIFEST.to_bytes(), headers)
    store.put("damaged.jpg/manifest.json", b"{", headers)
    assert read_manifest(store, SOURCE.key) == MANIFEST
    assert [read_manifest(store, key) for key in ("other.jpg", "damaged.jpg", "missing.jpg")] == [None] * 3
    damaged = read_manifest_version(store, "damaged.jpg")
    assert damaged is not None
    assert damaged.info == store.head("damaged.jpg/manifest.json")


def test_a_known_version_of_a_manifest_is_not_read_again():
    """The known version is returned while the store has it; after a change the new one is read."""
    store, headers = open_store("memory://known"), Headers(content_type="application/json")
    key = f"{SOURCE.key}/manifest.json"
    store.put(key, MANIFEST.to_bytes(), headers)
    known = read_manifest_version(store, SOURCE.key)
    assert read_manifest_version(store, SOURCE.key, known) is known
    store.put(key, replace(MANIFEST, notes=("new",)).to_bytes(), headers)
    found = read_manifest_version(store, SOURCE.key, known)
    assert found is not None
    assert found.manifest == replace(MANIFEST, notes=("new",))
