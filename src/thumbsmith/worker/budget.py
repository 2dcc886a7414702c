"""The budget of memory: how many predicted bytes may be in use at once."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

CGROUPS: Final = Path("/sys/fs/cgroup")
MEMBERSHIP: Final = Path("/proc/self/cgroup")


class Budget:
    """Bytes that may be in use at once. Requests are served in order; one larger than the budget runs alone."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._used = 0
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, amount: int) -> Iterator[None]:
        """Wait until `amount` bytes are free, or none are in use, and reserve them for the block."""
        self._wait_for(amount)
        with self._reserved(amount):
            yield

    def try_reserve(self, amount: int) -> AbstractContextManager[None] | None:
        """Reserve `amount` bytes for a block if they are free and no other request waits; else return None."""
        with self._changed:
            if self._waiting or not self._fits(amount):
                return None
            self._used += amount
        return self._reserved(amount)

    @contextmanager
    def _reserved(self, amount: int) -> Iterator[None]:
        try:
            yield
        finally:
            with self._changed:
                self._used -= amount
                self._changed.notify_all()

    def _wait_for(self, amount: int) -> None:
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is ticket and self._fits(amount))
                self._used += amount
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()

    def _fits(self, amount: int) -> bool:
        return self._used == 0 or self._used + amount <= self.total


def default_memory_bytes() -> int:
    """Return half of the memory that this process may use: of the machine, or of its control group if that is less."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *control_group_limits(MEMBERSHIP, CGROUPS)]) // 2


def control_group_limits(membership: Path, root: Path) -> list[int]:
    """Return the memory limits, in bytes, of the control groups that `membership` names and of their parents.

    `membership` is /proc/self/cgroup and `root` where the groups are mounted: memory.max in version 2,
    memory.limit_in_bytes of the memory controller in version 1. See cgroups(7).
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return []
    limits: list[int] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            limits += _limits(root, path, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _limits(root / "memory", path, "memory.limit_in_bytes")
    return limits


def _limits(root: Path, path: str, name: str) -> list[int]:
    """Return the numbers in the files `name`, from the group at `path` up to `root`. "max" is no limit."""
    group = root / path.lstrip("/")
    found = []
    for folder in (group, *group.parents):
        if not folder.is_relative_to(root):
            break
        try:
            text = (folder / name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            found.append(int(text))
    return found
