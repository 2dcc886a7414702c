"""S3 stores over running servers: what a single response cannot show."""

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest

from tests.servers.fixtures import administrator, needs_servers
from tests.store.contract import HEADERS, content_of
from thumbsmith.errors import SourceChanged, StoreError
from thumbsmith.store import Headers, Store, open_store
from thumbsmith.store.s3 import AHEAD_BYTES, FIRST_READ_BYTES, S3Store

pytestmark = needs_servers

MEGABYTES_5 = 5 << 20  # a part of an upload in parts is at least this large


@pytest.fixture
def store(way: str, either_server: str) -> S3Store:
    """Return an empty store on each server, once for each transport."""
    return open_store(f"{either_server}/photos")


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the requests of the block by operation. Both transports end in the same class of http.client."""
    counts: Counter[str] = Counter()
    send = HTTPConnection.putrequest

    def count(connection: HTTPConnection, method: str, url: str, *rest: bool, **more: bool) -> None:
        counts["LIST" if "list-type=2" in url else method] += 1
        send(connection, method, url, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HTTPConnection, "putrequest", count)
        yield counts


def noise(size: int) -> bytes:
    """Return bytes of which no two pieces are equal."""
    return hashlib.shake_256(b"seed").digest(size)


def upload_in_parts(store: S3Store, key: str, *parts: bytes) -> None:
    """Put an object in parts, as tools do with large files."""
    s3, place = administrator(), {"Bucket": store.bucket, "Key": store.prefix + key}
    upload = s3.create_multipart_upload(**place)["UploadId"]
    sent = [
        s3.upload_part(**place, UploadId=upload, PartNumber=number, Body=part)
        for number, part in enumerate(parts, start=1)
    ]
    numbered = [{"PartNumber": number, "ETag": part["ETag"]} for number, part in enumerate(sent, start=1)]
    s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": numbered})


def test_objects_that_were_uploaded_in_parts(store: S3Store) -> None:
    """An etag that is no digest of the content works like any other: for reads, listings and head."""
    data = noise(MEGABYTES_5 + 1000)
    upload_in_parts(store, "a.jpg", data[:MEGABYTES_5], data[MEGABYTES_5:])
    found = store.head("a.jpg")
    assert found is not None
    assert found.etag.endswith("-2")
    assert list(store.list()) == [found]
    assert content_of(store, "a.jpg") == data


def test_versioned_buckets(store: S3Store) -> None:
    """In a versioned bucket only the current version exists; a reader of an earlier one reports the change."""
    administrator().put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"})
    data = noise(FIRST_READ_BYTES + 1000)
    store.put("a.jpg", data, HEADERS)
    reader = store.open("a.jpg")
    assert reader is not None
    assert reader.read(FIRST_READ_BYTES, 10) == data[FIRST_READ_BYTES : FIRST_READ_BYTES + 10]
    store.put("a.jpg", data[::-1], HEADERS)
    with pytest.raises(SourceChanged):
        reader.read(FIRST_READ_BYTES, 10)
    assert content_of(store, "a.jpg") == data[::-1]
    assert [info.key for info in store.list()] == ["a.jpg"]
    store.delete("a.jpg")
    assert (store.head("a.jpg"), store.open("a.jpg"), list(store.list())) == (None, None, [])
    versions = administrator().list_object_versions(Bucket=store.bucket)
    assert (len(versions["Versions"]), len(versions["DeleteMarkers"])) == (2, 1)


def test_locked_buckets(way: str, ministack: str) -> None:
    """In a bucket with Object Lock and a default retention, thumbnails are replaced and deleted as versions."""
    bucket, s3 = f"locked-{secrets.token_hex(6)}", administrator()
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    s3.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    store = open_store(f"s3://{bucket}/thumbs")
    for data in (b"one", b"two"):
        store.put("a.jpg/small.webp", data, HEADERS)
    assert content_of(store, "a.jpg/small.webp") == b"two"
    store.delete("a.jpg/small.webp")
    assert list(store.list()) == []
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 2


@pytest.mark.parametrize("size", [FIRST_READ_BYTES - 1, FIRST_READ_BYTES, FIRST_READ_BYTES + 1, 1_000_000])
def test_requests_of_a_read(store: S3Store, size: int) -> None:
    """Reading a whole object takes one request, and one more if it is larger than the first read."""
    store.put("a.jpg", noise(size), HEADERS)
    with counted() as counts:
        assert content_of(store, "a.jpg") == noise(size)
    assert counts == {"GET": 1 + (size > FIRST_READ_BYTES)}


@pytest.mark.parametrize("size", [0, AHEAD_BYTES, AHEAD_BYTES + 1])
def test_requests_of_a_read_ahead(store: S3Store, size: int) -> None:
    """An object that is read ahead takes one GET, up to 4 MiB; an empty one is found to be empty."""
    store.put("a.jpg", noise(size), HEADERS)
    with counted() as counts:
        reader = store.open_ahead("a.jpg")
        assert reader is not None
        assert reader.read(0, size) == noise(size)
    assert counts["GET"] == 1 + (size > AHEAD_BYTES)
    assert store.open_ahead("b.jpg") is None


def test_requests_of_everything_else(store: S3Store) -> None:
    """Each method makes one request; only a missing and an empty object take two."""
    store.put("a.jpg/small.webp", b"x", HEADERS)
    store.put("a.jpg/empty", b"", HEADERS)
    asked = (
        ({"HEAD": 1}, lambda: store.head("a.jpg/small.webp")),
        ({"HEAD": 1, "GET": 1}, lambda: store.head("b.jpg")),
        ({"GET": 1}, lambda: store.open("b.jpg")),
        ({"GET": 1, "HEAD": 1}, lambda: store.open("a.jpg/empty")),
        ({"PUT": 1}, lambda: store.put("c.jpg", b"x", HEADERS)),
        ({"DELETE": 1}, lambda: store.delete("c.jpg")),
        ({"LIST": 1}, lambda: list(store.list())),
        ({"LIST": 1}, lambda: list(store.children("a.jpg"))),
        ({"LIST": 1}, store.check_reachable),
        ({}, store.sweep),
        ({}, store.as_destination),
    )
    for expected, ask in asked:
        with counted() as counts:
            ask()
        assert counts == expected


@pytest.mark.parametrize("change", ["replace", "delete"])
def test_a_reader_never_mixes_two_versions(store: S3Store, change: str) -> None:
    """An object of any size that was replaced or deleted between two reads is reported."""
    store.put("a.jpg", noise(1_000_000), HEADERS)
    reader = store.open("a.jpg")
    assert reader is not None
    assert reader.read(FIRST_READ_BYTES, 10) == noise(1_000_000)[FIRST_READ_BYTES : FIRST_READ_BYTES + 10]
    if change == "replace":
        store.put("a.jpg", noise(1_000_001)[1:], HEADERS)
    else:
        store.delete("a.jpg")
    for offset in (FIRST_READ_BYTES, 900_000):
        with pytest.raises(SourceChanged, match="replaced or removed while it was read"):
            reader.read(offset, 10)
    assert reader.read(0, 10) == noise(10)


def test_the_same_content_again_is_no_change(store: S3Store) -> None:
    """An object that is put again unchanged keeps its etag, and can be read on."""
    etags = {store.put("a.jpg", noise(FIRST_READ_BYTES + 10), HEADERS)}
    reader = store.open("a.jpg")
    assert reader is not None
    etags.add(store.put("a.jpg", noise(FIRST_READ_BYTES + 10), HEADERS))
    assert len(etags) == 1
    assert reader.read(FIRST_READ_BYTES, 10) == noise(FIRST_READ_BYTES + 10)[FIRST_READ_BYTES:]


def test_pages(way: str, ministack: str) -> None:
    """A listing of many pages contains every object once, in one request for 1,000, also during deletions."""
    store = open_store(f"{ministack}/photos")
    keys = {f"{number % 7}/{'é' * (number % 3)}{number:04}\n+.jpg" for number in range(2_100)}
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: store.put(key, b"", HEADERS), keys))
    with counted() as counts:
        assert sorted(info.key for info in store.list()) == sorted(keys)
    assert counts == {"LIST": 3}
    left = {key for key in keys if key.startswith("6")}
    seen = set()
    for info in store.list():
        seen.add(info.key)
        if info.key not in left and len(seen) < 20:
            store.delete(info.key)
    assert seen >= left


def test_the_longest_keys(way: str, ministack: str) -> None:
    """A key may have 1,024 bytes, and the keys of children too."""
    store = open_store(ministack)
    for key in ("k" * 1024, "é" * 509 + "/small", "k" * 1023 + "/"):
        store.put(key, key.encode(), HEADERS)
        assert content_of(store, key) == key.encode()
        assert key in {info.key for info in store.list()}
        assert {info.key for info in store.children(key.rpartition("/")[0])} == ({key} if "/" in key else set())
    assert list(store.children("k" * 1024)) == []


def test_headers_are_stored_with_an_object(store: S3Store) -> None:
    """Content type, cache control and metadata are sent with the object."""
    headers = Headers(content_type="image/avif", cache_control="no-cache", metadata={"thumbsmith-variant": "small"})
    store.put("a.jpg/small.avif", b"x", headers)
    found = administrator().head_object(Bucket=store.bucket, Key="photos/a.jpg/small.avif")
    assert (found["ContentType"], found["CacheControl"]) == ("image/avif", "no-cache")
    assert found["Metadata"] == {"thumbsmith-variant": "small"}


def test_many_threads(store: S3Store) -> None:
    """One store serves any number of threads."""
    with ThreadPoolExecutor(32) as threads:
        etags = list(threads.map(lambda number: store.put(f"{number}", noise(number), HEADERS), range(1, 100)))
        contents = list(threads.map(lambda number: content_of(store, f"{number}"), range(1, 100)))
    assert len(set(etags)) == 99
    assert contents == [noise(number) for number in range(1, 100)]


def everything(store: Store) -> Iterator[object]:
    """Call every method of a store, one after the other."""
    yield store.check_reachable
    yield lambda: store.head("a.jpg")
    yield lambda: store.open("a.jpg")
    yield lambda: store.put("a.jpg", b"x", HEADERS)
    yield lambda: store.delete("a.jpg")
    yield lambda: list(store.list())
    yield lambda: list(store.children("a.jpg"))


def test_missing_buckets(way: str, either_server: str) -> None:
    """Every method reports a missing bucket, and none creates it."""
    for ask in everything(open_store(f"{either_server}-missing/photos")):
        with pytest.raises(StoreError, match=r"^s3://test-\w+-missing/photos/\S*: there is no such bucket") as raised:
            ask()
        assert raised.value.transient is False


@pytest.mark.parametrize("names", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials(way: str, seaweedfs: str, monkeypatch: pytest.MonkeyPatch, names: str) -> None:
    """A wrong secret is reported with its variable; the response to HEAD says only that access is denied."""
    monkeypatch.setenv(names, "wrong")
    head, *others = list(everything(open_store(seaweedfs)))[1:]
    with pytest.raises(StoreError, match="access denied: grant s3:GetObject, and s3:ListBucket"):
        head()
    for ask in others:
        with pytest.raises(StoreError, match=f"check {names}") as raised:
            ask()
        assert raised.value.transient is False


def test_credentials_without_the_right(way: str, seaweedfs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without any permission in a bucket learns which ones to request."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    for ask in everything(open_store(seaweedfs)):
        with pytest.raises(StoreError, match=r"access denied: grant s3:\w+Object|grant s3:ListBucket") as raised:
            ask()
        assert raised.value.transient is False
