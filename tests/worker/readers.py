"""Readers with which a test can act while a child waits for bytes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from thumbsmith.worker.wire import HEAD_BYTES


@dataclass
class Interrupted:
    """A reader over bytes that runs the next of `actions` when a child first requests more than the head."""

    data: bytes
    actions: Iterator[Callable[[], object]]
    asked: list[tuple[int, int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        """Return the slice, after the action if it is the first read behind the head."""
        self.asked.append((offset, length))
        if offset == HEAD_BYTES:
            next(self.actions, lambda: None)()
        return self.data[offset : offset + length]


def interrupted(data: bytes, *actions: Callable[[], object]) -> Interrupted:
    """Return a reader that runs each action once, one for each attempt."""
    assert len(data) > HEAD_BYTES
    return Interrupted(data, iter(actions))
