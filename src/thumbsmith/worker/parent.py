"""A template as its parent sees it: a process to start, to have forked, and to kill.

One source, handed to one child: the parent's side, from the order to the verdict.
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
from thumbsmith.worker.answers import Admit, Made, Order, Read, check_sizes, understand
from thumbsmith.worker.budget import Budget
from thumbsmith.worker.launch import Launched
from thumbsmith.worker.wire import FIRST_BLOCK, HEAD, LARGEST, Channel, Closed, Frame, Garbled

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


# Signals that say that the decoder went wrong over these very bytes. Where the filter of system calls keeps abort(3)
# from sending SIGABRT, glibc ends the process by its last instruction: SIGSEGV on x86-64, SIGTRAP on arm64.
CRASHES: Final = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGTRAP}
)

# A child may ask for as many bytes as the source holds, and a block, this many times: a decoder that goes to and fro
# in a large file needs a few. One that never ends would be a bill of the store's. Each question counts as a block at
# least, which is what ours ask for: a store bills questions too.
REREADS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a child made of a source, and what that took: CPU seconds, and peak resident memory in bytes.

    `notes` are sentences on what was ignored in it.
    """

    probe: Probe
    renditions: tuple[Rendition, ...]
    color: str | None
    cpu_seconds: float
    peak_memory: int
    thumbhash: str | None = None
    notes: tuple[str, ...] = ()


def attempt(order: Order, template: Template, budget: Budget, seconds: float | None = None) -> Work:
    """Return what a fresh child of `template` makes of the order, in `seconds` of its own time, default `patience`.

    Raises Rejected, MissingDecoder, WorkerError, or what the order's reader raises. The template stays `busy` where its
    child may still be there.
    """
    left = patience(order.recipe.limits) if seconds is None else seconds
    try:
        with ExitStack() as held:  # memory is given back once the child is gone
            made = _converse(order, template.begin(), budget, held, left)
            ending = template.ending()
    except Closed:
        raise WorkerDied("the worker process was killed") from None
    except TimeoutError:
        raise WorkerError("the worker process hung, and was stopped") from None
    except Garbled as garbled:
        raise WorkerError(f"the worker process said what none of ours says: {garbled}") from None
    match made:
        case None:
            raise blame(ending.status, order.recipe.limits)
        case Made(probe, renditions, color, placeholder, notes):
            return Work(
                probe=probe,
                renditions=renditions,
                color=color,
                thumbhash=placeholder,
                cpu_seconds=ending.cpu_seconds,
                peak_memory=ending.peak_memory,
                notes=notes,
            )
        case refusal:
            raise refusal


def patience(limits: Limits) -> float:
    """Return the seconds of wall clock that a child may work: far above its CPU time, for a machine that is busy."""
    return 30.0 + 10.0 * limits.max_cpu_seconds


def blame(status: int, limits: Limits) -> Rejected | WorkerDied:
    """Return what it means that a child ended, with this wait status, before it said what it made."""
    code = os.waitstatus_to_exitcode(status)
    if -code == signal.SIGXCPU:
        seconds = limits.max_cpu_seconds
        return Rejected(Code.OVER_TIME, f"decoding it took more CPU time than max_cpu_seconds allows, {seconds} s")
    if -code in CRASHES:
        return Rejected(Code.CORRUPT, "the decoder crashed on it")
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return WorkerDied(f"the worker process {how}")


@dataclass
class Conversation:
    """What a child asks, and what it is given: bytes of the source, and once leave to decode."""

    order: Order
    channel: Channel
    budget: Budget
    held: ExitStack
    asked: int = 0
    admitted: bool = False

    def carry_out(self) -> Made:
        """Hand over the order and answer until it is done. Raises what the child refuses it with, or the store."""
        order = self.order
        head = order.reader.read(0, min(HEAD, order.reader.size))
        wanted = None if order.wanted is None else sorted(order.wanted)
        facts = {"size": order.reader.size, "wanted": wanted, "ceiling": order.ceiling}
        self.channel.send("make", order.recipe.to_json().encode(), head, **facts)
        while True:
            said = self.channel.receive(order.recipe.limits.max_memory, partial(check_sizes, order=order))
            match understand(said, order):
                case Read(offset, length):
                    self._read(offset, length)
                case Admit(memory):
                    self._admit(memory)
                case Made() as made:
                    return made

    def _read(self, offset: int, length: int) -> None:
        self.asked += max(length, FIRST_BLOCK)
        if self.asked > REREADS * (self.order.reader.size + LARGEST):
            raise Garbled("the same bytes again and again")
        self.channel.send("bytes", self.order.reader.read(offset, length)[:length])

    def _admit(self, memory: int) -> None:
        if self.admitted:
            raise Garbled("leave to decode a second time")
        self.held.enter_context(self.budget.held(memory))
        self.admitted = True
        self.channel.send("go")


def _converse(
    order: Order, end: socket.socket, budget: Budget, held: ExitStack, seconds: float
) -> Made | ThumbsmithError | None:
    """Return what was made, or the child's refusal or the store's; None where the child ended without a word."""
    try:
        with end:
            return Conversation(order, Channel(end, seconds), budget, held).carry_out()
    except Closed:
        return None
    except ThumbsmithError as refusal:  # where it is the store's, the child waits for bytes that never come, and ends
        return refusal
