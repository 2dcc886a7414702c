"""Two other clouds keep the contract: Azure on Azurite, Google's API for clients of S3 on SeaweedFS."""

import base64
import hmac
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.pictures import picture
from tests.servers.fixtures import needs_azurite, needs_servers
from tests.store.contract import HEADERS, Contract, content_of
from tests.store.test_s3_contract import AWKWARD_KEYS
from thumbsmith.errors import SourceChanged, StoreError
from thumbsmith.store import Headers, Store, open_store

# Names that Azure cannot hold: control characters, a backslash, "." and ".." between slashes.
NOT_IN_AZURE = {"./a", "../a", "a/../../b", "..", "a\\..\\b", "\0", "\0/x", "\x01A/1", "\x01a/1", "\x85/x", "a\nb"}


@needs_azurite
class TestAzure(Contract):
    """A whole container."""

    keys = (*Contract.keys, *(key for key in AWKWARD_KEYS if key not in NOT_IN_AZURE))

    @pytest.fixture
    def store(self, azurite: str) -> Store:
        """Return an empty store."""
        return open_store(azurite)


@needs_azurite
class TestAzurePrefix(Contract):
    """A part of a container, under a prefix with characters that must be encoded."""

    keys = (*Contract.keys, "a", "a/", "a//", "/a", "%41", "a+b")

    @pytest.fixture
    def store(self, azurite: str) -> Store:
        """Return an empty store, beside blobs outside of its prefix."""
        for key in ("Été #1 %2F+", "Été #1 %2F+x/a.jpg", "a.jpg"):
            open_store(azurite).put(key, b"", HEADERS)
        return open_store(f"{azurite}/Été #1 %2F+")


@needs_servers
class TestGoogle(Contract):
    """A bucket, over the requests that Google Cloud Storage has in common with S3."""

    keys = (*Contract.keys, "%41", "a+b", "a b", "#", "&<>'\"")

    @pytest.fixture
    def store(self, gcs: str) -> Store:
        """Return an empty store."""
        return open_store(f"{gcs}/thumbs")


def _not_held(place: str, key: str) -> None:
    store = open_store(place)
    assert not store.can_hold(key)
    assert store.head(key) is store.open(key) is None
    store.delete(key)
    with pytest.raises(StoreError, match="no object can have this key") as caught:
        store.put(key, b"", HEADERS)
    assert not caught.value.transient


@needs_azurite
@pytest.mark.parametrize("key", sorted(NOT_IN_AZURE))
def test_keys_that_azure_would_change_are_refused(azurite: str, key: str):
    """A key that Azure would store under another name is missing, and cannot be written."""
    _not_held(azurite, key)
    assert list(open_store(azurite).list()) == []


@needs_servers
@pytest.mark.parametrize("key", ["a\nb", "a\rb", ".", ".."])
def test_keys_that_google_refuses_are_not_sent(gcs: str, key: str):
    """A key that Google Cloud Storage does not allow is missing, and cannot be written."""
    _not_held(gcs, key)


@needs_azurite
def test_azure_lists_more_than_one_page(azurite: str):
    """A listing continues at the marker of its page."""
    store = open_store(azurite)
    for number in range(7):
        store.put(f"{number}.jpg", b"x", HEADERS)
    found = list(store._list_keys("", MaxKeys=3))
    assert [info.key for info in found] == [f"{number}.jpg" for number in range(7)]


@needs_azurite
def test_azure_keeps_what_is_stored_with_a_blob(azurite: str):
    """Media type, cache control and metadata are stored, and the owner of a blob can opt out."""
    store = open_store(azurite)
    given = Headers(content_type="image/webp", metadata={"thumbsmith-variant": "small", "thumbs": "off"})
    store.put("a.webp", b"x", given)
    found = store.head("a.webp")
    assert found is not None
    assert found.opted_out
    assert found.modified is not None
    answer = store.client.request("head_object", "a.webp", Bucket=store.bucket, Key="a.webp")
    assert answer["ContentType"] == "image/webp"
    assert answer["CacheControl"] == given.cache_control
    assert answer["Metadata"] == {"thumbsmith_variant": "small", "thumbs": "off"}


@pytest.mark.parametrize(
    "place", [pytest.param("azurite", marks=needs_azurite), pytest.param("gcs", marks=needs_servers)]
)
def test_a_version_that_was_replaced_is_not_read_on(place: str, request: pytest.FixtureRequest):
    """A read beyond the first part of an object has the condition that the object is the same."""
    store = open_store(request.getfixturevalue(place))
    store.put("a", b"1" * 300_000, HEADERS)
    reader = store.open("a")
    assert reader is not None
    store.put("a", b"2" * 300_000, HEADERS)
    with pytest.raises(SourceChanged):
        reader.read(200_000, 10)


@needs_azurite
def test_a_container_that_is_missing_is_no_missing_blob(azurite: str):
    """Where the container does not exist, every request is an error: thumbnails of missing sources are deleted."""
    missing = open_store(f"{azurite}-missing")
    for request in (
        lambda: missing.head("a"),
        lambda: missing.open("a"),
        lambda: missing.put("a", b"", HEADERS),
        lambda: missing.delete("a"),
        lambda: list(missing.list()),
        missing.check_reachable,
    ):
        with pytest.raises(StoreError, match="there is no such container") as caught:
            request()
        assert not caught.value.transient


@needs_azurite
def test_a_token_replaces_the_key(azurite: str, azurite_connection: str, monkeypatch: pytest.MonkeyPatch):
    """Requests carry a shared access signature where there is no key, and an expired one is one sentence."""
    for until, works in (("2999-01-01", True), ("2001-01-01", False)):
        token = _token(azurite_connection, until)
        parts = azurite_connection.split(";")
        address = next(part for part in parts if part.startswith("BlobEndpoint"))
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"{address};SharedAccessSignature={token}")
        store = open_store(azurite)
        if works:
            store.put("a b.jpg", b"x", HEADERS)
            assert content_of(store, "a b.jpg") == b"x"
            assert [info.key for info in store.list()] == ["a b.jpg"]
        else:
            with pytest.raises(StoreError, match=r"access denied|does not match") as caught:
                store.head("a b.jpg")
            assert not caught.value.transient


def _token(connection: str, until: str) -> str:
    """Return a token for all containers of the account.

    https://learn.microsoft.com/en-us/rest/api/storageservices/create-account-sas
    """
    parts = dict(part.split("=", 1) for part in connection.split(";"))
    fields = {
        "sp": "rwdl",
        "ss": "b",
        "srt": "sco",
        "st": "",
        "se": until,
        "sip": "",
        "spr": "https,http",
        "sv": "2021-12-02",
    }
    text = "\n".join([parts["AccountName"], *fields.values(), "", ""])
    key = base64.b64decode(parts["AccountKey"])
    signature = base64.b64encode(hmac.digest(key, text.encode(), "sha256")).decode()
    return urlencode({name: value for name, value in fields.items() if value} | {"sig": signature})


@pytest.mark.parametrize(
    "place", [pytest.param("azurite", marks=needs_azurite), pytest.param("gcs", marks=needs_servers)]
)
def test_a_whole_sync(place: str, request: pytest.FixtureRequest, tmp_path: Path):
    """Images of a bucket become thumbnails in it, a second run changes nothing, and a deleted image is followed."""
    address = request.getfixturevalue(place)
    store = open_store(address)
    for name in ("a.jpg", "b/Été 1 #%.jpg"):
        store.put(f"photos/{name}", picture(), HEADERS)
    store.put("photos/bad.jpg", b"no image", HEADERS)
    words = ["sync", f"{address}/photos", f"{address}/thumbs", "--json", "--yes", "--jobs", "1"]

    def sync() -> dict[str, int]:
        command = [sys.executable, "-m", "thumbsmith", *words]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=120, env=dict(os.environ), cwd=tmp_path
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    first, second = sync(), sync()
    assert (first["made"], first["rejected"], first["failed"]) == (2, 1, 0)
    assert (second["made"], second["fresh"], second["rejected"]) == (0, 2, 1)
    store.delete("photos/a.jpg")
    assert sync()["deleted"] == first["renditions"] // 2 + 1
    assert {info.key.split("/")[1] for info in store.list("thumbs/")} == {"b", "bad.jpg"}


@needs_azurite
def test_of_two_creators_in_azure_one_stores_its_blob(azurite: str):
    """The condition that no blob has the name is part of the write, and a repeated write of the same bytes succeeds."""
    store = open_store(azurite)
    assert store.create("a.jpg", b"one", HEADERS)
    assert not store.create("a.jpg", b"two", HEADERS)
    assert store.create("a.jpg", b"one", HEADERS)
    assert content_of(store, "a.jpg") == b"one"


@needs_servers
def test_an_object_in_google_is_created_once(gcs: str):
    """A store without such a condition looks before it writes."""
    store = open_store(gcs)
    assert store.create("a.jpg", b"one", HEADERS)
    assert not store.create("a.jpg", b"two", HEADERS)
    assert content_of(store, "a.jpg") == b"one"
