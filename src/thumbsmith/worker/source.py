"""How a child reads its source: by asking its parent."""

from __future__ import annotations

from typing import Final

from thumbsmith.worker.wire import Channel, Closed

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
