"""The metadata or a tag of an object asks for no thumbnails."""

import pytest

from tests.servers.fixtures import administrator, needs_servers
from tests.servers.scripted import Answer, Scripted, error
from tests.store.test_s3 import counted
from thumbsmith.errors import StoreError
from thumbsmith.store import Headers, ObjectInfo, open_store
from thumbsmith.store.memory import MemoryStore
from thumbsmith.store.s3 import S3Store

OFF = Headers(content_type="image/jpeg", metadata={"thumbs": "off"})
OTHER = Headers(content_type="image/jpeg", metadata={"thumbs": "on", "a": "off"})


@pytest.fixture
def store(way: str, either_server: str) -> S3Store:
    """Return an empty store on each server, once for each transport."""
    return open_store(f"{either_server}/photos")


def opted_out(store: S3Store | MemoryStore, key: str) -> bool:
    """Return whether the object is opted out."""
    info = store.head(key)
    assert info is not None
    return info.opted_out


def tag(store: S3Store, key: str, **tags: str) -> None:
    """Give an object exactly these tags."""
    place = {"Bucket": store.bucket, "Key": store.prefix + key}
    tag_set = [{"Key": name, "Value": value} for name, value in tags.items()]
    administrator().put_object_tagging(**place, Tagging={"TagSet": tag_set})


@needs_servers
def test_by_metadata(store: S3Store):
    """User metadata `thumbs: off` opts out, other metadata does not, and neither takes a further request."""
    store.put("off.jpg", b"1", OFF)
    store.put("other.jpg", b"1", OTHER)
    with counted() as counts:
        assert opted_out(store, "off.jpg")
        assert not opted_out(store, "other.jpg")
    assert counts == {"HEAD": 2}


@needs_servers
def test_by_a_tag(way: str, seaweedfs: str):
    """A tag `thumbs: off` opts out until it is removed; an object without tags takes no further request.

    Not on ministack, which does not say how many tags an object has.
    """
    store: S3Store = open_store(f"{seaweedfs}/photos")
    store.put("ü a.jpg", b"1", OTHER)
    tag(store, "ü a.jpg", thumbs="on", off="thumbs")
    assert not opted_out(store, "ü a.jpg")
    tag(store, "ü a.jpg", owner="me", thumbs="off")
    assert opted_out(store, "ü a.jpg")
    tag(store, "ü a.jpg")
    with counted() as counts:
        assert not opted_out(store, "ü a.jpg")
    assert counts["HEAD"] == counts.total() == 1


def test_in_memory():
    """A store in memory has metadata, and no tags."""
    store = MemoryStore("m")
    store.put("off.jpg", b"1", OFF)
    store.put("other.jpg", b"1", OTHER)
    assert opted_out(store, "off.jpg")
    assert not opted_out(store, "other.jpg")


def test_forbidden_tags(way: str, script: Scripted):
    """Tags that cannot be read are an error that names the permission: they may contain the opt-out."""
    script.script(Answer(200, headers={"ETag": '"e"', "x-amz-tagging-count": "1"}), error(403, "AccessDenied"))
    with pytest.raises(StoreError, match="grant s3:GetObjectTagging"):
        open_store("s3://bucket").head("a.jpg")
    assert script.asked[1].path.startswith("/bucket/a.jpg?tagging")


def test_an_object_deleted_before_its_tags_are_read(way: str, script: Scripted):
    """The object is missing."""
    gone = error(404, "NoSuchKey")
    script.script(Answer(200, headers={"ETag": '"e"', "x-amz-tagging-count": "1"}), gone, gone)
    assert open_store("s3://bucket").head("a.jpg") is None


def test_invalid_tags(script: Scripted):
    """Another document is no list of tags, and is requested again."""
    here = Answer(200, headers={"ETag": '"e"', "x-amz-tagging-count": "1"})
    tags = "<Tagging><TagSet><Tag><Key>thumbs</Key><Value>off</Value></Tag><Tag><Key>a</Key></Tag></TagSet></Tagging>"
    script.script(here, Answer(200, b"<Other/>"), Answer(200, b"no"), Answer(200, tags.encode()))
    assert open_store("s3://bucket").head("a.jpg") == ObjectInfo("a.jpg", "e", 0, opted_out=True)
