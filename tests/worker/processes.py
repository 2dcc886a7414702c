"""Running processes, as Linux reports them, for tests that kill, stop and count them."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def children(parent: int) -> list[int]:
    """Return the processes that `parent` started and has not waited for, with zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(status[1]) == parent:
                found.append(int(entry.name))
    return found


class Watch:
    """The worker processes that were started since it was created, without those of other tests."""

    def __init__(self) -> None:
        self._before = set(children(os.getpid()))

    def templates(self) -> list[int]:
        """Return the templates, with zombies."""
        return [pid for pid in children(os.getpid()) if pid not in self._before]

    def workers(self) -> list[int]:
        """Return the children of the templates, with zombies."""
        return [child for template in self.templates() for child in children(template)]

    def kill_template(self) -> None:
        """Kill a template with SIGKILL."""
        os.kill(self.templates()[0], signal.SIGKILL)

    def kill_worker(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a child."""
        os.kill(self.workers()[0], number)


def alive(pid: int) -> bool:
    """Return whether the process exists, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def descriptors(pid: int | str = "self") -> list[str]:
    """Return the open files of a process."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except OSError:
            continue
    return sorted(found)


def eventually(what: Callable[[], bool]) -> bool:
    """Return whether `what` becomes true within two minutes."""
    deadline = time.monotonic() + 120
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
