"""The parent's handles of its processes: a template, and the child that the template has forked."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from thumbsmith.errors import WorkerError
from thumbsmith.recipe import Recipe
from thumbsmith.worker.launch import Launched
from thumbsmith.worker.usage import (
    LIFETIME_CPU_SECONDS,
    MAX_GROWTH_BYTES,
    MAX_SOURCES,
    Usage,
    allow_cpu_seconds,
    read_cpu_seconds,
    read_usage,
)
from thumbsmith.worker.wire import FORK, PREPARE, Channel, Frame, PeerClosed

# A child after its last message, and a template whose child has ended, take milliseconds to report it.
GRACE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Setup:
    """What a child is made for: a recipe, the bytes of memory that it may take, and whether it handles many sources.

    `extras` are those whose packages are loaded before it is forked.
    """

    recipe: Recipe
    ceiling: int | None
    shared: bool
    extras: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ChildExit:
    """How a child ended, as the kernel reported it: wait status, CPU seconds, and peak resident bytes."""

    status: int
    cpu_seconds: float
    peak_memory: int


@dataclass(slots=True)
class Child:
    """A forked process, and the socket `end` to it.

    `handled` counts the sources that it has handled without any doubt. `first_memory` is its resident bytes after the
    first of them, `cpu_before` the CPU seconds that it had used before the current one.
    """

    end: socket.socket
    setup: Setup
    pid: int = 0
    handled: int = 0
    first_memory: int = 0
    cpu_before: float = 0.0

    def renew(self) -> bool:
        """Set the CPU limit for another source; return whether the system allows it."""
        used = read_cpu_seconds(self.pid)
        self.cpu_before = used or 0.0
        return used is not None and allow_cpu_seconds(self.pid, self.setup.recipe.limits.max_cpu_seconds)

    def count(self, used: Usage) -> bool:
        """Count a source that was handled; return whether the child may handle another one."""
        self.handled += 1
        self.first_memory = self.first_memory or used.memory
        is_worn = self.handled >= MAX_SOURCES or used.cpu_seconds >= LIFETIME_CPU_SECONDS
        has_grown = used.memory > self.first_memory + MAX_GROWTH_BYTES
        was_slow = used.cpu_seconds - self.cpu_before > self.setup.recipe.limits.max_cpu_seconds
        return not (is_worn or has_grown or was_slow)


class Template:
    """A process that forks children, one at a time, and its whole process group."""

    def __init__(self, launched: Launched | None = None) -> None:
        """Use the process that was launched, or launch one. Raises WorkerError where none can be started."""
        launched = launched or Launched()
        self._control, self._process = launched.control, launched.process
        self._kill_lock = threading.Lock()
        self._killed = False
        self._layers: dict[str, bool] | None = None
        self._setup: Setup | None = None
        self._child: Child | None = None
        self.busy = False

    @property
    def pid(self) -> int:
        """Return the process id, which is the process group's too."""
        return self._process.pid

    def child(self, setup: Setup, *, fresh: bool = False) -> Child:
        """Return a child for one source: the one that was kept, or a new one.

        It is a new one where `fresh` is set, none was kept, or the kept one was made for another setup. Raises as
        `fork_child` and `end_child` do. The template is `busy` until its child is kept or has ended.
        """
        kept, self.busy = self._child, True
        if kept and (fresh or kept.setup != setup or not kept.renew()):
            self.end_child()
        self._child = self._child or self.fork_child(setup)
        self.busy = True
        return self._child

    def keep_child(self) -> Usage | None:
        """Keep the child for another source; return what it has used until now.

        Returns None where it must end: its setup is for one source, it has handled enough, or the system reports
        nothing about it.
        """
        child = self._child
        if not child or not child.setup.shared:
            return None
        if not child.pid:
            self.layers()  # comes first
            child.pid = self._receive().fields["pid"]
        used = read_usage(child.pid)
        if used is None or not child.count(used):
            return None
        self.busy = False
        return used

    def fork_child(self, setup: Setup) -> Child:
        """Have a child forked; return it.

        Raises PeerClosed when the template has ended, WorkerError where it could not start or no socket can be opened.
        """
        try:
            ours, theirs = socket.socketpair()
        except OSError as problem:
            raise WorkerError(f"no worker process can be reached: {problem}") from problem
        self.busy = True
        with theirs:
            try:
                if setup != self._setup:
                    self._prepare(setup)
                socket.send_fds(self._control, [FORK], [theirs.fileno()])
            except OSError as broken:
                ours.close()
                self.end_child()  # raises the error that the template sent before it ended
                raise PeerClosed from broken
        return Child(ours, setup)

    def _prepare(self, setup: Setup) -> None:
        self._control.sendall(PREPARE)
        recipe = setup.recipe.to_json().encode()
        fields = {"ceiling": setup.ceiling, "shared": setup.shared, "extras": sorted(setup.extras)}
        Channel(self._control).send("prepare", recipe, **fields)
        self._setup = setup

    def layers(self) -> dict[str, bool]:
        """Return for each isolation layer (isolation.LAYERS) whether it is active for the children of this process.

        Waits for the template to report it. Raises PeerClosed when it has ended, WorkerError when it could not start,
        TimeoutError.
        """
        if self._layers is None:
            self._layers = {name: active is True for name, active in self._receive().fields["layers"].items()}
        return self._layers

    def end_child(self) -> ChildExit:
        """Close the connection to the child, wait for its end, and return how it ended.

        Raises PeerClosed when the template has ended, WorkerError when it could not start, TimeoutError.
        """
        if self._child:
            with suppress(OSError), self._child.end as end:
                end.shutdown(socket.SHUT_RDWR)  # a fork of this process may have the socket too
            self._child = None
        self.layers()  # comes first
        frame = self._receive()
        if frame.kind == "forked":
            frame = self._receive()
        self.busy = False
        return ChildExit(frame.fields["status"], frame.fields["cpu"], frame.fields["peak"])

    def _receive(self) -> Frame:
        frame = Channel(self._control, GRACE_SECONDS).receive(max_bytes=0)
        if frame.kind == "failed":
            raise WorkerError(f"the worker process could not start: {frame.fields['detail']}")
        return frame

    def kill(self) -> None:
        """Kill template and child, and wait for the template to end. May be called from any thread, and repeated.

        The group is killed before its leader is waited for: until then no other process can have its id. Where a
        sandbox refuses groups or signals, the template ends because its socket is shut, and kills its child.
        """
        with self._kill_lock:
            if not self._killed:
                with suppress(OSError):  # no such group; macOS refuses where only zombies are left
                    os.killpg(self._process.pid, signal.SIGKILL)
                with suppress(OSError):
                    self._process.kill()
                with suppress(OSError):
                    self._control.shutdown(socket.SHUT_RDWR)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(GRACE_SECONDS)
                self._killed = True

    def discard(self) -> None:
        """Kill the template and close the sockets to it and to its child. Only for the thread that uses it."""
        self.kill()
        self._control.close()
        if self._child:
            self._child.end.close()
