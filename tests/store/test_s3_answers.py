"""The responses of S3 and their meaning, from a server that sends exactly what a test scripts."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from botocore.retries.quota import RetryQuota
from botocore.retries.standard import ExponentialBackoff

from tests.servers.scripted import Answer, Scripted, error, part
from tests.store.contract import HEADERS
from thumbsmith import Recipe
from thumbsmith.errors import Code, Rejected, SourceChanged, StoreError
from thumbsmith.store import Headers, ObjectInfo, open_store
from thumbsmith.store.memory import MemoryStore
from thumbsmith.store.s3 import FIRST_READ_BYTES, S3Object, S3Store
from thumbsmith.store.s3_common import MAX_ATTEMPTS, modified_seconds
from thumbsmith.web.library import ImageLibrary, Query

BIG = FIRST_READ_BYTES + 10


@pytest.fixture
def store(way: str, script: Scripted) -> S3Store:
    """Return a store whose server sends scripted responses, once for each transport."""
    return open_store("s3://bucket/photos")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the shortest pause before a second attempt, and allow as many as the tests need together."""
    monkeypatch.setattr("random.uniform", lambda shortest, longest: shortest)
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0)
    monkeypatch.setattr(RetryQuota, "acquire", lambda self, amount: True)


def opened(store: S3Store, script: Scripted) -> S3Object:
    """Return a reader over an object that is larger than the first read."""
    script.script(part(b"h" * FIRST_READ_BYTES, f"0-{FIRST_READ_BYTES - 1}/{BIG}"))
    reader = store.open("a.jpg")
    assert reader is not None
    return reader


def listing(*keys: str, token: str | None = None) -> Answer:
    """Return a page of a listing."""
    objects = "".join(
        f'<Contents><Key>{key}</Key><ETag>"e"</ETag><Size>1</Size><LastModified>never</LastModified></Contents>'
        for key in keys
    )
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return Answer(200, f"<ListBucketResult><EncodingType>url</EncodingType>{objects}{more}</ListBucketResult>".encode())


ASK = {
    "head": lambda store: store.head("a.jpg"),
    "open": lambda store: store.open("a.jpg"),
    "put": lambda store: store.put("a.jpg", b"x", HEADERS),
    "delete": lambda store: store.delete("a.jpg"),
    "list": lambda store: list(store.list()),
    "children": lambda store: list(store.children("a.jpg")),
    "reachable": lambda store: store.check_reachable(),
}


@pytest.mark.parametrize(
    ("status", "code", "transient"),
    [
        (503, "SlowDown", True),
        (500, "InternalError", True),
        (429, "TooManyRequests", True),
        (409, "OperationAborted", True),
        (408, "RequestTimeout", True),
        (400, "InvalidArgument", False),
        (401, "Unauthorized", False),
        (403, "AccessDenied", False),
        (405, "MethodNotAllowed", False),
    ],
)
def test_refusals_say_whether_to_try_again(
    store: S3Store, script: Scripted, status: int, code: str, transient: bool
) -> None:
    """A temporary condition is transient, a lasting one is not; every method reports it in one line."""
    script.script(error(status, code, "words\nof the server"))
    for ask in ASK.values():
        with pytest.raises(StoreError, match=r"^s3://bucket/photos/\S*: .*\b" + str(status)) as raised:
            ask(store)
        assert raised.value.transient is transient
        assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (404, "NoSuchBucket", "there is no such bucket"),
        (403, "InvalidAccessKeyId", "check AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", "check AWS_SECRET_ACCESS_KEY"),
        (400, "ExpiredToken", "the credentials have expired"),
        (403, "RequestTimeTooSkewed", "this machine's clock is wrong"),
        (400, "AuthorizationHeaderMalformed", "the bucket is in another region: set AWS_REGION to it"),
    ],
)
def test_errors_say_what_to_do(store: S3Store, script: Scripted, status: int, code: str, sentence: str) -> None:
    """Where a user can act, the error says how; except for HEAD, whose response has no code."""
    script.script(error(status, code))
    for ask in ("open", "put", "delete", "list", "children", "reachable"):
        with pytest.raises(StoreError, match=sentence) as raised:
            ASK[ask](store)
        assert raised.value.transient is False


def test_a_request_that_got_lost_on_the_way_may_be_made_again(store: S3Store, script: Scripted) -> None:
    """Some errors have a status of 400 to 499, but a code that means that a retry may help."""
    for code in ("RequestTimeout", "BadDigest", "IncompleteBody"):
        script.script(error(400, code))
        with pytest.raises(StoreError) as raised:
            store.put("a.jpg", b"x", HEADERS)
        assert raised.value.transient is True


def test_access_denied_says_what_to_grant(store: S3Store, script: Scripted) -> None:
    """A missing permission is named as in a policy; GET and HEAD may be denied only because the object is missing."""
    script.script(error(403, "AccessDenied"))
    for ask, grant in (
        ("head", "grant s3:GetObject, and s3:ListBucket on the bucket"),
        ("open", "grant s3:GetObject, and s3:ListBucket on the bucket"),
        ("put", "grant s3:PutObject"),
        ("delete", "grant s3:DeleteObject"),
        ("list", "grant s3:ListBucket"),
    ):
        with pytest.raises(StoreError, match=f"access denied: {grant}"):
            ASK[ask](store)


def test_failures_that_pass_are_tried_again(store: S3Store, script: Scripted) -> None:
    """A busy server is asked again, a limited number of times."""
    script.script(error(503, "SlowDown"), error(500, "InternalError"), Answer(200, headers={"ETag": '"e"'}))
    assert store.put("a.jpg", b"x", HEADERS) == "e"
    assert len(script.asked) == 3
    script.script(error(503, "SlowDown"))
    with pytest.raises(StoreError):
        store.put("a.jpg", b"x", HEADERS)
    assert len(script.asked) == MAX_ATTEMPTS


def test_an_unreachable_server(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that cannot be reached may be reachable later."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StoreError, match=r"^s3://bucket/a\.jpg: Could not connect") as raised:
        open_store("s3://bucket").head("a.jpg")
    assert raised.value.transient is True


def test_invalid_answers(store: S3Store, script: Scripted) -> None:
    """An invalid response is a transient failure, reported in one line."""
    for body in (b"<html>busy", b"\0"):
        script.script(Answer(200, body))
        with pytest.raises(StoreError, match=r"^s3://bucket/photos/: ") as raised:
            list(store.list())
        assert raised.value.transient is True
        assert str(raised.value).isprintable()


@pytest.mark.parametrize("ask", ["head", "open"])
def test_a_missing_bucket_is_no_missing_object(store: S3Store, script: Scripted, ask: str) -> None:
    """Where the bucket is missing, no object is reported as missing: HEAD cannot tell, so GET is sent too."""
    script.script(error(404, "NoSuchBucket"))
    with pytest.raises(StoreError, match="there is no such bucket"):
        ASK[ask](store)
    script.script(error(404, "NoSuchKey"))
    assert ASK[ask](store) is None


def test_an_object_put_between_two_requests(store: S3Store, script: Scripted) -> None:
    """An object that is put between the two requests of `head` exists."""
    script.script(error(404, "NoSuchKey"), part(b"abc", "0-2/3"))
    assert store.head("a.jpg") == ObjectInfo("a.jpg", "one", 3)


def test_archived_objects_are_rejected(store: S3Store, script: Scripted) -> None:
    """An archived object exists, but cannot be read: it is rejected when it is opened or read on."""
    archived = error(403, "InvalidObjectState", "The operation is not valid for the object's storage class")
    script.script(archived)
    with pytest.raises(Rejected, match="archive") as raised:
        store.open("a.jpg")
    assert raised.value.code is Code.ARCHIVED
    reader = opened(store, script)
    script.script(archived)
    with pytest.raises(Rejected):
        reader.read(FIRST_READ_BYTES, 10)


def test_the_beginning_comes_with_opening(store: S3Store, script: Scripted) -> None:
    """Opening, and reading within the first 128 KiB, is one request; reading behind that is one more."""
    reader = opened(store, script)
    assert reader.read(0, FIRST_READ_BYTES) == b"h" * FIRST_READ_BYTES
    assert reader.read(5, 7) == b"h" * 7
    assert reader.read(BIG, 5) == b""
    assert [(asked.method, asked.path, asked.headers["Range"]) for asked in script.asked] == [
        ("GET", "/bucket/photos/a.jpg", f"bytes=0-{FIRST_READ_BYTES - 1}")
    ]
    script.script(part(b"t" * 10, f"{FIRST_READ_BYTES}-{BIG - 1}/{BIG}"))
    assert reader.read(FIRST_READ_BYTES - 2, 100) == b"hh" + b"t" * 10
    (asked,) = script.asked
    assert (asked.headers["Range"], asked.headers["If-Match"]) == (f"bytes={FIRST_READ_BYTES}-{BIG - 1}", '"one"')


@pytest.mark.parametrize(
    "answer", [error(412, "PreconditionFailed"), error(404, "NoSuchKey"), error(416, "InvalidRange")]
)
def test_another_version_is_never_mixed_in(store: S3Store, script: Scripted, answer: Answer) -> None:
    """An object that was replaced or deleted since it was opened is reported."""
    reader = opened(store, script)
    script.script(answer)
    with pytest.raises(SourceChanged, match=r"^s3://bucket/photos/a\.jpg: replaced or removed while it was read$"):
        reader.read(FIRST_READ_BYTES, 1)
    script.script(error(403, "AccessDenied"))
    with pytest.raises(StoreError, match="access denied"):
        reader.read(FIRST_READ_BYTES, 1)


def test_a_server_without_conditions(store: S3Store, script: Scripted) -> None:
    """Bytes of another version are recognized by its etag, also where the server ignores If-Match."""
    reader = opened(store, script)
    script.script(part(b"n" * 10, f"{FIRST_READ_BYTES}-{BIG - 1}/{BIG}", etag='"two"'))
    with pytest.raises(SourceChanged):
        reader.read(FIRST_READ_BYTES, 10)


def test_a_body_that_breaks_off_is_asked_for_again(store: S3Store, script: Scripted) -> None:
    """Missing bytes are never taken for the end: the range is requested again, a limited number of times."""
    broken, whole = part(b"abcdef", "0-5/6", cut=3), part(b"abcdef", "0-5/6")
    unmeasured = {"ETag": '"one"', "Content-Range": "bytes 0-5/6", "Content-Length": None, "Connection": "close"}
    for first in (broken, Answer(206, b"abc", unmeasured, cut=3)):
        script.script(first, first, whole)
        reader = store.open("a.jpg")
        assert reader is not None
        assert reader.read(0, 10) == b"abcdef"
    script.script(broken)
    with pytest.raises(StoreError, match="5 answers to GET broke off") as raised:
        store.open("a.jpg")
    assert raised.value.transient is True
    assert len(script.asked) == MAX_ATTEMPTS


@pytest.mark.parametrize(
    "answer",
    [
        part(b"abc", "0-2/6"),
        part(b"abcdef", "1-6/7"),
        Answer(206, b"abc", {"ETag": '"one"', "Content-Range": "none"}),
        Answer(200, b"x" * (FIRST_READ_BYTES + 1), {"ETag": '"one"'}),
    ],
)
def test_other_bytes_than_requested(store: S3Store, script: Scripted, answer: Answer) -> None:
    """A response for another range, or a longer one, is not accepted."""
    script.script(answer, part(b"right", "0-4/5"))
    reader = store.open("a.jpg")
    assert reader is not None
    if answer.headers.get("Content-Range") != "none":
        assert reader.read(0, 9) == b"right"


def test_bytes_from_another_place(store: S3Store, script: Scripted) -> None:
    """The right number of bytes from another offset of the object is requested again."""
    reader = opened(store, script)
    script.script(part(b"w" * 10, f"0-9/{BIG}"), part(b"t" * 10, f"{FIRST_READ_BYTES}-{BIG - 1}/{BIG}"))
    assert reader.read(FIRST_READ_BYTES, 10) == b"t" * 10


def test_metadata_that_cannot_be_a_header(store: S3Store, script: Scripted) -> None:
    """Metadata that cannot be a header is reported in one line, and nothing is sent."""
    with pytest.raises(StoreError, match=r"^s3://bucket/photos/a\.jpg: .*Non ascii characters") as raised:
        store.put("a.jpg", b"x", Headers(content_type="image/webp", metadata={"name": "é"}))
    assert (raised.value.transient, str(raised.value).isprintable(), script.asked) == (False, True, [])


def test_servers_without_ranges(store: S3Store, script: Scripted) -> None:
    """A server that sends a small object whole, or an empty one without an error, is accepted."""
    for body in (b"abc", b""):
        script.script(Answer(200, body, {"ETag": '"one"'}))
        reader = store.open("a.jpg")
        assert reader is not None
        assert (reader.info, reader.read(0, 9)) == (ObjectInfo("a.jpg", "one", len(body)), body)


def test_empty_objects(store: S3Store, script: Scripted) -> None:
    """An empty object has no range; a second request confirms that it is empty, as it may have been replaced."""
    no_range, head = error(416, "InvalidRange"), {"ETag": '"one"'}
    script.script(no_range, Answer(200, b"", head))
    reader = store.open("a.jpg")
    assert reader is not None
    assert (reader.info, reader.read(0, 9)) == (ObjectInfo("a.jpg", "one", 0), b"")
    script.script(no_range, Answer(200, b"more", head))
    with pytest.raises(SourceChanged, match="replaced while it was opened"):
        store.open("a.jpg")
    script.script(no_range, error(404, "NoSuchKey"))
    assert store.open("a.jpg") is None


def test_listings_end(store: S3Store, script: Scripted) -> None:
    """Pages are followed to their end; a server whose pages repeat or do not advance is reported."""
    script.script(listing("photos/a", token="1"), listing("photos/b", token="2"), listing("photos/c"))
    assert [info.key for info in store.list()] == ["a", "b", "c"]
    script.script(listing("photos/a", token="1"), listing("photos/b", token="2"), listing("photos/a", token="1"))
    with pytest.raises(StoreError, match="the listing does not advance"):
        list(store.list())
    script.script(Answer(200, b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"))
    with pytest.raises(StoreError, match="the listing does not advance"):
        list(store.list())


def test_no_key_breaks_a_listing(store: S3Store, script: Scripted) -> None:
    """Keys are percent-encoded and decoded once; a key that does not match the prefix is left out."""
    script.script(listing("photos/", "photos/%00%2F+%252B", "PHOTOS/x", "photos/../x", "/photos/x", "photos/b"))
    assert [info.key for info in store.list()] == ["\0/ %2B", "../x", "b"]
    assert "encoding-type=url" in script.asked[0].path


def test_children_are_decided_by_the_key_alone(store: S3Store, script: Scripted) -> None:
    """A server without delimiters lists too much; deeper keys are left out."""
    script.script(listing("photos/a.jpg/x.webp", "photos/a.jpg/y/z.webp"))
    assert [info.key for info in store.children("a.jpg")] == ["a.jpg/x.webp"]
    assert "delimiter=%2F" in script.asked[0].path


def test_etags_are_unchanged(store: S3Store, script: Scripted) -> None:
    """An etag is any text, unchanged except for the quotes; a response without one is an error."""
    for etag in ("d41d8cd98f00b204e9800998ecf8427e-2", "opaque of KMS"):
        script.script(Answer(200, b"", {"ETag": f'"{etag}"'}))
        assert store.put("a.jpg", b"x", HEADERS) == etag
        assert store.head("a.jpg") == ObjectInfo("a.jpg", etag, 0)
        assert store.open("a.jpg").info.etag == etag
    script.script(Answer(200, b""))
    for ask in ("put", "head", "open"):
        with pytest.raises(StoreError, match="answered without an ETag"):
            ASK[ask](store)


def test_headers_of_a_put(store: S3Store, script: Scripted) -> None:
    """The headers of an object are sent with it; the request names its client, and signs the content."""
    script.script(Answer(200, headers={"ETag": '"e"'}))
    store.put("a.jpg", b"abc", HEADERS)
    (asked,) = script.asked
    assert asked.headers["Content-Type"] == "image/webp"
    assert asked.headers["Cache-Control"] == "public, max-age=60"
    assert "thumbsmith" in asked.headers["User-Agent"]
    assert asked.headers["X-Amz-Content-SHA256"].startswith("ba7816bf8f01cfea")


def test_the_owner_is_checked_with_every_request(way: str, script: Scripted) -> None:
    """With ?owner= each request names the account that the bucket must belong to."""
    store = open_store("s3://bucket/photos?owner=123456789012")
    assert (store.prefix, store.url) == ("photos/", "s3://bucket/photos/?owner=123456789012")
    asked = []
    for name, ask in ASK.items():
        script.script(listing() if name in {"list", "children", "reachable"} else Answer(200, b"", {"ETag": '"e"'}))
        ask(store)
        asked += script.asked
    owners = [each.headers.get("x-amz-expected-bucket-owner") for each in asked]
    assert owners == ["123456789012"] * 7


def test_a_requester_says_that_it_pays(way: str, script: Scripted) -> None:
    """With ?payer=requester each request says so, and that of a presigned upload too; without it none does."""
    for address, value in (("s3://bucket/photos?payer=requester", "requester"), ("s3://bucket/photos", None)):
        store, asked = open_store(address), []
        for name, ask in ASK.items():
            script.script(listing() if name in {"list", "children", "reachable"} else Answer(200, b"", {"ETag": '"e"'}))
            ask(store)
            asked += script.asked
        assert [each.headers.get("x-amz-request-payer") for each in asked] == [value] * 7
        upload = store.presigned_put("a.jpg", "image/jpeg", 3, replace=True, seconds=60)
        assert upload.headers.get("x-amz-request-payer") == value
        assert ("x-amz-request-payer" in store.presigned_get("a.jpg", 60)) is (value is not None)


@pytest.mark.parametrize("key", ["", "\ud800", "k" * 1018, "é" * 509])
def test_impossible_keys(store: S3Store, script: Scripted, key: str) -> None:
    """A key that is empty, not UTF-8, or too long with the prefix is missing, and no request is made."""
    script.script(error(500, "InternalError"))
    assert store.head(key) is None
    assert store.open(key) is None
    store.delete(key)
    with pytest.raises(StoreError, match="no object can have this key") as raised:
        store.put(key, b"x", HEADERS)
    assert raised.value.transient is False
    assert script.asked == []


def test_only_s3_itself_is_trusted_to_list_in_order(monkeypatch: pytest.MonkeyPatch):
    """Listings of general buckets at AWS are in order; those of directory buckets and of other servers are not."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert open_store("s3://bucket").lists_in_order
    assert not open_store("s3://bucket--euc1-az1--x-s3").lists_in_order
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert not open_store("s3://bucket").lists_in_order


def test_a_page_of_images_takes_a_page_of_the_listing(
    store: S3Store, script: Scripted, monkeypatch: pytest.MonkeyPatch
):
    """Where S3 lists in order, the listing starts after the cursor, and no more pages are requested than needed."""
    monkeypatch.setattr(S3Store, "lists_in_order", True)
    library = ImageLibrary(store, MemoryStore("thumbs"), Recipe.default(), ThreadPoolExecutor(1))
    script.script(listing("photos/b.jpg", "photos/b/", "photos/c.jpg", "photos/d.jpg", token="more"))
    assert [info.key for info in library.list_sources(Query(), ("a b.jpg",), 2)] == ["b.jpg", "c.jpg"]
    (asked,) = script.asked
    assert "start-after=photos%2Fa%20b.jpg" in asked.path


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2024-03-01T10:00:00.000Z", 1_709_287_200.0),
        ("Fri, 01 Mar 2024 10:00:00 GMT", 1_709_287_200.0),
        (datetime(2024, 3, 1, 10, tzinfo=UTC), 1_709_287_200.0),
        ("2024-99-99", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_the_time_of_an_object_is_read_in_every_form(value, seconds):
    """Listings, headers and botocore write it differently. An invalid or missing time is None."""
    assert modified_seconds({"LastModified": value}) == seconds
