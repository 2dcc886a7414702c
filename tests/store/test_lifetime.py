"""Requests that are ended from another thread: no byte of them is sent afterwards."""

import contextlib
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.odd import Asked, Odd, running
from tests.store.contract import HEADERS
from thumbsmith.errors import Stopped, ThumbsmithError
from thumbsmith.lifetime import Lifetime, lifetime
from thumbsmith.store import Store, open_store
from thumbsmith.store.s3_socket import SEND_BYTES, Exchange, LimitedSocket, open_connection, start_tls


class TooLate(ThumbsmithError):
    """The error of a lifetime of these tests."""


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Odd]:
    """Return a server at AWS_ENDPOINT_URL."""
    with running() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        yield server


@pytest.fixture
def store(way: str, odd: Odd) -> Store:
    """Return the bucket on that server, once for each transport."""
    return open_store("s3://bucket")


@contextlib.contextmanager
def listener() -> Iterator[socket.socket]:
    """Run a server that accepts connections and reads nothing; its buffer is small."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


def begun(
    server: socket.socket, requests: Lifetime, tls: ssl.SSLContext | None = None
) -> tuple[LimitedSocket, socket.socket]:
    """Return a connection over which a request has begun, and the server's end of it."""
    accepted: list[socket.socket] = []

    def accept() -> None:
        connection, _ = server.accept()
        accepted.append(tls.wrap_socket(connection, server_side=True) if tls else connection)

    thread = threading.Thread(target=accept)
    thread.start()
    with requests.applied():
        exchange = Exchange()
    host, port = server.getsockname()
    connection = open_connection(host, port, exchange)
    if tls:
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        connection = start_tls(connection, host, trusting, exchange)
    line = LimitedSocket(connection)
    line.begin(exchange)
    thread.join()
    return line, accepted[0]


def received(connection: socket.socket) -> bytes:
    """Return all bytes until the other side closes the connection or breaks it."""
    pieces = []
    with contextlib.suppress(OSError):
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
    return b"".join(pieces)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Return the TLS settings of a server with its own certificate."""
    folder: Path = tmp_path_factory.mktemp("tls")
    server_text = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=test -keyout key.pem -out cert.pem"
    subprocess.run(server_text.split(), cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_a_body_is_sent_at_once() -> None:
    """The body of a PUT does not wait until the server has acknowledged the head."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        with open_connection(host, port, Exchange()) as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("secure", [False, True])
def test_a_thread_that_is_about_to_send_sends_nothing(secure: bool, tls: ssl.SSLContext) -> None:
    """The thread is stopped right before it sends, and the requests are ended: later nothing arrives."""
    requests = Lifetime(why=TooLate)
    with listener() as server:
        line, other = begun(server, requests, tls if secure else None)
        line.sendall(b"PUT")
        requests.end()
        with pytest.raises(TooLate):
            line.sendall(b"the rest")
        with pytest.raises(TooLate):
            line.receive(bytearray(10))
        line.close()
        with other:
            assert received(other) in {b"PUT", b""}


def test_bytes_in_the_kernel_are_dropped() -> None:
    """A body that the kernel has not sent yet is not sent when the server reads again."""
    requests, body = Lifetime(why=TooLate), b"x" * (32 << 20)
    with listener() as server:
        line, other = begun(server, requests)
        raised: list[Exception] = []

        def send() -> None:
            try:
                line.sendall(body)
            except TooLate as error:
                raised.append(error)

        assert line.exchange
        exchange, sending = line.exchange, threading.Thread(target=send)
        sending.start()
        while exchange.moved < 2 * SEND_BYTES:
            time.sleep(0.01)
        requests.end()
        sending.join()
        assert raised
        with other:
            assert len(received(other)) < exchange.moved
        line.close()


def test_the_descriptor_is_not_reused(odd: Odd) -> None:
    """Until the thread releases the connection, no other file gets the descriptor that it may still write to."""
    requests = Lifetime(why=TooLate)
    with listener() as server:
        line, other = begun(server, requests)
        number = line.fileno()
        requests.end()
        assert os.path.samestat(os.fstat(number), os.stat(os.devnull))  # noqa: PTH116 - a descriptor beside it
        line.close()
        other.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)


@pytest.mark.parametrize("kind", ["LIST", "GET", "HEAD", "PUT", "DELETE"])
def test_a_request_that_waits_is_ended(store: Store, odd: Odd, kind: str) -> None:
    """Its thread gets the reason and makes no other attempt, and the server sees the connection end."""
    came, gone = threading.Event(), threading.Event()

    def oddly(asked: Asked) -> object:
        if asked.kind != kind:
            return False
        came.set()
        received(asked.connection)
        gone.set()
        return True

    odd.oddly = oddly
    asks = {
        "LIST": lambda: list(store.list()),
        "GET": lambda: store.open("a"),
        "HEAD": lambda: store.head("a"),
        "PUT": lambda: store.put("a", b"x", HEADERS),
        "DELETE": lambda: store.delete("a"),
    }
    requests, raised = Lifetime(why=TooLate), []

    def ask() -> None:
        try:
            with requests.applied():
                asks[kind]()
        except TooLate as error:
            raised.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert came.wait(60)
    requests.end()
    thread.join(60)
    assert raised
    assert gone.wait(60)
    assert [asked.kind for asked in odd.asked] == [kind]


def test_nothing_begins_after_the_end(store: Store, odd: Odd) -> None:
    """After the end of the lifetime no request is made; outside of the block requests continue."""
    for over in (Lifetime(0.0), Lifetime()):
        over.end()
        with over.applied(), pytest.raises(Stopped):
            store.put("a", b"x", HEADERS)
        assert over.left == 0
    assert not odd.asked
    assert lifetime().left > 0
    store.put("a", b"x", HEADERS)


def test_no_attempt_is_made_after_the_end(store: Store, odd: Odd) -> None:
    """A transient failure is not retried any longer."""
    requests = Lifetime()

    def oddly(asked: Asked) -> None:
        requests.end()
        asked.connection.close()

    odd.oddly = oddly
    with requests.applied(), pytest.raises(Stopped):
        store.put("a", b"x", HEADERS)
    assert len(odd.asked) == 1


def test_a_lifetime_ends_with_its_outer_one(store: Store, odd: Odd) -> None:
    """The end of the outer lifetime ends requests of the inner one, with the error of the inner one."""
    outer = Lifetime()
    inner = Lifetime(why=lambda: TooLate("too late"), outer=outer)
    odd.oddly = lambda asked: outer.end() or odd.over.wait()
    with inner.applied(), pytest.raises(TooLate):
        store.put("a", b"x", HEADERS)
    late = Lifetime(outer=outer)
    assert (inner.left, late.left) == (0, 0)


def test_an_inner_lifetime_does_not_end_its_outer_one() -> None:
    """The outer lifetime continues after the end of the inner one."""
    outer = Lifetime()
    Lifetime(outer=outer).end()
    assert outer.left > 0
