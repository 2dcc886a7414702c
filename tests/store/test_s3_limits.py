"""Servers that are slow, endless or wrong: each request ends within its limits, with one sentence."""

import gzip
import io
import itertools
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.servers.odd import Asked, Odd, head, listing, reply, running
from tests.store.contract import HEADERS
from thumbsmith.errors import StoreError
from thumbsmith.store import Store, open_store, s3_client, s3_common
from thumbsmith.store.s3 import S3Store
from thumbsmith.store.s3_botocore import BotocoreTransport

DATA = b"x" * 1000
SECONDS = 0.2


@pytest.fixture(scope="module")
def server() -> Iterator[Odd]:
    """Return one server for all tests, so that its clients are created once."""
    with running() as server:
        yield server


@pytest.fixture
def odd(server: Odd, monkeypatch: pytest.MonkeyPatch) -> Iterator[Odd]:
    """Return the server with one object, at AWS_ENDPOINT_URL; pauses are short."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
    monkeypatch.setattr("random.uniform", lambda shortest, longest: shortest)
    server.reset()
    server.objects["a.jpg"] = DATA
    yield server
    server.reset()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the time limits, and allow two attempts."""
    for name in ("READ_TIMEOUT_SECONDS", "REQUEST_TIMEOUT_SECONDS"):
        monkeypatch.setattr(s3_common, name, SECONDS)
    monkeypatch.setattr(s3_client, "RETRY_WINDOW_SECONDS", SECONDS)
    monkeypatch.setattr(s3_client, "MAX_ATTEMPTS", 2)


@pytest.fixture
def store(way: str, odd: Odd) -> Store:
    """Return the bucket on that server, once for each transport."""
    return open_store("s3://bucket")


def ask_all(store: Store) -> None:
    """Call every method of a store."""
    list(store.list())
    assert store.head("a.jpg")
    assert store.open("a.jpg")
    store.put("b.jpg", DATA, HEADERS)
    store.delete("b.jpg")


def test_the_server_is_one(store: Store, odd: Odd) -> None:
    """While it answers as S3 does, every method works, and connections are reused."""
    ask_all(store)
    assert {asked.kind for asked in odd.asked} == {"LIST", "HEAD", "GET", "PUT", "DELETE"}
    assert len({id(asked.connection) for asked in odd.asked}) < len(odd.asked)


def forever(piece: bytes, seconds: float = 0.0) -> Callable[[Odd, Asked], None]:
    """Return a handler that sends this repeatedly, until the client closes the connection."""

    def send(odd: Odd, asked: Asked) -> None:
        over = odd.over
        while not over.wait(seconds):
            asked.send(piece)

    return send


def after(beginning: bytes, rest: Callable[[Odd, Asked], None]) -> Callable[[Odd, Asked], None]:
    """Return a handler that sends a beginning, and later the rest."""

    def send(odd: Odd, asked: Asked) -> None:
        asked.send(beginning)
        rest(odd, asked)

    return send


def silence(odd: Odd, asked: Asked) -> None:
    """Send nothing."""
    odd.over.wait()


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = head(200, {"ETag": '"e"', "Transfer-Encoding": "chunked"})
UNMEASURED = head(206, {"ETag": '"e"', "Content-Range": "bytes 0-999/1000"})
REFUSED = head(500, {})
COMPRESSED = {"Content-Encoding": "gzip"}

ODD = {
    "says nothing": silence,
    "a byte now and then, from the first": forever(b"H", 0.05),
    "headers one letter at a time": after(OK, forever(b"a", 0.05)),
    "headers without end": after(OK, forever(b"x-more: " + b"y" * 1000 + b"\r\n")),
    "one header without end": after(OK + b"x-more: ", forever(b"y" * 1000)),
    "100 Continue without end": forever(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "a body now and then": after(head(200, {"ETag": '"e"', "Content-Length": "1000"}), forever(b"x", 0.05)),
    "a body without end": after(UNMEASURED, forever(b"x" * 65536)),
    "chunks without end": after(CHUNKED, forever(b"1000\r\n" + b"x" * 4096 + b"\r\n")),
    "an extension of a chunk without end": after(CHUNKED + b"5;", forever(b"e" * 1000)),
    "a trailer without end": after(CHUNKED + b"0\r\n", forever(b"x-more: y\r\n" * 1000)),
    "a refusal without end": after(REFUSED, forever(b"<Error>" * 1000)),
    "a refusal now and then": after(REFUSED, forever(b"<", 0.05)),
    "no HTTP": lambda _, asked: asked.send(b"\x00\x01garbage\r\n\r\n"),
    "a length that is none": lambda _, asked: asked.send(OK + b"Content-Length: many\r\nConnection: close\r\n\r\n"),
    "a length that is too long": lambda _, asked: asked.send(head(200, {"ETag": '"e"', "Content-Length": "9"}) + b"x"),
    "early hints without end": forever(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 0.01),
    "no content": lambda _, asked: asked.send(head(204, {"ETag": '"e"'})),
    "a page for people": lambda _, asked: asked.send(reply(200, b"<html><body>Log in</body></html>")),
    "XML that is cut off": lambda _, asked: asked.send(reply(200, listing("a")[:-9])),
    "a compressed bomb": lambda _, asked: asked.send(reply(200, gzip.compress(bytes(1 << 24)), **COMPRESSED)),
    "a negative length": lambda _, asked: asked.send(OK + b"Content-Length: -5\r\nConnection: close\r\n\r\n"),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("mode", ODD)
@pytest.mark.parametrize("ask", ["list", "head", "open", "put"])
def test_every_request_ends(store: Store, odd: Odd, mode: str, ask: str) -> None:
    """Every wrong or missing response is one sentence, mostly transient, after few attempts."""

    def oddly(asked: Asked) -> None:
        ODD[mode](odd, asked)
        asked.connection.shutdown(2)

    odd.oddly = oddly
    asks: dict[str, Callable[[], object]] = {
        "list": lambda: list(store.list()),
        "head": lambda: store.head("a.jpg"),
        "open": lambda: store.open("a.jpg"),
        "put": lambda: store.put("a.jpg", DATA, HEADERS),
    }
    if mode == "no content" and ask == "put":
        return  # what was written needs none
    bodiless = mode.startswith(("a body", "chunks", "an extension", "a trailer", "a length", "a negative"))
    if bodiless and ask == "head":
        return  # what has no body, or needs none, is understood without
    with pytest.raises(StoreError) as raised:
        asks[ask]()
    assert str(raised.value).startswith("s3://bucket/")
    assert str(raised.value).isprintable()
    assert len(odd.asked) <= 2 * s3_common.MAX_ATTEMPTS


@pytest.mark.usefixtures("impatient")
def test_no_more_is_read_than_requested(store: Store, odd: Odd) -> None:
    """Of an endless body, about as much is received as the range allows."""
    sent = itertools.count()

    def oddly(asked: Asked) -> None:
        asked.send(UNMEASURED)
        over = odd.over
        while not over.is_set():
            asked.send(b"x" * 65536)
            next(sent)

    odd.oddly = oddly
    with pytest.raises(StoreError, match="longer than requested"):
        store.open("a.jpg")
    kept_by_the_kernel = 16 << 20  # in the buffers of both ends, at most
    assert next(sent) * 65536 < 2 * (kept_by_the_kernel + (1 << 20))


@pytest.mark.usefixtures("impatient")
def test_an_honest_slow_server_is_waited_for(store: Store, odd: Odd) -> None:
    """A server that sends faster than the minimum rate has as much time as it needs."""
    body = listing(*(f"{number:04}" + "k" * 900 for number in range(40)))
    size = s3_common.MIN_BYTES_PER_SECOND // 8

    def oddly(asked: Asked) -> None:
        asked.send(head(200, {"Content-Length": str(len(body))}))
        stream = io.BytesIO(body)
        while piece := stream.read(size):
            asked.send(piece)
            odd.over.wait(1 / 16)

    odd.oddly = oddly
    assert len(list(store.list())) == 40
    assert len(body) / size / 16 > 2 * SECONDS


ENDLESS = {
    "the same token": lambda n: listing(f"{n}", token="t"),
    "tokens in a circle": lambda n: listing(f"{n}", token="ab"[n % 2]),
    "the same keys": lambda n: listing("a", "b", token=f"t{n}"),
    "the same keys in turn": lambda n: listing(*("abc"[n % 3 :] + "abc"[: n % 3]), token=f"t{n}"),
    "no keys": lambda n: listing(token=f"t{n}"),
    "no token": lambda n: b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
}


@pytest.mark.parametrize("mode", ENDLESS)
def test_a_listing_that_does_not_advance(store: Store, odd: Odd, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """It is an error, and not transient, with any tokens."""
    monkeypatch.setattr("thumbsmith.store.s3._MAX_EMPTY_PAGES", 20)
    pages = itertools.count()
    odd.oddly = lambda asked: asked.send(reply(200, ENDLESS[mode](next(pages))))
    with pytest.raises(StoreError, match="the listing does not advance") as raised:
        list(store.list())
    assert raised.value.transient is False


@pytest.mark.usefixtures("way")
def test_keys_outside_of_the_prefix(odd: Odd) -> None:
    """Keys outside of the requested prefix are left out, and so is the prefix itself."""
    odd.oddly = lambda asked: asked.send(reply(200, listing("a.jpg", "x", "x/", "xa.jpg", "y/a.jpg", "x/b.jpg")))
    assert [info.key for info in open_store("s3://bucket/x").list()] == ["b.jpg"]


def test_a_character_set_that_does_not_exist(store: Store, odd: Odd) -> None:
    """A listing that declares another encoding is read as UTF-8, which S3 sends."""
    page = b'<?xml version="1.0" encoding="x-none"?>' + listing("é")
    odd.oddly = lambda asked: asked.send(reply(200, page))
    assert [info.key for info in store.list()] == ["é"]


@pytest.mark.usefixtures("impatient", "odd", "way")
@pytest.mark.parametrize("ask", ["list", "put"])
def test_a_missing_handshake(monkeypatch: pytest.MonkeyPatch, ask: str) -> None:
    """A server that accepts a connection but does not speak TLS has the time limit of a connection."""
    monkeypatch.setattr(s3_common, "CONNECT_TIMEOUT_SECONDS", SECONDS)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://127.0.0.1:{silent.getsockname()[1]}")
        store = open_store("s3://bucket")
        with pytest.raises(StoreError, match=r"Could not connect to https://127\.0\.0\.1") as raised:
            list(store.list()) if ask == "list" else store.put("a.jpg", DATA, HEADERS)
        assert raised.value.transient


@pytest.mark.usefixtures("impatient", "odd", "way")
def test_an_unknown_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one sentence, and transient. RFC 6761 reserves .invalid, so that no such name exists."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3.invalid")
    with pytest.raises(StoreError, match=r"Could not connect to http://s3\.invalid") as raised:
        list(open_store("s3://bucket").list())
    assert raised.value.transient


def test_keys_out_of_order(odd: Odd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listings of S3 itself are in order: another order would mean an endless listing, or one with gaps."""
    store = open_store("s3://bucket")
    odd.oddly = lambda asked: asked.send(reply(200, listing("b", "a")))
    assert [info.key for info in store.list()] == ["b", "a"]
    monkeypatch.setattr(S3Store, "lists_in_order", True)
    with pytest.raises(StoreError, match="the listing does not advance"):
        list(store.list())


@pytest.mark.parametrize("size", ["-5", "9" * 30, "9" * 5000, str(1 << 63), "", "many", "1.5", "+1", "1_0"])
def test_invalid_sizes(store: Store, odd: Odd, size: str) -> None:
    """An impossible number of bytes is one sentence."""
    odd.oddly = lambda asked: asked.send(reply(200, listing("a", size=size)))
    if size in {"+1", "1_0"} and isinstance(store.client.transport, BotocoreTransport):
        return  # botocore takes them for 1 and 10
    with pytest.raises(StoreError, match=r"an invalid answer|an invalid size") as raised:
        list(store.list())
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("etag", ['"a&#10;b"', '"a&#9;b"', '"&#x9b;31m"', '"' + "e" * 2000 + '"', '"é"'])
def test_invalid_etags(store: Store, odd: Odd, etag: str) -> None:
    """An ETag that cannot be in a header is one sentence: it would break files that store a listing."""
    page = listing("a").decode().replace('"e"', etag)
    odd.oddly = lambda asked: asked.send(reply(200, page.encode()))
    with pytest.raises(StoreError, match=r"an invalid ETag") as raised:
        list(store.list())
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_text_of_a_server_is_made_printable(store: Store, odd: Odd, status: int) -> None:
    """Code, message and status line of an error are one printable line of a limited length."""
    body = (
        "<Error><Code>In&#10;val\x85&#x9b;31m</Code><Message>m&#x9b;2J&#x202e;" + "long " * 9000 + "</Message></Error>"
    )
    odd.oddly = lambda asked: asked.send(reply(status, body.encode()))
    with pytest.raises(StoreError) as raised:
        list(store.list())
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1500


def test_bytes_after_a_response_are_no_other_response(store: Store, odd: Odd) -> None:
    """Bytes after the announced length do not become the beginning of the next response."""
    odd.oddly = lambda asked: asked.send(odd.answer(asked) + b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    for _ in range(3):
        store.put("a.jpg", DATA, HEADERS)
        assert store.head("a.jpg").size == len(DATA)


def test_an_answer_of_http_1_0(store: Store, odd: Odd) -> None:
    """It ends with its connection, and the next request uses another one."""

    def oddly(asked: Asked) -> None:
        asked.send(odd.answer(asked).replace(b"HTTP/1.1", b"HTTP/1.0"))
        asked.connection.shutdown(2)

    odd.oddly = oddly
    ask_all(store)


@pytest.mark.parametrize("ask", ["list", "put"])
def test_success_with_an_error_in_it(store: Store, odd: Odd, ask: str) -> None:
    """A status of 200 with an error in the body is no listing, and no object that was written."""
    odd.oddly = lambda asked: asked.send(reply(200, b"<Error><Code>InternalError</Code></Error>"))
    with pytest.raises(StoreError):
        list(store.list()) if ask == "list" else store.put("a.jpg", DATA, HEADERS)


def test_a_redirect_leads_nowhere(store: Store, odd: Odd) -> None:
    """No request is sent to an address that a server names, also where it names itself."""
    odd.oddly = lambda asked: asked.send(reply(307, b"", Location=f"{odd.address}/bucket/other"))
    with pytest.raises(StoreError, match=r"307|redirected"):
        store.put("a.jpg", DATA, HEADERS)
    assert {asked.key for asked in odd.asked} <= {"a.jpg", ""}
    assert len(odd.asked) < 8


def test_compressed_answers_are_not_requested(store: Store, odd: Odd) -> None:
    """No request accepts a compressed response; one that comes is returned as its bytes."""
    ask_all(store)
    assert {asked.headers.get("accept-encoding", "identity") for asked in odd.asked} == {"identity"}


def test_a_checksum_goes_with_an_object(store: Store, odd: Odd) -> None:
    """Buckets that lock their objects require a checksum: CRC-32, as the documentation describes it."""
    store.put("a.jpg", b"123456789", HEADERS)
    assert odd.asked[-1].headers["x-amz-checksum-crc32"] == "y/Q5Jg=="
    assert odd.objects["a.jpg"] == b"123456789"
