"""The parent's side of one source: a child gets a job, and its replies and its exit decide the outcome.

A child that has handled other sources can make thumbnails, but decides nothing else: where it fails over a source, or
rejects it, a fresh child tries the source again.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from thumbsmith.errors import Code, MissingDecoder, Rejected, ThumbsmithError, WorkerDied, WorkerError
from thumbsmith.image import check_output
from thumbsmith.image.check_output import Extras
from thumbsmith.image.containers.base import Probe
from thumbsmith.recipe import Limits, Recipe
from thumbsmith.recipe.names import Rendition
from thumbsmith.worker.budget import Budget
from thumbsmith.worker.processes import ChildExit, Setup, Template
from thumbsmith.worker.replies import (
    MemoryRequest,
    ReadRequest,
    RenderJob,
    RenderResult,
    check_blob_sizes,
    parse_reply,
)
from thumbsmith.worker.usage import Usage
from thumbsmith.worker.wire import (
    FIRST_BLOCK_BYTES,
    HEAD_BYTES,
    MAX_BLOCK_BYTES,
    Channel,
    PeerClosed,
    ProtocolError,
)

# Signals that mean that the decoder crashed over these very bytes. Where the filter of system calls keeps abort(3)
# from sending SIGABRT, glibc ends the process by its last instruction: SIGSEGV on x86-64, SIGTRAP on arm64.
CRASH_SIGNALS: Final = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGTRAP}
)

# A child may request the bytes of the source this many times, and one block more: a decoder that seeks back and forth
# in a large file needs a few times. Stores bill requests, so each counts as one block at least.
MAX_REREADS: Final = 32

# Memory for which a child need not wait: as much as a photograph of 12 megapixels takes for a small thumbnail. It saves
# a message and its answer for each source.
GRANTED_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a child made of a source, the CPU seconds for it, and the child's peak resident memory in bytes until then.

    `notes` are sentences on what was ignored in the source.
    """

    probe: Probe
    renditions: tuple[Rendition, ...]
    color: str | None
    cpu_seconds: float
    peak_memory: int
    thumbhash: str | None = None
    notes: tuple[str, ...] = ()


class UsedChildFailed(Exception):
    """A child that had handled other sources failed over this one, or rejected it. A fresh child must decide."""


def render_in_child(
    job: RenderJob,
    template: Template,
    budget: Budget,
    seconds: float | None = None,
    *,
    shared: bool = False,
    fresh: bool = False,
    extras: frozenset[str] = frozenset(),
) -> Work:
    """Return what a child of `template` makes of the job, in `seconds`, by default `wall_clock_limit`.

    The packages of `extras` are loaded for the child. With `shared`, it may have handled other sources, unless `fresh`
    is set, and may handle further ones. Raises Rejected, MissingDecoder, WorkerError, UsedChildFailed, or what the
    reader of the job raises. The template stays `busy` where its child may still run.
    """
    limits = job.recipe.limits
    limit = wall_clock_limit(limits) if seconds is None else seconds
    used = shared and not fresh
    try:
        with ExitStack() as reserved:  # memory is given back once the child has ended, or waits for another source
            child = template.child(Setup(job.recipe, job.ceiling, shared, extras), fresh=fresh)
            used = child.handled > 0
            result = _converse(job, child.end, budget, reserved, limit)
            usage = (template.keep_child() if isinstance(result, RenderResult) else None) or template.end_child()
        return _work(result, usage, usage.cpu_seconds - child.cpu_before, limits, used=used)
    except PeerClosed:
        raise WorkerDied("the worker process was killed") from None
    except TimeoutError:
        failure: ThumbsmithError = WorkerError("the worker process hung, and was stopped")
    except ProtocolError as problem:
        failure = WorkerError(f"the worker process broke the protocol: {problem}")
    except (Rejected, MissingDecoder, WorkerError) as problem:
        failure = problem
    if used:
        raise UsedChildFailed from failure
    raise failure


def _work(
    result: RenderResult | ThumbsmithError | None, usage: Usage | ChildExit, took: float, limits: Limits, *, used: bool
) -> Work:
    """Return the result as Work. Raises it if it is an error, and the error for a child that ended without one.

    The kernel counts whole seconds: to a child that has handled others it may allow a part of a second too much.
    """
    match result, usage:
        case RenderResult(probe, renditions, color, thumbhash, notes), _:
            if used and took > limits.max_cpu_seconds:
                raise over_time(limits)
            return Work(
                probe=probe,
                renditions=renditions,
                color=color,
                thumbhash=thumbhash,
                cpu_seconds=took,
                peak_memory=usage.peak_memory,
                notes=notes,
            )
        case ThumbsmithError() as refusal, _:
            raise refusal
        case _, ChildExit(status=status):
            raise classify_exit(status, limits)
    raise AssertionError("a child without a result was kept")


def wall_clock_limit(limits: Limits) -> float:
    """Return the seconds of wall clock that a child may work: far above its CPU time, for a machine that is busy."""
    return 30.0 + 10.0 * limits.max_cpu_seconds


def classify_exit(status: int, limits: Limits) -> Rejected | WorkerDied:
    """Return the error for a child that ended with this wait status before it sent a result."""
    code = os.waitstatus_to_exitcode(status)
    if -code == signal.SIGXCPU:
        return over_time(limits)
    if -code in CRASH_SIGNALS:
        return Rejected(Code.CORRUPT, "the decoder crashed on it")
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return WorkerDied(f"the worker process {how}")


def over_time(limits: Limits) -> Rejected:
    """Return the error for a source that takes too much CPU time."""
    seconds = limits.max_cpu_seconds
    return Rejected(Code.OVER_TIME, f"decoding it took more CPU time than max_cpu_seconds allows, {seconds} s")


def _converse(
    job: RenderJob, end: socket.socket, budget: Budget, reserved: ExitStack, seconds: float
) -> RenderResult | ThumbsmithError | None:
    """Return the result, its renditions checked, or the error that the child, the store or a check raised.

    Returns None where the child ended without a result.
    """
    try:
        result = Conversation(job, Channel(end, seconds), budget, reserved).run()
        _check_output(result.renditions, job.recipe)
    except PeerClosed:
        return None
    except ThumbsmithError as refusal:  # where the store raised it, the child ends because its channel is closed
        return refusal
    return result


def _check_output(renditions: Sequence[Rendition], recipe: Recipe) -> None:
    """Raise WorkerError where a rendition fails the output check and so must not be stored."""
    extras = {each.name: Extras.of(each) for each in recipe.variants}
    for made in renditions:
        try:
            check_output.check(made, extras[made.variant])
        except check_output.OutputError as error:
            raise WorkerError(f"the worker process made a {made.name} that fails the output check: {error}") from error


@dataclass
class Conversation:
    """The requests of a child and the answers: bytes of the source, and once the permission to decode.

    A child whose prediction is within `granted_bytes` has that permission from the start.
    """

    job: RenderJob
    channel: Channel
    budget: Budget
    reserved: ExitStack
    requested_bytes: int = 0
    granted_bytes: int = 0
    admitted: bool = False

    def run(self) -> RenderResult:
        """Send the job and answer until the child is done. Raises the error that the child or the store reports."""
        job = self.job
        head = job.reader.read(0, min(HEAD_BYTES, job.reader.size))
        wanted = None if job.wanted is None else sorted(job.wanted)
        self._grant()
        self.channel.send("make", head, size=job.reader.size, wanted=wanted, granted=self.granted_bytes)
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

    def _grant(self) -> None:
        """Permit the child to decode with GRANTED_BYTES without a request, if they are free now."""
        free = self.budget.try_reserve(GRANTED_BYTES)
        if free is not None:
            self.reserved.enter_context(free)
            self.granted_bytes = GRANTED_BYTES

    def _admit(self, memory: int) -> None:
        if self.admitted:
            raise ProtocolError("a second request to decode")
        self.reserved.close()  # else two children could wait for the memory that the other one was granted
        self.reserved.enter_context(self.budget.reserve(memory))
        self.admitted = True
        self.channel.send("go")
