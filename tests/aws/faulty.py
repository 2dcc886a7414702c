"""Stores in memory that fail for keys that a test names."""

from collections.abc import Callable
from dataclasses import dataclass, field

from thumbsmith.store.memory import MemoryObject, MemoryStore


@dataclass(frozen=True, slots=True)
class Faulty(MemoryStore):
    """A store that calls `faults[key]` before it reads a key."""

    faults: dict[str, Callable[[], object]] = field(default_factory=dict)

    def open(self, key: str) -> MemoryObject | None:
        """Return the object as it is now, or None."""
        self.faults.get(key, int)()
        return MemoryStore.open(self, key)


def raising(error: Exception) -> Callable[[], object]:
    """Return a function that raises this error."""

    def fail() -> None:
        raise error

    return fail
