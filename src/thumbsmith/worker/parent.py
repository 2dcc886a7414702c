"""The parent's side of one source: a job is given to a fresh child, whose replies and exit decide the outcome.

A template is the process that forks the children.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from thumbsmith.errors import Code, Rejected, ThumbsmithError, WorkerDied, WorkerError
from thumbsmith.image.containers.base import Probe
from thumbsmith.recipe import Limits
from thumbsmith.recipe.names import Rendition
from thumbsmith.worker.budget import Budget
from thumbsmith.worker.launch import Launched
from thumbsmith.worker.replies import (
    MemoryRequest,
    ReadRequest,
    RenderJob,
    RenderResult,
    check_blob_sizes,
    parse_reply,
)
from thumbsmith.worker.wire import (
    FIRST_BLOCK_BYTES,
    HEAD_BYTES,
    MAX_BLOCK_BYTES,
    Channel,
    Frame,
    PeerClosed,
    ProtocolError,
)

# A child after its last message, and a template whose child has ended, take milliseconds to report it.
GRACE_SECONDS: Final = 30.0

# Signals that mean that the decoder crashed over these very bytes. Where the filter of system calls keeps abort(3)
# from sending SIGABRT, glibc ends the process by its last instruction: SIGSEGV on x86-64, SIGTRAP on arm64.
CRASH_SIGNALS: Final = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGTRAP}
)

# A child may request the bytes of the source this many times, and one block more: a decoder that seeks back and forth
# in a large file needs a few times. Stores bill requests, so each counts as one block at least.
MAX_REREADS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a child made of a source, its CPU seconds, and its peak resident memory in bytes.

    `notes` are sentences on what was ignored in the source.
    """

    probe: Probe
    renditions: tuple[Rendition, ...]
    color: str | None
    cpu_seconds: float
    peak_memory: int
    thumbhash: str | None = None
    notes: tuple[str, ...] = ()


def render_in_child(job: RenderJob, template: Template, budget: Budget, seconds: float | None = None) -> Work:
    """Return what a fresh child of `template` makes of the job, in `seconds`, by default `wall_clock_limit`.

    Raises Rejected, MissingDecoder, WorkerError, or what the reader of the job raises. The template stays `busy` where
    its child may still run.
    """
    limit = wall_clock_limit(job.recipe.limits) if seconds is None else seconds
    try:
        with ExitStack() as reserved:  # memory is given back once the child has ended
            result = _converse(job, template.fork_child(), budget, reserved, limit)
            exited = template.wait_for_child()
    except PeerClosed:
        raise WorkerDied("the worker process was killed") from None
    except TimeoutError:
        raise WorkerError("the worker process hung, and was stopped") from None
    except ProtocolError as problem:
        raise WorkerError(f"the worker process broke the protocol: {problem}") from None
    match result:
        case None:
            raise classify_exit(exited.status, job.recipe.limits)
        case RenderResult(probe, renditions, color, thumbhash, notes):
            return Work(
                probe=probe,
                renditions=renditions,
                color=color,
                thumbhash=thumbhash,
                cpu_seconds=exited.cpu_seconds,
                peak_memory=exited.peak_memory,
                notes=notes,
            )
        case refusal:
            raise refusal


def wall_clock_limit(limits: Limits) -> float:
    """Return the seconds of wall clock that a child may work: far above its CPU time, for a machine that is busy."""
    return 30.0 + 10.0 * limits.max_cpu_seconds


def classify_exit(status: int, limits: Limits) -> Rejected | WorkerDied:
    """Return the error for a child that ended with this wait status before it sent a result."""
    code = os.waitstatus_to_exitcode(status)
    if -code == signal.SIGXCPU:
        seconds = limits.max_cpu_seconds
        return Rejected(Code.OVER_TIME, f"decoding it took more CPU time than max_cpu_seconds allows, {seconds} s")
    if -code in CRASH_SIGNALS:
        return Rejected(Code.CORRUPT, "the decoder crashed on it")
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return WorkerDied(f"the worker process {how}")


def _converse(
    job: RenderJob, end: socket.socket, budget: Budget, reserved: ExitStack, seconds: float
) -> RenderResult | ThumbsmithError | None:
    """Return the result, or the error that the child or the store raised; None where the child ended without one."""
    try:
        with end:
            return Conversation(job, Channel(end, seconds), budget, reserved).run()
    except PeerClosed:
        return None
    except ThumbsmithError as refusal:  # where the store raised it, the child ends because its channel is closed
        return refusal


@dataclass
class Conversation:
    """The requests of a child and the answers: bytes of the source, and once the permission to decode."""

    job: RenderJob
    channel: Channel
    budget: Budget
    reserved: ExitStack
    requested_bytes: int = 0
    admitted: bool = False

    def run(self) -> RenderResult:
        """Send the job and answer until the child is done. Raises the error that the child or the store reports."""
        job = self.job
        head = job.reader.read(0, min(HEAD_BYTES, job.reader.size))
        wanted = None if job.wanted is None else sorted(job.wanted)
        fields = {"size": job.reader.size, "wanted": wanted, "ceiling": job.ceiling}
        self.channel.send("make", job.recipe.to_json().encode(), head, **fields)
        while True:
            frame = self.channel.receive(job.recipe.limits.max_memory, partial(check_blob_sizes, job=job))
            match parse_reply(frame, job):
                case ReadRequest(offset, length):
                    self._read(offset, length)
                case MemoryRequest(memory):
                    self._admit(memory)
                case RenderResult() as result:
                    return result

    def _read(self, offset: int, length: int) -> None:
        self.requested_bytes += max(length, FIRST_BLOCK_BYTES)
        if self.requested_bytes > MAX_REREADS * (self.job.reader.size + MAX_BLOCK_BYTES):
            raise ProtocolError("the same bytes again and again")
        self.channel.send("bytes", self.job.reader.read(offset, length)[:length])

    def _admit(self, memory: int) -> None:
        if self.admitted:
            raise ProtocolError("a second request to decode")
        self.reserved.enter_context(self.budget.reserve(memory))
        self.admitted = True
        self.channel.send("go")


@dataclass(frozen=True, slots=True)
class ChildExit:
    """How a child ended, as the kernel reported it: wait status, CPU seconds, and peak resident bytes."""

    status: int
    cpu_seconds: float
    peak_memory: int


class Template:
    """A process that forks a child for each source, one at a time, and its whole process group."""

    def __init__(self, launched: Launched | None = None) -> None:
        """Use the process that was launched, or launch one. Raises WorkerError where none can be started."""
        launched = launched or Launched()
        self._control, self._process = launched.control, launched.process
        self._kill_lock = threading.Lock()
        self._killed = False
        self._layers: dict[str, bool] | None = None
        self.busy = False

    @property
    def pid(self) -> int:
        """Return the process id, which is the process group's too."""
        return self._process.pid

    def fork_child(self) -> socket.socket:
        """Have a child forked; return the socket to it.

        Raises PeerClosed when the template has ended, WorkerError where it could not start or no socket can be opened.
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
                self.wait_for_child()  # raises the error that the template sent before it ended
                raise PeerClosed from broken
        return ours

    def layers(self) -> dict[str, bool]:
        """Return for each isolation layer (isolation.LAYERS) whether it is active for the children of this process.

        Waits for the template to report it. Raises PeerClosed when it has ended, WorkerError when it could not start,
        TimeoutError.
        """
        if self._layers is None:
            self._layers = {name: active is True for name, active in self._receive().fields["layers"].items()}
        return self._layers

    def wait_for_child(self) -> ChildExit:
        """Wait for the child to end, and return how.

        Raises PeerClosed when the template has ended, WorkerError when it could not start, TimeoutError.
        """
        self.layers()  # comes first
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
        """Kill the template and close its socket. Only for the thread that uses it."""
        self.kill()
        self._control.close()
