"""Frames arrive as they were sent, and everything else is refused."""

import json
import os
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thumbsmith.worker.wire import MAX_HEADER_BYTES, Channel, Frame, PeerClosed, ProtocolError, describe_exception


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give both ends of a connection."""
    left, right = socket.socketpair()
    with left, right:
        yield left, right


def _header(value: object) -> bytes:
    return _framed(json.dumps(value).encode())


def _framed(header: bytes) -> bytes:
    return struct.pack("!I", len(header)) + header


@given(
    kind=st.text(),
    fields=st.dictionaries(
        st.text().filter(lambda name: name not in {"self", "kind"}), st.none() | st.integers() | st.text()
    ),
    blobs=st.lists(st.binary()),
)
def test_frames_arrive_as_sent(kind: str, fields: dict[str, object], blobs: list[bytes]):
    """A frame is received as it was sent, and the next one follows it."""
    left, right = socket.socketpair()
    with left, right:
        Channel(left).send(kind, *blobs, **fields)
        Channel(left).send("next")
        listener = Channel(right)
        assert listener.receive(sum(map(len, blobs))) == Frame(kind, fields, tuple(blobs))
        assert listener.receive(0) == Frame("next", {}, ())


@given(st.binary(max_size=200))
def test_noise_is_a_protocol_error_or_a_closed_peer(noise: bytes):
    """Any bytes give a frame, PeerClosed or ProtocolError, and nothing else."""
    left, right = socket.socketpair()
    with right:
        left.sendall(noise)
        left.close()
        with pytest.raises((PeerClosed, ProtocolError)):
            Channel(right).receive(1 << 20)


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack("!I", MAX_HEADER_BYTES + 1),
        _framed(b"{"),
        _framed(b"\xff\xff"),
        _framed(b"[" * 200_000),
        _framed(b"1" * 5000),
        _header([]),
        _header({"kind": "read", "fields": {}}),
        _header({"kind": 1, "fields": {}, "blobs": []}),
        _header({"kind": "read", "fields": [], "blobs": []}),
        _header({"kind": "read", "fields": {}, "blobs": [-1]}),
        _header({"kind": "read", "fields": {}, "blobs": [True]}),
        _header({"kind": "read", "fields": {}, "blobs": [1.0]}),
        _header({"kind": "read", "fields": {}, "blobs": [60, 41]}),
        _header({"kind": "read", "fields": {}, "blobs": [1 << 80]}),
    ],
)
def test_an_invalid_header_is_a_protocol_error(ends: tuple[socket.socket, socket.socket], sent: bytes):
    """Too long, no JSON, too deep, of another shape, announcing too much: refused before a blob is read."""
    left, right = ends
    left.setblocking(False)
    left.send(sent)
    left.close()
    with pytest.raises(ProtocolError):
        Channel(right).receive(100)


def test_an_incomplete_blob_is_a_closed_peer(ends: tuple[socket.socket, socket.socket]):
    """Announced bytes that do not come mean that the peer has closed."""
    left, right = ends
    left.sendall(_header({"kind": "made", "fields": {}, "blobs": [10]}) + b"12345")
    left.close()
    with pytest.raises(PeerClosed):
        Channel(right).receive(100)


def test_sending_to_a_closed_peer(ends: tuple[socket.socket, socket.socket]):
    """Sending to a closed peer raises PeerClosed."""
    left, right = ends
    left.close()
    with pytest.raises(PeerClosed):
        Channel(right).send("go")


def test_silence_ends_in_a_timeout(ends: tuple[socket.socket, socket.socket]):
    """Waiting for a silent peer ends by TimeoutError, and afterwards no time is left."""
    _, right = ends
    channel = Channel(right, seconds=0.05)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            channel.receive(0)


def test_slow_bytes_do_not_renew_the_timeout(ends: tuple[socket.socket, socket.socket]):
    """The time is for all waiting together: a peer that sends a little each time uses it up too."""
    left, right = ends
    channel = Channel(right, seconds=0.3)
    heard = 0
    with pytest.raises(TimeoutError):  # noqa: PT012 - which of them raises is the other side's choice
        while heard < 100_000:
            Channel(left).send("read", bytes(1000))
            channel.receive(1000)
            heard += 1
            os.sched_yield()
    assert heard > 0


def test_a_full_connection_ends_in_a_timeout(ends: tuple[socket.socket, socket.socket]):
    """Sending to a peer that does not read ends by TimeoutError."""
    _, right = ends
    with pytest.raises(TimeoutError):
        Channel(right, seconds=0.05).send("bytes", bytes(16 << 20))


def test_an_exception_is_described_in_one_line():
    """The exception, and the file and line that raised it; no path."""
    try:
        json.loads("{")
    except ValueError as mistake:
        line = describe_exception(mistake)
    assert line.startswith("json.decoder.JSONDecodeError: Expecting property name")
    assert line.endswith(")")
    assert "(decoder.py:" in line
    assert "\n" not in line
