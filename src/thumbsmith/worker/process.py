"""A template as its parent sees it: a process to start, to have forked, and to kill."""

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
from thumbsmith.worker.launch import Launched
from thumbsmith.worker.wire import Channel, Closed, Frame

# A child that has said its last word, and a template that has lost its child, take milliseconds to say so.
GRACE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended, as the kernel told its template: the wait status, CPU seconds, and peak resident bytes."""

    status: int
    cpu_seconds: float
    peak_memory: int


class Template:
    """A process that forks a child for each source, one at a time, and that whole process group."""

    def __init__(self, launched: Launched | None = None) -> None:
        """Take the process that was launched, or launch one. Raises WorkerError where none can be started."""
        launched = launched or Launched()
        self._control, self._process = launched.control, launched.process
        self._killing = threading.Lock()
        self._killed = False
        self._layers: dict[str, bool] | None = None
        self.busy = False

    @property
    def pid(self) -> int:
        """Return the process id, which is the process group's too."""
        return self._process.pid

    def begin(self) -> socket.socket:
        """Have a child forked; return the socket to it.

        Raises Closed when the template is gone, WorkerError where it could not start or no socket can be opened.
        """
        try:
            ours, theirs = socket.socketpair()
        except OSError as problem:
            raise WorkerError(f"no worker process can be reached: {problem}") from problem
        self.busy = True
        with theirs:
            try:
                socket.send_fds(self._control, [b"+"], [theirs.fileno()])
            except OSError as broken:
                ours.close()
                self.ending()  # raises what it said before it ended
                raise Closed from broken
        return ours

    def layers(self) -> dict[str, bool]:
        """Return of each layer of isolation (layers.LAYERS) whether it holds for the children of this process.

        Waits for the template to say so. Raises Closed when it is gone, WorkerError when it could not start,
        TimeoutError.
        """
        if self._layers is None:
            self._layers = {name: holds is True for name, holds in self._frame().fields["layers"].items()}
        return self._layers

    def ending(self) -> Ending:
        """Wait for the child to end, and return how.

        Raises Closed when the template is gone, WorkerError when it could not start, TimeoutError.
        """
        self.layers()  # comes first
        frame = self._frame()
        self.busy = False
        return Ending(frame.fields["status"], frame.fields["cpu"], frame.fields["peak"])

    def _frame(self) -> Frame:
        frame = Channel(self._control, GRACE_SECONDS).receive(largest=0)
        if frame.word == "failed":
            raise WorkerError(f"the worker process could not start: {frame.fields['detail']}")
        return frame

    def kill(self) -> None:
        """Kill template and child, and wait for the template's end. May be called from any thread, and repeated.

        The group is killed before its leader is waited for: until then the id cannot be anybody else's. Where a sandbox
        refuses groups or signals, the template ends because its socket is shut, and kills its child.
        """
        with self._killing:
            if not self._killed:
                with suppress(OSError):  # there is no such group; macOS refuses where only zombies are left
                    os.killpg(self._process.pid, signal.SIGKILL)
                with suppress(OSError):
                    self._process.kill()
                with suppress(OSError):
                    self._control.shutdown(socket.SHUT_RDWR)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(GRACE_SECONDS)
                self._killed = True

    def discard(self) -> None:
        """Kill it and let go of it. Only for the thread that uses it."""
        self.kill()
        self._control.close()
