"""Messages between two processes over a socket, and a reader that requests the bytes of a source over it.

A message, called frame, is: the length of its header in 4 bytes, big-endian; the header, in JSON `{"kind": ...,
"fields": {...}, "blobs": [lengths]}`; and the blobs themselves. Nothing is unpickled.
"""

from __future__ import annotations

import json
import socket
import struct
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from time import monotonic
from typing import Any, Final, TypeAlias, TypeVar

T = TypeVar("T")

HEADER_LENGTH: Final = struct.Struct("!I")

# Enough for a thousand renditions.
MAX_HEADER_BYTES: Final = 1 << 20

# Blobs of at most this size together are sent in one piece with their header, so that the other process wakes up once.
JOINED_BYTES: Final = 256 << 10

# Bytes are received in pieces of at most this size, so that an announced length alone allocates nothing.
RECEIVE_BYTES: Final = 4 << 20

# What a parent requests from a template, in one byte: to prepare for the recipe in a frame that follows; to fork a
# child, with the socket to it.
PREPARE: Final = b"="
FORK: Final = b"+"

# The parent sends this much with the job: enough for the header of nearly every picture.
HEAD_BYTES: Final = 128 << 10

# The beginning of the source, up to this, is requested once and cached: probe and decoder both read it.
MAX_CACHED_BYTES: Final = 16 << 20

# Sequential reads request blocks that double from the first size to the largest one.
FIRST_BLOCK_BYTES: Final = 256 << 10
MAX_BLOCK_BYTES: Final = 4 << 20


class PeerClosed(Exception):
    """The other process has closed the connection or ended."""


class ProtocolError(Exception):
    """The other process sent something that it may not send."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message."""

    kind: str
    fields: Mapping[str, Any]
    blobs: tuple[bytes, ...] = ()


# Checks a frame, still without its blobs, and the lengths of the blobs.
Check: TypeAlias = Callable[[Frame, Sequence[int]], None]


class Channel:
    """One end of a connection. All waiting for the other process together takes at most `seconds`."""

    def __init__(self, end: socket.socket, seconds: float | None = None) -> None:
        self._end = end
        self._seconds_left = seconds

    def send(self, kind: str, *blobs: bytes, **fields: object) -> None:
        """Send one message. Raises PeerClosed, or TimeoutError where the other process does not read."""
        header = json.dumps({"kind": kind, "fields": fields, "blobs": [len(blob) for blob in blobs]}).encode()
        start = HEADER_LENGTH.pack(len(header)) + header
        if sum(map(len, blobs)) <= JOINED_BYTES:
            self._timed(self._end.sendall, b"".join((start, *blobs)))
            return
        for piece in (start, *blobs):
            self._timed(self._end.sendall, piece)

    def receive(self, max_bytes: int, check: Check | None = None) -> Frame:
        """Return the next message, its blobs at most `max_bytes` together.

        `check` is called before the first blob is received; it may raise ProtocolError. Raises PeerClosed,
        ProtocolError, or TimeoutError where the other process sends nothing.
        """
        size: int = HEADER_LENGTH.unpack(self._receive_exactly(HEADER_LENGTH.size))[0]
        if size > MAX_HEADER_BYTES:
            raise ProtocolError(f"a header of {size} bytes")
        kind, fields, lengths = _parse_header(self._receive_exactly(size))
        if sum(lengths) > max_bytes:
            raise ProtocolError(f"{sum(lengths)} bytes, where at most {max_bytes} may come")
        if check:
            check(Frame(kind, fields), lengths)
        return Frame(kind, fields, tuple(self._receive_exactly(length) for length in lengths))

    def _receive_exactly(self, length: int) -> bytes:
        """Return the next `length` bytes. One copy is in memory: BytesIO grows with them and returns its buffer."""
        found = self._receive_some(length) if length else b""
        if len(found) == length:
            return found
        whole = BytesIO()
        whole.write(found)
        while whole.tell() < length:
            whole.write(self._receive_some(length - whole.tell()))
        return whole.getvalue()

    def _receive_some(self, length: int) -> bytes:
        found = self._timed(self._end.recv, min(length, RECEIVE_BYTES), socket.MSG_WAITALL)
        if not found:
            raise PeerClosed
        return found

    def _timed(self, operation: Callable[..., T], *arguments: object) -> T:
        """Return the result of an operation of the socket. Raises PeerClosed for a connection that breaks."""
        if self._seconds_left is not None and self._seconds_left <= 0:
            raise TimeoutError
        self._end.settimeout(self._seconds_left)
        started = monotonic()
        try:
            return operation(*arguments)
        except TimeoutError:
            raise
        except OSError as broken:
            raise PeerClosed from broken
        finally:
            if self._seconds_left is not None:
                self._seconds_left -= monotonic() - started


class RemoteReader:
    """A range reader whose bytes come over a channel. It raises SystemExit when the channel is closed."""

    def __init__(self, channel: Channel, size: int, head: bytes) -> None:
        self._channel = channel
        self._size = size
        self._start = head
        self._block_bytes = FIRST_BLOCK_BYTES
        self._last_block = (0, b"")  # the offset and the bytes of the last block behind the cached beginning

    @property
    def size(self) -> int:
        """Return the number of bytes in the whole object."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from `offset`, `length` of them, or fewer where the object ends."""
        end = min(offset + length, self._size)
        if offset <= len(self._start) and end <= MAX_CACHED_BYTES:
            while len(self._start) < end and self._extend_start(end):
                pass
            return self._start[offset:end]  # no copy of the whole
        at, block = self._last_block
        if not at <= offset <= end <= at + len(block):
            at, block = self._last_block = offset, self._request(offset, max(end - offset, self._block_bytes))
        return block if at == offset and len(block) == end - offset else block[offset - at : end - at]

    def _extend_start(self, end: int) -> bool:
        """Request more of the beginning, at least up to `end`; return whether any came."""
        more = self._request(len(self._start), max(end - len(self._start), self._block_bytes))
        self._start += more
        self._block_bytes = min(self._block_bytes * 2, MAX_BLOCK_BYTES)
        return bool(more)

    def _request(self, offset: int, length: int) -> bytes:
        pieces = []
        end = min(offset + length, self._size)
        while offset < end:
            try:
                self._channel.send("read", offset=offset, length=min(end - offset, MAX_BLOCK_BYTES))
                (piece,) = self._channel.receive(MAX_BLOCK_BYTES).blobs
            except PeerClosed:
                raise SystemExit from None
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)


def describe_exception(error: Exception) -> str:
    """Return one line: what was raised, and in which line of which file."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    what = traceback.format_exception_only(error)[-1].strip()
    return f"{what} ({where.filename.rpartition('/')[2]}:{where.lineno})"


def _parse_header(text: bytes) -> tuple[str, Mapping[str, Any], list[int]]:
    """Return kind, fields and lengths of the blobs. Raises ProtocolError."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ProtocolError("a header that is no JSON") from problem
    match header:
        case {"kind": str(kind), "fields": dict(fields), "blobs": list(lengths)}:
            if all(type(length) is int and length >= 0 for length in lengths):
                return kind, fields, lengths
    raise ProtocolError("a header of another shape")
