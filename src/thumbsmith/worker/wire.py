"""What two processes say to each other: frames of a JSON header and raw bytes, over a socket. Nothing is unpickled.

A frame is the header's length in 4 bytes, big-endian; the header, `{"word": ..., "fields": {...}, "blobs": [lengths]}`;
and the blobs themselves.

How a child reads its source: by asking its parent.
"""

from __future__ import annotations

import json
import socket
import struct
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from time import monotonic
from typing import Any, Final, TypeAlias

LENGTH: Final = struct.Struct("!I")

# The longest header that is read: room for some thousand renditions.
MAX_HEADER: Final = 1 << 20

# Bytes are received in pieces of at most this, so that a length alone makes nobody allocate.
PIECE: Final = 4 << 20


class Closed(Exception):
    """The other side is gone."""


class Garbled(Exception):
    """What the other side said is nothing that it may say."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One thing said."""

    word: str
    fields: Mapping[str, Any]
    blobs: tuple[bytes, ...] = ()


# Judges a frame, without its blobs, and their lengths.
Check: TypeAlias = Callable[[Frame, Sequence[int]], None]


class Channel:
    """One end of a conversation. It waits for the other side for `seconds` in all, whatever happens in between."""

    def __init__(self, end: socket.socket, seconds: float | None = None) -> None:
        self._end = end
        self._left = seconds

    def send(self, word: str, *blobs: bytes, **fields: object) -> None:
        """Say one thing. Raises Closed, or TimeoutError where the other side does not listen."""
        header = json.dumps({"word": word, "fields": fields, "blobs": [len(blob) for blob in blobs]}).encode()
        for piece in (LENGTH.pack(len(header)) + header, *blobs):
            with self._waiting():
                self._end.sendall(piece)

    def receive(self, largest: int, check: Check | None = None) -> Frame:
        """Return the next thing said, its blobs at most `largest` bytes together.

        `check` is given the frame without its blobs, and their lengths, before the first of them is received; it may
        raise Garbled. Raises Closed, Garbled, or TimeoutError where the other side is silent.
        """
        size: int = LENGTH.unpack(self._exactly(LENGTH.size))[0]
        if size > MAX_HEADER:
            raise Garbled(f"a header of {size} bytes")
        word, fields, lengths = _header(self._exactly(size))
        if sum(lengths) > largest:
            raise Garbled(f"{sum(lengths)} bytes, where at most {largest} may come")
        if check:
            check(Frame(word, fields), lengths)
        return Frame(word, fields, tuple(self._exactly(length) for length in lengths))

    def _exactly(self, length: int) -> bytes:
        """Return the next `length` bytes. They are held once: BytesIO returns its own buffer, and grows with them."""
        found = self._some(length) if length else b""
        if len(found) == length:
            return found
        whole = BytesIO()
        whole.write(found)
        while whole.tell() < length:
            whole.write(self._some(length - whole.tell()))
        return whole.getvalue()

    def _some(self, length: int) -> bytes:
        """Return some of the next bytes, at most `length`, with no more than a piece allocated."""
        with self._waiting():
            found = self._end.recv(min(length, PIECE), socket.MSG_WAITALL)
        if not found:
            raise Closed
        return found

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Count the time of what is done within. A connection that breaks is Closed."""
        if self._left is not None and self._left <= 0:
            raise TimeoutError
        self._end.settimeout(self._left)
        started = monotonic()
        try:
            yield
        except TimeoutError:
            raise
        except OSError as broken:
            raise Closed from broken
        finally:
            if self._left is not None:
                self._left -= monotonic() - started


def told(mistake: Exception) -> str:
    """Return one line: what was raised, and where."""
    where = traceback.extract_tb(mistake.__traceback__)[-1]
    what = traceback.format_exception_only(mistake)[-1].strip()
    return f"{what} ({where.filename.rpartition('/')[2]}:{where.lineno})"


def _header(text: bytes) -> tuple[str, Mapping[str, Any], list[int]]:
    """Return word, fields and lengths of the blobs; raise Garbled for text that is no header."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise Garbled("a header that is no JSON") from problem
    match said:
        case {"word": str(word), "fields": dict(fields), "blobs": list(lengths)}:
            if all(type(length) is int and length >= 0 for length in lengths):
                return word, fields, lengths
    raise Garbled("a header of another shape")


# The parent sends this much with the order: enough for the header of nearly every picture.
HEAD: Final = 128 << 10

# The beginning of the source, up to this, is asked for once and kept: probing and decoding read it one after the other.
KEPT: Final = 16 << 20

# One question is for at most this, and what is read onwards is asked for in blocks that double from the first up to it.
LARGEST: Final = 4 << 20
FIRST_BLOCK: Final = 256 << 10


class RemoteReader:
    """A range reader whose bytes come over a channel. It ends the process, by SystemExit, when nobody answers."""

    def __init__(self, channel: Channel, size: int, head: bytes) -> None:
        self._channel = channel
        self._size = size
        self._start = bytearray(head)
        self._block = FIRST_BLOCK
        self._far = (0, b"")  # the last piece from beyond the beginning: its offset, its bytes

    @property
    def size(self) -> int:
        """Return the number of bytes in the whole object."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from `offset`, `length` of them, or fewer where the object ends."""
        end = min(offset + length, self._size)
        if offset <= len(self._start) and end <= KEPT:
            while len(self._start) < end and self._extend(end):
                pass
            return bytes(memoryview(self._start)[offset:end])
        at, piece = self._far
        if not at <= offset <= end <= at + len(piece):
            at, piece = self._far = offset, self._ask(offset, max(end - offset, self._block))
        return piece if at == offset and len(piece) == end - offset else piece[offset - at : end - at]

    def _extend(self, end: int) -> bool:
        """Ask for more of the beginning, at least up to `end`; return whether there was any."""
        more = self._ask(len(self._start), max(end - len(self._start), self._block))
        self._start += more
        self._block = min(self._block * 2, LARGEST)
        return bool(more)

    def _ask(self, offset: int, length: int) -> bytes:
        pieces = []
        end = min(offset + length, self._size)
        while offset < end:
            try:
                self._channel.send("read", offset=offset, length=min(end - offset, LARGEST))
                (piece,) = self._channel.receive(LARGEST).blobs
            except Closed:
                raise SystemExit from None
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)
