"""Gives a file to real workers, and reports its outcome and their cost."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Literal, TypeAlias

import pytest

from thumbsmith.errors import Rejected, ThumbsmithError
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import Rendition
from thumbsmith.worker import Workers, parent
from thumbsmith.worker.processes import ChildExit, Template

MAX_CPU_SECONDS = 10
MAX_MEMORY = 768_000_000


@dataclass(frozen=True)
class Verdict:
    """The outcome of one file: "thumbnail", a code, or a failure in capitals; and the cost of its child."""

    outcome: str
    detail: str
    renditions: tuple[Rendition, ...]
    cpu_seconds: float
    peak_memory: int
    decoded: bool  # it was permitted to decode


# How confined processes are used. Every hostile file has the same outcome with both.
Kind: TypeAlias = Literal["source", "shared"]
ISOLATIONS: tuple[Kind, ...] = ("source", "shared")


class Bench:
    """Workers whose children are observed."""

    def __init__(self, workers: Workers, recipe: Recipe, patch: pytest.MonkeyPatch) -> None:
        """Observe how the children of these workers end, and which of them may decode."""
        self._workers, self._recipe = workers, recipe
        self._endings: list[ChildExit] = []
        self._admitted = 0
        ending, admit = Template.end_child, parent.Conversation._admit

        def watched_ending(template: Template) -> ChildExit:
            before = template._child.cpu_before if template._child else 0.0
            ended = ending(template)
            self._endings.append(replace(ended, cpu_seconds=ended.cpu_seconds - before))
            return ended

        def watched_admit(conversation: parent.Conversation, memory: int) -> None:
            self._admitted += 1
            admit(conversation, memory)

        patch.setattr(parent, "GRANTED_BYTES", -1)  # so that each child requests the permission to decode
        patch.setattr(Template, "end_child", watched_ending)
        patch.setattr(parent.Conversation, "_admit", watched_admit)

    def __call__(self, data: bytes) -> Verdict:
        """Return the outcome of these bytes."""
        self._endings.clear()
        self._admitted = 0
        made: tuple[Rendition, ...] = ()
        cpu, peak = 0.0, 0
        try:
            work = self._workers.render(BytesReader(data), self._recipe)
            made, outcome, detail = work.renditions, "thumbnail", ""
            cpu, peak = work.cpu_seconds, work.peak_memory
        except Rejected as rejected:
            outcome, detail = str(rejected.code), rejected.detail
        except ThumbsmithError as failure:
            outcome, detail = type(failure).__name__.upper(), str(failure)
        cpu = max(cpu, *(each.cpu_seconds for each in self._endings), 0)
        peak = max(peak, *(each.peak_memory for each in self._endings), 0)
        return Verdict(outcome, detail, made, cpu, peak, self._admitted > 0)


@contextmanager
def bench(recipe: Recipe | None = None, count: int = 1, isolation: Kind = "source") -> Iterator[Bench]:
    """Give observed workers, for one thread."""
    with pytest.MonkeyPatch.context() as patch, Workers(count=count, isolation=isolation) as workers:
        yield Bench(workers, recipe or Recipe.default(), patch)


def calls(work: Callable[[], object]) -> int:
    """Return the number of function calls of this work, in Python and directly from it: the same on every machine.

    The work is done once before it is counted, so that modules that it imports are loaded.
    """
    work()
    counted = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


def complaint(verdict: Verdict, expected: str) -> str | None:
    """Return how a verdict differs from the expected outcome, None if it does not."""
    if verdict.outcome.isupper():
        return f"{verdict.outcome}: {verdict.detail}"
    if expected == "reject" and verdict.outcome == "thumbnail":
        return "it was to be refused"
    if expected == "thumbnail" and verdict.outcome != "thumbnail":
        return f"it was to give a thumbnail, and is {verdict.outcome}: {verdict.detail}"
    if verdict.cpu_seconds > MAX_CPU_SECONDS or verdict.peak_memory > MAX_MEMORY:
        return f"it took {verdict.cpu_seconds:.1f} CPU s and {verdict.peak_memory >> 20} MiB"
    return None
