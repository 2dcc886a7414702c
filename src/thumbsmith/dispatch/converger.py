"""Converges keys before a deadline: several at once, each measured, and nothing is written after the deadline.

Lambda ends or freezes the process at the end of its time. What cannot be done until then is returned as an error, so
that its message is delivered again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final, Protocol, Self

from thumbsmith.dispatch.settings import FunctionSettings
from thumbsmith.environment import LAMBDA_THREADS_PER_CORE
from thumbsmith.errors import Code, OutOfTime, ThumbsmithError
from thumbsmith.lifetime import Lifetime, lifetime
from thumbsmith.reader import RangeReader
from thumbsmith.recipe import Limits, Recipe
from thumbsmith.reconcile.converge import attempt
from thumbsmith.reconcile.protocol import Options, Outcome
from thumbsmith.worker import Work

# The time before the end of the process at which all requests end, to leave time for the answer. A function with little
# time reserves a quarter of it.
ANSWER_SECONDS: Final = 2.0

# The share of that time in which keys may still be sent to a larger machine.
ESCALATION_SHARE: Final = 0.75

# The time for requests to the stores, in addition to the CPU time that decoding one source may take.
STORE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class KeyJob:
    """One key to converge. `sent` is the time of the request, in epoch seconds.

    `retry`: try again although a rejection is recorded. `redelivered`: an earlier request was not acknowledged.
    `is_new`: in all requests, S3 reported moments ago that the object was created, or a backfill that nothing was made
    of it.
    """

    key: str
    retry: bool = False
    sent: float | None = None
    redelivered: bool = False
    is_new: bool = False

    @property
    def options(self) -> Options:
        """Return the options of the run. A redelivered message may follow a run that ended before its commit."""
        first_delivery = self.is_new and not self.redelivered
        return Options(retry_rejected=self.retry, first_delivery=first_delivery)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyResult:
    """The outcome of one key, or the error for which its request is returned.

    `before_seconds`, `render_seconds` and `after_seconds` add up to `total_seconds`: until rendering began, of
    rendering, and after it. `work` is the reply of the worker.
    """

    job: KeyJob
    outcome: Outcome | None = None
    error: Exception | None = None
    work: Work | None = None
    before_seconds: float | None = None
    render_seconds: float | None = None
    after_seconds: float | None = None
    total_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of the usable time, `at`, by time.monotonic().

    `needed_seconds` is the least time for which a key is begun. `answer_seconds` follow between `at` and the end of the
    process.
    """

    at: float
    needed_seconds: float
    answer_seconds: float = ANSWER_SECONDS

    @classmethod
    def after(cls, seconds: float, limits: Limits, core_share: float = 1.0) -> Self:
        """Return the deadline of an invocation that Lambda ends after this time.

        A key needs as much time as the limits allow for one source on this part of a core, but at most half of the
        usable time: even a short invocation begins its first keys.
        """
        answer_seconds = min(ANSWER_SECONDS, seconds / 4)
        usable = seconds - answer_seconds
        needed_seconds = min(limits.max_cpu_seconds / core_share + STORE_SECONDS, usable / 2)
        return cls(monotonic() + usable, needed_seconds, answer_seconds)

    @property
    def seconds_left(self) -> float:
        """Return the seconds until the deadline, 0 after it."""
        return max(self.at - monotonic(), 0.0)

    def request_lifetime(self) -> Lifetime:
        """Return the lifetime of requests to the stores: until the deadline, or the end of the current lifetime."""
        return Lifetime(self.at, not_finished, outer=lifetime())

    def escalation_lifetime(self) -> Lifetime:
        """Return the lifetime of requests to the queue of larger machines. It ends somewhat after the deadline."""
        return Lifetime(self.at + ESCALATION_SHARE * self.answer_seconds, not_finished)

    def check(self) -> None:
        """Raise OutOfTime where too little time is left to begin a key."""
        if self.seconds_left < self.needed_seconds:
            raise OutOfTime("not begun: the time for these keys was nearly over")


def not_finished() -> OutOfTime:
    """Return the error of a key that was not done at the deadline."""
    return OutOfTime("not finished: the time for these keys was over")


class DeadlineRenderer(Protocol):
    """A renderer that stops at a moment of time.monotonic(): `Workers`."""

    def render(
        self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None, *, until: float | None = None
    ) -> Work:
        """Return the renditions named in `wanted`, all of them for None. Raises the errors of `Workers.render`."""
        ...


@dataclass(frozen=True, slots=True)
class Converger:
    """Converges keys between two stores with `threads` threads.

    `escalate` sends the key of a source to a larger machine; None where there is no such machine. `core_share` is the
    part of a core that a source gets.
    """

    settings: FunctionSettings
    renderer: DeadlineRenderer
    threads: int = LAMBDA_THREADS_PER_CORE
    escalate: Callable[[str], None] | None = None
    core_share: float = 1.0

    def converge_all(self, jobs: Collection[KeyJob], deadline: Deadline) -> Iterator[KeyResult]:
        """Yield the result of each job as soon as it is done, in any order; at the deadline, of all that remain.

        Redelivered jobs come first. All requests to the stores end at the deadline. This holds even if the process is
        frozen after its answer and continues with another invocation: no write of this one happens later.
        """
        ordered = sorted(jobs, key=lambda job: not job.redelivered)
        requests, escalation = deadline.request_lifetime(), deadline.escalation_lifetime()
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="thumbsmith")
        running = {pool.submit(self._run, job, deadline, requests): job for job in ordered}
        try:
            for future in as_completed(list(running), timeout=deadline.seconds_left):
                del running[future]
                yield future.result()
        except TimeoutError:
            requests.end()
            for job in running.values():
                yield self._escalated(KeyResult(job=job, error=not_finished()), escalation)
        finally:
            requests.end()
            pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, job: KeyJob, deadline: Deadline, requests: Lifetime) -> KeyResult:
        return self._escalated(self._converge(job, deadline, requests), requests)

    def _converge(self, job: KeyJob, deadline: Deadline, requests: Lifetime) -> KeyResult:
        settings, renderer = self.settings, _MeasuringRenderer(self.renderer, deadline.at, monotonic())
        try:
            deadline.check()
            with requests.applied():
                attempted = attempt(
                    job.key,
                    settings.source,
                    settings.destination,
                    settings.recipe,
                    renderer=renderer,
                    options=job.options,
                    check=requests.check,
                )
        except Exception as error:  # also a bug of ours: it is logged, and the key is tried again
            return renderer.result(job, None, error)
        return renderer.result(job, attempted.outcome, attempted.error)

    def _escalated(self, result: KeyResult, requests: Lifetime) -> KeyResult:
        """Return the result. If a larger machine may do better, send the key there first: then the key is done here."""
        if self.escalate is None or not _may_need_larger_machine(result):
            return result
        try:
            with requests.applied():
                self.escalate(result.job.key)
        except ThumbsmithError as error:
            return replace(result, outcome=None, error=error)
        return (
            result
            if result.outcome
            else replace(result, outcome=Outcome(status="absent", code="passed_on"), error=None)
        )


def _may_need_larger_machine(result: KeyResult) -> bool:
    """Return whether a larger machine may do better: too little memory was predicted, or time was too short twice.

    A rejection is sent there when it is first recorded, or when that may have failed before; not with each later event.
    """
    if result.outcome:
        return result.outcome.code == Code.OVER_MEMORY and (result.outcome.recorded or result.job.redelivered)
    return result.job.redelivered and isinstance(result.error, OutOfTime)


@dataclass(slots=True)
class _MeasuringRenderer:
    """Renders until a deadline, and measures. All times are moments of time.monotonic()."""

    renderer: DeadlineRenderer
    until: float
    began: float
    render_began: float | None = None
    render_ended: float | None = None
    work: Work | None = None

    def render(self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None) -> Work:
        """Return the renditions. After a second call, because the source changed, the last call counts."""
        self.render_began = monotonic()
        try:
            self.work = self.renderer.render(reader, recipe, wanted, until=self.until)
        finally:
            self.render_ended = monotonic()
        return self.work

    def result(self, job: KeyJob, outcome: Outcome | None, error: Exception | None) -> KeyResult:
        """Return the result of a job with the times that were measured."""
        now = monotonic()
        began, ended = self.render_began, self.render_ended
        return KeyResult(
            job=job,
            outcome=outcome,
            error=error,
            work=self.work,
            before_seconds=(began or now) - self.began,
            render_seconds=ended - began if began and ended else None,
            after_seconds=now - ended if ended else None,
            total_seconds=now - self.began,
        )
