"""The time that an invocation has: what cannot be done in it is handed back, before Lambda ends the process.

Keys made right, several at once, each measured, and none after the deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Final, Protocol, Self

from thumbsmith.aws.settings import FunctionSettings
from thumbsmith.errors import Code, OutOfTime, ThumbsmithError
from thumbsmith.lifetime import Lifetime
from thumbsmith.reader import RangeReader
from thumbsmith.recipe import Limits, Recipe
from thumbsmith.reconcile.converge import converge
from thumbsmith.reconcile.effects import Options, Outcome
from thumbsmith.worker import Work

# Seconds before the end at which all requests are ended, and the answer given. Of a function that is given little time,
# a quarter of it.
ANSWERING: Final = 2.0

# The part of that time in which keys may still be passed on to a larger machine.
PASSING_ON: Final = 0.75

# Seconds for the stores, besides the CPU time that decoding one source may take.
STORING: Final = 5.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when there is time, by time.monotonic(), and the seconds that a key is given at least.

    `answering` is the seconds between then and the end of the process.
    """

    at: float
    needed: float
    answering: float = ANSWERING

    @classmethod
    def after(cls, seconds: float, limits: Limits) -> Self:
        """Return the deadline of an invocation that Lambda ends in so many seconds.

        A key needs what one source may cost; where that is more than half of the time, half of it: then too the first
        keys are begun.
        """
        answering = min(ANSWERING, seconds / 4)
        usable = seconds - answering
        return cls(monotonic() + usable, min(limits.max_cpu_seconds + STORING, usable / 2), answering)

    @property
    def left(self) -> float:
        """Return the seconds left, 0 where none are."""
        return max(self.at - monotonic(), 0.0)

    def lifetime(self) -> Lifetime:
        """Return the time in which the requests of this invocation may be made."""
        return Lifetime(self.at, not_finished)

    def last_lifetime(self) -> Lifetime:
        """Return the time in which keys may be passed on, also those that there was no time for."""
        return Lifetime(self.at + PASSING_ON * self.answering, not_finished)

    def begin(self) -> None:
        """Raise OutOfTime where there is no room for one more key."""
        if self.left < self.needed:
            raise OutOfTime("not begun: the function's time was nearly over")


def not_finished() -> OutOfTime:
    """Return the error of a key that there was not enough time for."""
    return OutOfTime("not finished: the function's time was over")


# While one thread of a pair waits for its store, the other has a picture in a worker.
THREADS_A_WORKER: Final = 2


class TimedRenderer(Protocol):
    """Whoever turns a source into pictures, until a moment of time.monotonic(): `Workers`."""

    def render(
        self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None, *, until: float | None = None
    ) -> Work:
        """Return the pictures named in `wanted`, all for None. Raises as `Workers.render` does."""
        ...


@dataclass(frozen=True, slots=True)
class KeyJob:
    """One key to make right, also where a rejection is recorded if `retry`. `sent`: when asked to, in epoch seconds.

    `again` says that whoever asks did so before, and was not told that it is done.
    """

    key: str
    retry: bool = False
    sent: float | None = None
    redelivered: bool = False


@dataclass(slots=True)
class Measured:
    """A renderer that keeps to a deadline and takes the time, all of it as moments of time.monotonic()."""

    renderer: TimedRenderer
    until: float
    began: float
    render_began: float | None = None
    render_ended: float | None = None
    work: Work | None = None

    def render(self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None) -> Work:
        """Return the pictures. Where the source changed meanwhile and this is called again, the last time counts."""
        self.render_began = monotonic()
        try:
            self.work = self.renderer.render(reader, recipe, wanted, until=self.until)
        finally:
            self.render_ended = monotonic()
        return self.work


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyResult:
    """What became of one key: an outcome, or the error that it is handed back for.

    `look`, `render`, `store` and `total` are seconds: until rendering began, of rendering, and from then on. `work` is
    what rendering made.
    """

    job: KeyJob
    outcome: Outcome | None = None
    error: Exception | None = None
    work: Work | None = None
    look: float | None = None
    render: float | None = None
    store: float | None = None
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Converger:
    """Makes keys right by one set of settings, `threads` at once.

    `larger` is called with the keys of sources that need a larger machine, where there is one.
    """

    settings: FunctionSettings
    renderer: TimedRenderer
    threads: int = field(default=THREADS_A_WORKER)
    escalate: Callable[[str], None] | None = None

    def converge_all(self, jobs: Collection[KeyJob], deadline: Deadline) -> Iterator[KeyResult]:
        """Yield what became of each job as it is done, in no promised order, and at the deadline of all that are not.

        Keys that were tried before come first. All requests of the others are ended at the deadline: nothing that they
        were about to write is written later, also where the process is frozen once it has answered and runs again for
        another invocation.
        """
        first = sorted(jobs, key=lambda job: not job.redelivered)
        requests, last = deadline.lifetime(), deadline.last_lifetime()
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="thumbsmith")
        running = {pool.submit(self._done, job, deadline, requests): job for job in first}
        try:
            for future in as_completed(list(running), timeout=deadline.left):
                del running[future]
                yield future.result()
        except TimeoutError:
            requests.end()
            for job in running.values():
                yield self._passed_on(KeyResult(job=job, error=not_finished()), last)
        finally:
            requests.end()
            pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, job: KeyJob, deadline: Deadline, requests: Lifetime) -> KeyResult:
        return self._passed_on(self._make_right(job, deadline, requests), requests)

    def _passed_on(self, done: KeyResult, requests: Lifetime) -> KeyResult:
        """Return what became of a job; one that a larger machine is to do is done here once that was asked to."""
        if self.escalate is None or not _is_too_large(done):
            return done
        try:
            with requests.applied():
                self.escalate(done.job.key)
        except ThumbsmithError as error:
            return replace(done, outcome=None, error=error)
        return done if done.outcome else replace(done, outcome=Outcome(status="absent", code="passed_on"), error=None)

    def _make_right(self, job: KeyJob, deadline: Deadline, requests: Lifetime) -> KeyResult:
        settings, timed = self.settings, Measured(self.renderer, deadline.at, monotonic())
        try:
            deadline.begin()
            with requests.applied():
                outcome = converge(
                    job.key,
                    settings.source,
                    settings.destination,
                    settings.recipe,
                    renderer=timed,
                    options=Options(retry_rejected=job.retry),
                    check=requests.check,
                )
        except Exception as error:  # also what nobody named: it is told, and handed back
            return _done(job, timed, None, error)
        return _done(job, timed, outcome, None)


def _is_too_large(done: KeyResult) -> bool:
    """Return whether a larger machine might do it: by the memory that was predicted, or time that was not enough twice.

    A rejection is passed on when it is recorded, and where that may have failed before: not with every later event.
    """
    if done.outcome:
        return done.outcome.code == Code.OVER_MEMORY and (done.outcome.recorded or done.job.redelivered)
    return done.job.redelivered and isinstance(done.error, OutOfTime)


def _done(job: KeyJob, timed: Measured, outcome: Outcome | None, error: Exception | None) -> KeyResult:
    now = monotonic()
    began, ended = timed.render_began, timed.render_ended
    return KeyResult(
        job=job,
        outcome=outcome,
        error=error,
        work=timed.work,
        look=(began or now) - timed.began,
        render=ended - began if began and ended else None,
        store=now - ended if ended else None,
        total=now - timed.began,
    )
