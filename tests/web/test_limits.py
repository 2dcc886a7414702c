"""Slow, endless and many clients: each is ended, and none keeps others out."""

import contextlib
import socket
import time
from pathlib import Path

import pytest

from tests.web.serving import Served
from thumbsmith.web import app
from thumbsmith.web import server as bounds

HOST = b"Host: 127.0.0.1\r\n"

# How long a test waits for what the server does after half a second.
SECONDS = 60


def _ended(connection: socket.socket) -> bytes:
    """Return what came until the server ended the connection; fail where it does not."""
    connection.settimeout(SECONDS)
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received


@pytest.mark.parametrize(
    "begin", [b"", b"GET /ima", b"GET /images HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", b"\r\n\r\n"]
)
def test_a_head_that_does_not_come_is_not_waited_for(server: Served, monkeypatch: pytest.MonkeyPatch, begin: bytes):
    """A connection that sends nothing, or a byte of a head now and then, is closed after the time for heads."""
    monkeypatch.setattr(bounds, "HEAD_SECONDS", 0.5)
    with socket.create_connection(server.address, timeout=SECONDS) as connection:
        connection.sendall(begin)
        with contextlib.suppress(ConnectionError):
            for _ in range(20):
                time.sleep(0.1)
                connection.sendall(b"a" if begin.strip() else b"\r\n" if begin else b"")
        _ended(connection)


def test_a_second_head_that_does_not_come_is_not_waited_for(server: Served, monkeypatch: pytest.MonkeyPatch):
    """The same on a connection that was good for one request."""
    monkeypatch.setattr(bounds, "HEAD_SECONDS", 0.5)
    with socket.create_connection(server.address, timeout=SECONDS) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"GET /hea")
        assert b"HTTP/1.1" not in _ended(connection)


@pytest.mark.parametrize(("piece_seconds", "body_seconds"), [(0.3, 60), (60, 0.3)])
def test_a_body_that_comes_too_slowly_is_refused(
    server: Served, monkeypatch: pytest.MonkeyPatch, piece_seconds: float, body_seconds: float
):
    """408 where the next piece does not come, and where pieces come but all of them take too long; nothing is left."""
    monkeypatch.setattr(bounds, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(app, "MAX_PIECE_SECONDS", piece_seconds)
    monkeypatch.setattr(app, "MIN_BODY_SECONDS", body_seconds)
    upload = server.grant("slow.png", 600).json()["upload"]
    head = f"PUT {upload['url']} HTTP/1.1\r\nContent-Type: image/png\r\nContent-Length: 600\r\n".encode()
    with socket.create_connection(server.address, timeout=SECONDS) as connection:
        connection.sendall(head + HOST + b"\r\n" + b"x" * 100)
        with contextlib.suppress(ConnectionError):
            for _ in range(30 if body_seconds < 1 else 0):
                connection.sendall(b"x")
                time.sleep(0.05)
        assert _ended(connection).startswith(b"HTTP/1.1 408 ")
    assert not [each for each in server.sources.iterdir() if each.name.startswith((".thumbsmith-", "slow"))]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST,
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 100_000 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X%d: a\r\n" % number for number in range(200)),
    ],
)
def test_a_head_without_end_is_refused(server: Served, head: bytes):
    """A long path, a long header, many headers: 431 at once or an end, and the rest is not read."""
    with socket.create_connection(server.address, timeout=SECONDS) as connection:
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(head), 1000):
                connection.sendall(head[start : start + 1000])
                time.sleep(0.001)
        assert _ended(connection)[:13] in {b"HTTP/1.1 431 ", b""}


def test_what_is_no_http_is_refused(server: Served):
    """400 as a problem, hardened as every answer."""
    with socket.create_connection(server.address, timeout=SECONDS) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = _ended(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"nosniff" in answer


def test_a_body_after_the_answer_is_not_read_for_ever(server: Served, monkeypatch: pytest.MonkeyPatch):
    """Who was refused and goes on sending is cut off after a while, and nothing of it is kept."""
    monkeypatch.setattr(bounds, "HEAD_SECONDS", 0.5)
    with socket.create_connection(server.address, timeout=SECONDS) as connection:
        connection.sendall(b"PUT /uploads/none HTTP/1.1\r\nContent-Length: 9000000000\r\n" + HOST + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")
        with pytest.raises(OSError, match=r"reset|Broken|timed"):
            _send_until(connection, time.monotonic() + SECONDS)


def test_who_does_not_take_an_answer_is_cut_off(server: Served, monkeypatch: pytest.MonkeyPatch):
    """A client that asks and never reads is closed, with what it did not take."""
    monkeypatch.setattr(bounds, "READ_ANSWER_SECONDS", 0.5)
    before = _connections()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(server.address)
        request = b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n"
        with contextlib.suppress(OSError):
            connection.settimeout(2)
            for _ in range(2000):
                connection.sendall(request)
        end = time.monotonic() + SECONDS
        while _connections() > before + 1:
            assert time.monotonic() < end
            time.sleep(0.1)


def _connections() -> int:
    """Return how many sockets this process has open."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += str(each.readlink()).startswith("socket:")
    return found


def _send_until(connection: socket.socket, end: float) -> None:
    while time.monotonic() < end:
        connection.sendall(b"x" * 65536)


def test_a_flood_of_connections_is_bounded(server: Served, monkeypatch: pytest.MonkeyPatch):
    """One connection too many is told so; those that there are go on; when they end there is room again."""
    monkeypatch.setattr(bounds, "MAX_CONNECTIONS", 20)
    with contextlib.ExitStack() as stack:
        flood = [stack.enter_context(socket.create_connection(server.address, timeout=SECONDS)) for _ in range(60)]
        end, refused = time.monotonic() + SECONDS, set()
        while len(refused) < 40:
            assert time.monotonic() < end
            refused |= {each for each in set(flood) - refused if _first(each).startswith(b"HTTP/1.1 503 ")}
    end = time.monotonic() + SECONDS
    while server.client.get("/health").status_code != 200:
        assert time.monotonic() < end


def _first(connection: socket.socket) -> bytes:
    connection.settimeout(0.05)
    try:
        return connection.recv(100)
    except TimeoutError:
        return b""
