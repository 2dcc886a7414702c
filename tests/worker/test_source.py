"""A child requests the bytes of its source, seldom and each part once."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thumbsmith.worker.wire import (
    FIRST_BLOCK_BYTES,
    MAX_BLOCK_BYTES,
    MAX_CACHED_BYTES,
    Channel,
    PeerClosed,
    RemoteReader,
)


@contextmanager
def remote(data: bytes, head: int, most: int = MAX_BLOCK_BYTES) -> Iterator[tuple[RemoteReader, list[tuple[int, int]]]]:
    """Give a reader whose bytes another thread sends, and the requests; `most` is the bytes of one answer."""
    ours, theirs = socket.socketpair()
    asked: list[tuple[int, int]] = []
    thread = threading.Thread(target=_answer, args=(Channel(theirs), data, most, asked))
    thread.start()
    try:
        yield RemoteReader(Channel(ours), len(data), data[:head]), asked
    finally:
        ours.close()
        thread.join()
        theirs.close()


def _answer(channel: Channel, data: bytes, most: int, asked: list[tuple[int, int]]) -> None:
    while True:
        try:
            question = channel.receive(0)
            offset, length = question.fields["offset"], question.fields["length"]
            asked.append((offset, length))
            channel.send("bytes", data[offset : offset + min(length, most)])
        except PeerClosed:
            return


@given(
    size=st.integers(0, 3_000_000),
    head=st.integers(0, 200_000),
    most=st.integers(200_000, MAX_BLOCK_BYTES),
    reads=st.lists(st.tuples(st.integers(0, 3_100_000), st.integers(0, 1_000_000)), max_size=8),
)
def test_ranges_are_those_of_the_source(size: int, head: int, most: int, reads: list[tuple[int, int]]):
    """Any ranges, in any order, give the bytes of the source, with answers of any size."""
    data = (b"0123456789abcdefghijk" * (size // 21 + 1))[:size]
    with remote(data, head, most) as (reader, _):
        assert reader.size == size
        for offset, length in reads:
            assert reader.read(offset, length) == data[offset : offset + length]


def test_the_head_is_not_requested():
    """Reads within the head make no request."""
    with remote(bytes(1000), 1000) as (reader, asked):
        assert reader.read(0, 1000) == reader.read(0, 5000) == bytes(1000)
        assert reader.read(1000, 10) == b""
    assert asked == []


def test_reading_onwards_asks_for_growing_blocks_once():
    """Many small reads to the end, and a second read of all, are a few requests, each part once."""
    data = bytes(10 << 20)
    with remote(data, 0) as (reader, asked):
        for _ in range(2):
            assert b"".join(reader.read(offset, 65536) for offset in range(0, len(data), 65536)) == data
    assert [length for _, length in asked[:3]] == [FIRST_BLOCK_BYTES, FIRST_BLOCK_BYTES * 2, FIRST_BLOCK_BYTES * 4]
    assert sum(length for _, length in asked) == len(data)
    assert len(asked) <= 8


def test_a_large_source_is_not_cached_whole():
    """Behind the cached part, bytes come in one block at a time, and are correct."""
    data = bytes(MAX_CACHED_BYTES) + b"the end" * 100_000
    with remote(data, 0) as (reader, asked):
        assert reader.read(MAX_CACHED_BYTES + 7, 7) == b"the end"
        assert reader.read(len(data) - 7, 70) == b"the end"
        assert reader.read(0, len(data)) == data
    assert all(length <= MAX_BLOCK_BYTES for _, length in asked)


def test_missing_bytes_end_the_read():
    """Where the parent sends no bytes, the read returns fewer, and ends."""
    with remote(bytes(1000), 100, most=0) as (reader, asked):
        assert reader.read(0, 1000) == bytes(100)
        assert reader.read(500, 10) == b""
    assert len(asked) == 2


def test_a_closed_channel_ends_the_process():
    """A child whose parent has ended ends too."""
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, pytest.raises(SystemExit):
        RemoteReader(Channel(ours), 10, b"").read(0, 10)
