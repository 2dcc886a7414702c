"""Readers that let a test act while a child waits for bytes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from thumbsmith.worker.wire import HEAD_BYTES


@dataclass
class Interrupted:
    """A reader over bytes that, when a child first asks for more than the head, does the next of `actions`."""

    data: bytes
    actions: Iterator[Callable[[], object]]
    asked: list[tuple[int, int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        """Return the slice, after the action where it is time for one."""
        self.asked.append((offset, length))
        if offset == HEAD_BYTES:
            next(self.actions, lambda: None)()
        return self.data[offset : offset + length]


def interrupted(data: bytes, *actions: Callable[[], object]) -> Interrupted:
    """Return a reader that does each action once, one an attempt."""
    assert len(data) > HEAD_BYTES
    return Interrupted(data, iter(actions))
