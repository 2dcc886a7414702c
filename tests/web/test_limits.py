"""Slow clients, endless requests and many connections: the server closes them and serves the others."""

import contextlib
import socket
import time
from pathlib import Path

import pytest

from tests.web.serving import RunningServer
from thumbsmith.web import app
from thumbsmith.web import server as limits

HOST = b"Host: 127.0.0.1\r\n"

# How long a test waits for what the server does after half a second.
TIMEOUT_SECONDS = 60


def _read_to_end(connection: socket.socket) -> bytes:
    """Return what is received until the server closes the connection. Fail if it does not."""
    connection.settimeout(TIMEOUT_SECONDS)
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received


@pytest.mark.parametrize(
    "begin", [b"", b"GET /ima", b"GET /images HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", b"\r\n\r\n"]
)
def test_an_incomplete_head_times_out(server: RunningServer, monkeypatch: pytest.MonkeyPatch, begin: bytes):
    """A connection that sends nothing, or a head byte by byte, is closed after HEAD_SECONDS."""
    monkeypatch.setattr(limits, "HEAD_SECONDS", 0.5)
    with socket.create_connection(server.address, timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(begin)
        with contextlib.suppress(ConnectionError):
            for _ in range(20):
                time.sleep(0.1)
                connection.sendall(b"a" if begin.strip() else b"\r\n" if begin else b"")
        _read_to_end(connection)


def test_an_incomplete_second_head_times_out(server: RunningServer, monkeypatch: pytest.MonkeyPatch):
    """The same timeout applies after a first request on the connection."""
    monkeypatch.setattr(limits, "HEAD_SECONDS", 0.5)
    with socket.create_connection(server.address, timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"GET /hea")
        assert b"HTTP/1.1" not in _read_to_end(connection)


@pytest.mark.parametrize(("piece_seconds", "body_seconds"), [(0.3, 60), (60, 0.3)])
def test_a_slow_body_is_refused(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, piece_seconds: float, body_seconds: float
):
    """408 if the next piece or the whole body takes too long, and no file remains."""
    monkeypatch.setattr(limits, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(app, "MAX_PIECE_SECONDS", piece_seconds)
    monkeypatch.setattr(app, "MIN_BODY_SECONDS", body_seconds)
    upload = server.request_upload("slow.png", 600).json()["upload"]
    head = f"PUT {upload['url']} HTTP/1.1\r\nContent-Type: image/png\r\nContent-Length: 600\r\n".encode()
    with socket.create_connection(server.address, timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(head + HOST + b"\r\n" + b"x" * 100)
        with contextlib.suppress(ConnectionError):
            for _ in range(30 if body_seconds < 1 else 0):
                connection.sendall(b"x")
                time.sleep(0.05)
        assert _read_to_end(connection).startswith(b"HTTP/1.1 408 ")
    assert not [each for each in server.sources.iterdir() if each.name.startswith((".thumbsmith-", "slow"))]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST,
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 100_000 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X%d: a\r\n" % number for number in range(200)),
    ],
)
def test_a_large_head_is_refused(server: RunningServer, head: bytes):
    """A long path, a long header and many headers get 431 or a closed connection."""
    with socket.create_connection(server.address, timeout=TIMEOUT_SECONDS) as connection:
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(head), 1000):
                connection.sendall(head[start : start + 1000])
                time.sleep(0.001)
        assert _read_to_end(connection)[:13] in {b"HTTP/1.1 431 ", b""}


def test_data_that_is_not_http_is_refused(server: RunningServer):
    """It gets 400 with the security headers."""
    with socket.create_connection(server.address, timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = _read_to_end(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"nosniff" in answer


def test_a_body_after_the_answer_times_out(server: RunningServer, monkeypatch: pytest.MonkeyPatch):
    """A client that was refused but continues to send is disconnected."""
    monkeypatch.setattr(limits, "HEAD_SECONDS", 0.5)
    with socket.create_connection(server.address, timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(b"PUT /uploads/none HTTP/1.1\r\nContent-Length: 9000000000\r\n" + HOST + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")
        with pytest.raises(OSError, match=r"reset|Broken|timed"):
            _send_until(connection, time.monotonic() + TIMEOUT_SECONDS)


def test_a_client_that_does_not_read_is_disconnected(server: RunningServer, monkeypatch: pytest.MonkeyPatch):
    """A client that sends requests and never reads the answers is disconnected."""
    monkeypatch.setattr(limits, "READ_ANSWER_SECONDS", 0.5)
    before = _count_sockets()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(server.address)
        request = b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n"
        with contextlib.suppress(OSError):
            connection.settimeout(2)
            for _ in range(2000):
                connection.sendall(request)
        end = time.monotonic() + TIMEOUT_SECONDS
        while _count_sockets() > before + 1:
            assert time.monotonic() < end
            time.sleep(0.1)


def _count_sockets() -> int:
    """Return the number of open sockets of this process."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += str(each.readlink()).startswith("socket:")
    return found


def _send_until(connection: socket.socket, end: float) -> None:
    while time.monotonic() < end:
        connection.sendall(b"x" * 65536)


def test_the_number_of_connections_is_limited(server: RunningServer, monkeypatch: pytest.MonkeyPatch):
    """Connections above the limit get 503, and new ones are accepted when old ones close."""
    monkeypatch.setattr(limits, "MAX_CONNECTIONS", 20)
    with contextlib.ExitStack() as stack:
        flood = [
            stack.enter_context(socket.create_connection(server.address, timeout=TIMEOUT_SECONDS)) for _ in range(60)
        ]
        end, refused = time.monotonic() + TIMEOUT_SECONDS, set()
        while len(refused) < 40:
            assert time.monotonic() < end
            refused |= {each for each in set(flood) - refused if _read_start(each).startswith(b"HTTP/1.1 503 ")}
    end = time.monotonic() + TIMEOUT_SECONDS
    while server.client.get("/health").status_code != 200:
        assert time.monotonic() < end


def _read_start(connection: socket.socket) -> bytes:
    connection.settimeout(0.05)
    try:
        return connection.recv(100)
    except TimeoutError:
        return b""


def test_idle_connections_of_one_address_are_limited(server: RunningServer, monkeypatch: pytest.MonkeyPatch):
    """One address cannot hold all connections: its oldest idle ones are closed, and the newest ones are served."""
    monkeypatch.setattr(limits, "MAX_IDLE_PER_ADDRESS", 5)
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(12):
            connection = stack.enter_context(socket.create_connection(server.address, timeout=TIMEOUT_SECONDS))
            connection.sendall(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
            connections.append(connection)
        for connection in connections[:6]:
            assert _read_to_end(connection) == b""
        newest = connections[-1]
        newest.sendall(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
        assert newest.recv(65536).startswith(b"HTTP/1.1 200 ")
