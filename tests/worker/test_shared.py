"""Children that handle many sources: when they are replaced, and that a source gets the same with both kinds."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from thumbsmith.errors import Code, Rejected, SourceChanged, UsageError, WorkerError
from thumbsmith.image.probe import Probe
from thumbsmith.image.render import render
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import IsolationKind, Limits, Recipe
from thumbsmith.recipe.names import Rendition
from thumbsmith.worker import Workers, parent, processes
from thumbsmith.worker.parent import classify_exit
from thumbsmith.worker.processes import Child, Setup
from thumbsmith.worker.replies import RenderResult
from thumbsmith.worker.usage import (
    LIFETIME_CPU_SECONDS,
    MAX_GROWTH_BYTES,
    MAX_SOURCES,
    Usage,
    allow_cpu_seconds,
    read_cpu_seconds,
    read_usage,
)

from ..pictures import picture
from .pictures import SMALL, noise, padded, slow
from .processes import Watch, eventually, linux
from .readers import interrupted
from .sandbox import SANDBOX

pytestmark = [linux, pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def watch() -> Watch:
    """Give the processes that a test starts."""
    return Watch()


@pytest.fixture
def work(watch: Watch) -> Iterator[Workers]:
    """Give one worker whose children handle many sources."""
    with Workers(count=1, isolation="shared") as started:
        yield started


def _made(work: Workers, data: bytes | None = None, recipe: Recipe = SMALL) -> tuple[Rendition, ...]:
    return work.render(BytesReader(data or picture()), recipe).renditions


def test_one_child_handles_many_sources(watch: Watch, work: Workers):
    """The same process makes the same renditions as a render here, again and again, and its costs are per source."""
    assert _made(work) == render(picture(), SMALL)
    (child,) = watch.workers()
    for seed in range(5):
        done = work.render(BytesReader(noise(seed=seed)), SMALL)
        assert done.renditions == render(noise(seed=seed), SMALL)
        assert watch.workers() == [child]
        total = read_usage(child)
        assert total is not None
        assert 0 < done.cpu_seconds < total.cpu_seconds
        assert done.peak_memory > 5 << 20


@pytest.mark.parametrize(
    ("kind", "line", "is_kept"),
    [("source", "", False), ("shared", "", True), ("shared", "source", False), ("source", "shared", True)],
)
def test_the_recipe_decides_before_the_workers(watch: Watch, kind: IsolationKind, line: str, is_kept: bool):
    """`isolation` of the recipe wins over that of the workers, whose default is one process for each source."""
    recipe = replace(SMALL, limits=Limits(isolation=IsolationKind(line) if line else None))
    with Workers(count=1, isolation=kind) as work:
        _made(work, recipe=recipe)
        assert bool(watch.workers()) == is_kept
    with Workers(count=1) as work:
        _made(work)
        assert watch.workers() == []


def test_an_unknown_kind_is_one_sentence():
    """A wrong word raises UsageError."""
    with pytest.raises(UsageError, match='expected "source" or "shared", found \'many\''):
        Workers(isolation="many")  # type: ignore[arg-type]


def _replaced(watch: Watch, work: Workers, act: Callable[[], object]) -> bool:
    """Return whether another child handles the next source after `act`."""
    _made(work)
    before = watch.workers()
    act()
    assert _made(work) == render(picture(), SMALL)
    return watch.workers() != before


def test_a_rejection_ends_the_child(watch: Watch, work: Workers):
    """No source is handled by a process that has rejected one, by the header or by the decoder."""
    cut = noise()[:200_000]
    for data in (b"PK\x03\x04 and more", cut):

        def reject(data: bytes = data) -> None:
            with pytest.raises(Rejected):
                _made(work, data)

        assert _replaced(watch, work, reject)


def test_another_recipe_ends_the_child(watch: Watch, work: Workers):
    """A child is confined for the limits of one recipe."""
    other = replace(SMALL, limits=Limits(max_pixels=5000))
    assert _replaced(watch, work, lambda: _made(work, recipe=other))
    assert not _replaced(watch, work, lambda: _made(work, recipe=Recipe.from_json(SMALL.to_json())))


def test_an_error_of_the_store_ends_the_child(watch: Watch, work: Workers):
    """The error reaches the caller unchanged, without a second attempt."""
    gone = SourceChanged("gone")

    def fail() -> None:
        raise gone

    reader = interrupted(noise(), fail, fail)

    def read() -> None:
        with pytest.raises(SourceChanged) as raised:
            work.render(reader, SMALL)
        assert raised.value is gone

    assert _replaced(watch, work, read)
    assert next(reader.actions, None) is fail  # one attempt


def test_a_fork_of_this_process_keeps_no_child_alive(watch: Watch, work: Workers):
    """A child ends when its connection is closed, although a fork of this process has the socket too."""
    _made(work)
    before = watch.templates()
    fork = os.fork()
    if fork == 0:
        signal.pause()
        os._exit(0)
    try:
        _made(work, recipe=replace(SMALL, limits=Limits(max_pixels=5000)))
        assert set(watch.templates()) - {fork} == set(before)
    finally:
        os.kill(fork, signal.SIGKILL)
        os.waitpid(fork, 0)


def _child(**changes: object) -> Child:
    """Return a child that has handled one source, without a process."""
    child = Child(end=None, setup=Setup(SMALL, None, shared=True), pid=1)  # type: ignore[arg-type]
    assert child.count(Usage(0.1, 50 << 20, 40 << 20))
    for name, value in changes.items():
        setattr(child, name, value)
    return child


@pytest.mark.parametrize(
    ("child", "used", "may_go_on"),
    [
        (_child(), Usage(1.0, 90 << 20, (40 << 20) + MAX_GROWTH_BYTES), True),
        (_child(), Usage(1.0, 900 << 20, (40 << 20) + MAX_GROWTH_BYTES + 1), False),
        (_child(handled=MAX_SOURCES - 2), Usage(1.0, 50 << 20, 40 << 20), True),
        (_child(handled=MAX_SOURCES - 1), Usage(1.0, 50 << 20, 40 << 20), False),
        (_child(cpu_before=50.0), Usage(LIFETIME_CPU_SECONDS - 0.1, 50 << 20, 40 << 20), True),
        (_child(cpu_before=55.0), Usage(float(LIFETIME_CPU_SECONDS), 50 << 20, 40 << 20), False),
        (_child(cpu_before=1.0), Usage(11.1, 50 << 20, 40 << 20), False),
    ],
    ids=["memory", "too much memory", "sources", "too many sources", "time", "too much time", "slow source"],
)
def test_a_child_is_replaced_in_time(child: Child, used: Usage, may_go_on: bool):
    """Memory may grow by a fixed amount after the first source; sources, CPU time and one source's time are bounded."""
    assert child.count(used) == may_go_on


def test_a_worn_child_is_replaced(watch: Watch, work: Workers, monkeypatch: pytest.MonkeyPatch):
    """After its last source a child ends, and the next source has another one."""
    monkeypatch.setattr(processes, "MAX_SOURCES", 2)
    seen = []
    for _ in range(4):
        _made(work)
        seen.append(len(watch.workers()))
    assert seen == [1, 0, 1, 0]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGXCPU])
def test_a_death_over_a_later_source_says_nothing_about_it(watch: Watch, work: Workers, number: signal.Signals):
    """A fresh child makes its thumbnails, also where the death looks like a crash or an excess of time."""
    for _ in range(2):
        _made(work)
    reader = interrupted(noise(), lambda: watch.kill_worker(number))
    assert work.render(reader, SMALL).renditions == render(noise(), SMALL)
    assert next(reader.actions, None) is None


def test_a_child_that_died_while_idle_is_replaced(watch: Watch, work: Workers):
    """The next source is made as usual, as often as this happens."""
    for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP):
        _made(work)
        if number == signal.SIGSTOP:
            watch.kill_template()
        else:
            watch.kill_worker(number)
            assert eventually(lambda: not watch.workers())
        assert _made(work) == render(picture(), SMALL)


def test_deaths_of_fresh_children_are_counted_apart(watch: Watch, work: Workers):
    """After a used child, two fresh ones may die before a source fails."""
    _made(work)
    kill = watch.kill_worker
    with pytest.raises(WorkerError, match="signal 9"):
        work.render(interrupted(noise(), kill, kill, kill), SMALL)
    _made(work)
    assert work.render(interrupted(noise(), kill, kill), SMALL).renditions == render(noise(), SMALL)


def test_a_crash_is_confirmed_by_a_fresh_child(watch: Watch, work: Workers):
    """A source that crashes both is corrupt, with the detail that it has with one process for each source."""
    _made(work)
    crash = partial(watch.kill_worker, signal.SIGSEGV)
    with pytest.raises(Rejected) as rejected:
        work.render(interrupted(noise(), crash, crash), SMALL)
    assert str(rejected.value) == str(classify_exit(signal.SIGSEGV, Limits()))


def test_a_later_source_has_its_own_cpu_time(watch: Watch, work: Workers):
    """A source is stopped after max_cpu_seconds, also in a process that has used CPU time before, at once."""
    recipe = slow(1)
    light = replace(recipe, variants=SMALL.variants)
    with pytest.raises(Rejected, match="max_cpu_seconds allows, 1 s") as first:
        work.render(BytesReader(noise()), recipe)
    limits: list[int] = []

    def burn() -> None:
        limits.append(resource.prlimit(watch.workers()[0], resource.RLIMIT_CPU)[0])

    reader = interrupted(noise(), burn, burn)
    work.render(reader, light)
    (child,) = watch.workers()
    assert limits == [1]
    work.render(interrupted(noise(), burn), light)
    assert watch.workers() == [child]
    assert limits == [1, 2]  # what it has used, rounded up, and one second
    assert first.value.code == Code.OVER_TIME


def test_too_much_cpu_time_is_confirmed_by_a_fresh_child(work: Workers, monkeypatch: pytest.MonkeyPatch):
    """A picture that has taken over a child cannot make the next source look slow."""
    recipe = slow(1)
    work.render(BytesReader(picture()), recipe, ["none.avif"])
    fresh: list[Setup] = []
    real = processes.Template.fork_child

    def counted(template: processes.Template, setup: Setup) -> Child:
        fresh.append(setup)
        return real(template, setup)

    monkeypatch.setattr(processes.Template, "fork_child", counted)
    with pytest.raises(Rejected) as rejected:
        work.render(BytesReader(noise()), recipe)
    assert rejected.value.code == Code.OVER_TIME
    assert len(fresh) == 1


@pytest.mark.parametrize("used", [False, True])
def test_time_that_was_allowed_by_rounding_is_too_much(used: bool):
    """Where the kernel lets a later source take a part of a second too much, the measured time rejects it."""
    result = RenderResult(Probe(format="jpeg", bytes=1, width=1, height=1), (), None)
    limits = Limits(max_cpu_seconds=2)
    assert parent._work(result, Usage(9, 9, 9), 2.0, limits, used=used).cpu_seconds == 2
    if used:
        with pytest.raises(Rejected) as rejected:
            parent._work(result, Usage(9, 9, 9), 2.1, limits, used=used)
        assert str(rejected.value) == str(classify_exit(signal.SIGXCPU, limits))
    else:
        assert parent._work(result, Usage(9, 9, 9), 2.1, limits, used=used).cpu_seconds == 2.1


def test_without_a_way_to_raise_the_limit_no_child_is_used_again(
    watch: Watch, work: Workers, monkeypatch: pytest.MonkeyPatch
):
    """A system that refuses prlimit(2), or does not report CPU time or memory, has a process for each source."""
    monkeypatch.setattr(processes, "allow_cpu_seconds", lambda *_: False)
    assert _replaced(watch, work, lambda: None)
    monkeypatch.undo()
    monkeypatch.setattr(processes, "read_usage", lambda _: None)
    _made(work)
    assert watch.workers() == []


def test_a_process_that_is_not_there_has_no_usage(monkeypatch: pytest.MonkeyPatch):
    """The clock, the memory and the limit of an unknown process, and of any on another system, are unknown."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    for _ in range(2):
        assert read_usage(pid) is None
        assert read_cpu_seconds(pid) is None
        assert not allow_cpu_seconds(pid, 1)
        monkeypatch.setattr(sys, "platform", "darwin")
        pid = os.getpid()


def test_memory_that_a_later_source_lacks_is_tried_again(watch: Watch, work: Workers):
    """Where memory ends in a used child, a fresh one has all of it."""
    _made(work)
    data = padded(6000, 4000)

    def starve() -> None:
        resource.prlimit(watch.workers()[0], resource.RLIMIT_AS, (1 << 20, 1 << 20))

    assert work.render(interrupted(data, starve), SMALL).renditions == render(data, SMALL)


def test_an_output_that_fails_its_check_ends_the_child(watch: Watch, work: Workers, monkeypatch: pytest.MonkeyPatch):
    """A used child that makes a wrong file is replaced, and the source is tried again."""
    _made(work)
    before = watch.workers()
    real, spoiled = parent.Conversation.run, []

    def spoil(conversation: parent.Conversation) -> RenderResult:
        made = real(conversation)
        if not spoiled:
            spoiled.append(made)
            (rendition,) = made.renditions
            made = replace(made, renditions=(replace(rendition, data=rendition.data + b"more"),))
        return made

    monkeypatch.setattr(parent.Conversation, "run", spoil)
    assert _made(work) == render(picture(), SMALL)
    assert watch.workers() != before


IN_A_SANDBOX = """
from tests.pictures import picture
from tests.worker.pictures import SMALL, slow
from tests.worker.processes import Watch
from thumbsmith.errors import Rejected
from thumbsmith.image.render import render
from thumbsmith.reader import BytesReader
from thumbsmith.worker import Workers

watch, seen = Watch(), []
with Workers(count=1, isolation="shared") as work:
    for _ in range(3):
        assert work.render(BytesReader(picture()), SMALL).renditions == render(picture(), SMALL)
        seen.append(watch.workers())
    if seen[0]:
        for _ in range(2):
            try:
                work.render(BytesReader(picture()), slow(1))
            except Rejected as rejected:
                seen.append(str(rejected.code))
print(seen[0] == seen[1] == seen[2] != [], seen[3:])
"""


@pytest.mark.parametrize(
    ("refused", "expected"),
    [("prctl,seccomp,unshare", "True ['over_time', 'over_time']"), ("prlimit64", "False []")],
)
def test_children_are_shared_where_a_sandbox_allows_it(refused: str, expected: str):
    """Without prctl and seccomp a source is stopped after its CPU time too; without prlimit no child is used again."""
    command = [sys.executable, SANDBOX, "refuse", refused, sys.executable, "-c", IN_A_SANDBOX]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
    assert (done.stdout.strip(), done.stderr) == (expected, "")
