"""The parent's side of one source: a child that lies, hangs or dies affects only that source."""

import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from thumbsmith.errors import Code, Rejected, StoreError, WorkerError
from thumbsmith.image.probe import Probe
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Limits
from thumbsmith.worker.budget import Budget
from thumbsmith.worker.parent import GRANTED_BYTES, classify_exit, render_in_child, wall_clock_limit
from thumbsmith.worker.processes import Child, ChildExit, Setup, Template
from thumbsmith.worker.replies import RenderJob
from thumbsmith.worker.wire import Channel, PeerClosed

from ..pictures import picture
from .pictures import SMALL, noise
from .processes import Watch, linux
from .readers import interrupted


class Pretender:
    """A stand-in for a template, with a thread as a child that sends what a test wants."""

    def __init__(self, say: Callable[[Channel, socket.socket], None], status: int = 0) -> None:
        self.busy = False
        self._say = say
        self._status = status
        self._thread = threading.Thread(target=self._speak)

    def child(self, setup: Setup, *, fresh: bool = False) -> Child:
        """Start the child."""
        assert not fresh
        self.busy = True
        self._ours, self._theirs = socket.socketpair()
        self._thread.start()
        return Child(self._ours, setup)

    def keep_child(self) -> None:
        """Keep no child."""

    def end_child(self) -> ChildExit:
        """Wait for it."""
        self._ours.close()
        self._thread.join()
        self.busy = False
        return ChildExit(self._status, 0.5, 1000)

    def _speak(self) -> None:
        with self._theirs as end:
            channel = Channel(end)
            try:
                channel.receive(1 << 30)
                self._say(channel, end)
            except (PeerClosed, OSError):
                pass


def _attempt(
    say: Callable[[Channel, socket.socket], None],
    reader: Any = None,
    *,
    budget: Budget | None = None,
    **settings: Any,
) -> object:
    """Return the outcome of a child that sends this."""
    pretender = Pretender(say, settings.pop("status", 0))
    try:
        return render_in_child(
            RenderJob(reader or BytesReader(picture()), SMALL, None), pretender, budget or Budget(1 << 30), **settings
        )  # type: ignore[arg-type]
    finally:
        pretender._ours.close()
        pretender._thread.join()


def _admitted_twice(channel: Channel, _: socket.socket) -> None:
    for _ in range(2):
        channel.send("admit", memory=1 << 29)
        channel.receive(0)
    channel.receive(0)


PROBE = Probe(format="jpeg", bytes=len(picture()), width=60, height=40)
ONE = {"name": "small.jpg", "width": 1, "height": 1}


@pytest.mark.parametrize(
    "say",
    [
        lambda channel, end: end.sendall(b"\xff" * 1000),
        lambda channel, end: end.sendall(b"\0\0\0\2{}"),
        lambda channel, end: channel.send("hello"),
        lambda channel, end: channel.send("read", offset=0, length=1 << 40),
        lambda channel, end: channel.send("made", probe={}, renditions=[], color=None, thumbhash=None),
        lambda channel, end: channel.send(
            "made", bytes(9), probe=asdict(PROBE), renditions=[ONE] * 5, color=None, thumbhash=None
        ),
        lambda channel, end: channel.send(
            "made", *[b"x"] * 9999, probe=asdict(PROBE), renditions=[ONE], color=None, thumbhash=None
        ),
        lambda channel, end: end.sendall(b'\0\0\0\x35{"kind": "made", "fields": {}, "blobs": [99999999999]}'),
        _admitted_twice,
    ],
    ids=["noise", "shape", "word", "range", "probe", "more", "blobs", "size", "admitted-twice"],
)
def test_a_child_that_breaks_the_protocol_is_a_worker_error(say: Callable[[Channel, socket.socket], None]):
    """Garbage, lies and floods are a transient error of that source, and no result."""
    with pytest.raises(WorkerError, match="broke the protocol"):
        _attempt(say)


def test_two_children_do_not_wait_for_the_memory_of_each_other():
    """A child that needs more than it was granted gives that back before it waits."""
    budget = Budget(GRANTED_BYTES * 2)
    both = threading.Barrier(2, timeout=30)

    def say(channel: Channel, _: socket.socket) -> None:
        both.wait()
        channel.send("admit", memory=GRANTED_BYTES * 2)
        assert channel.receive(0).kind == "go"
        channel.send("rejected", code="corrupt", detail="admitted")

    with ThreadPoolExecutor(2) as threads:
        attempts = [threads.submit(_attempt, say, budget=budget) for _ in range(2)]
        outcomes = [each.exception(30) for each in attempts]
    assert [str(each) for each in outcomes] == ["corrupt: admitted"] * 2


def test_a_child_cannot_read_forever():
    """The bytes that a child requests from the store are limited, so that no source causes a high bill."""
    asked: list[int] = []

    def say(channel: Channel, _: socket.socket) -> None:
        while True:
            channel.send("read", offset=0, length=500_000)
            asked.append(len(channel.receive(500_000).blobs[0]))

    with pytest.raises(WorkerError, match="again and again"):
        _attempt(say, BytesReader(bytes(1_000_000)))
    assert 10_000_000 < sum(asked) < 200_000_000


def test_a_child_without_a_result_is_classified_by_its_exit():
    """Its wait status decides whether the source is rejected."""
    with pytest.raises(Rejected) as rejected:
        _attempt(lambda channel, end: None, status=signal.SIGSEGV)
    assert rejected.value.code == Code.CORRUPT
    with pytest.raises(WorkerError, match="exit code 3"):
        _attempt(lambda channel, end: None, status=3 << 8)


def test_the_stores_time_is_not_the_childs():
    """A store may take longer than a child may."""

    def say(channel: Channel, _: socket.socket) -> None:
        channel.send("read", offset=0, length=1)
        channel.receive(1)
        channel.send("rejected", code="corrupt", detail="as it were")

    class Slow(BytesReader):
        """A reader over a slow store."""

        def read(self, offset: int, length: int) -> bytes:
            """Take more time than the child has."""
            threading.Event().wait(2.1)
            return super().read(offset, length)

    with pytest.raises(Rejected, match="as it were"):
        _attempt(say, Slow(picture()), seconds=2)


def test_a_store_that_fails_at_once_is_reported():
    """The parent makes the first read, and its error is raised unchanged."""

    class Failing(BytesReader):
        """A reader over a store that is down."""

        def read(self, offset: int, length: int) -> bytes:
            """Fail."""
            raise failure

    failure = StoreError("down", transient=True)
    with pytest.raises(StoreError) as raised:
        _attempt(lambda channel, end: None, Failing(picture()))
    assert raised.value is failure


@linux
def test_a_child_that_hangs_is_stopped():
    """After its wall clock limit a child is stopped, and can be killed with its template."""
    watch, template = Watch(), Template()
    try:
        assert render_in_child(RenderJob(BytesReader(picture()), SMALL, None), template, Budget(1 << 30)).renditions
        reader = interrupted(noise(), lambda: watch.kill_worker(signal.SIGSTOP))
        with pytest.raises(WorkerError, match="hung"):
            render_in_child(RenderJob(reader, SMALL, None), template, Budget(1 << 30), seconds=2)
        assert template.busy
        assert len(watch.workers()) == 1
    finally:
        template.discard()
    assert not Path(f"/proc/{template.pid}").exists()
    assert watch.templates() == []


def test_a_dead_template_takes_no_job():
    """A dead template raises PeerClosed, and killing it again does nothing."""
    template = Template()
    template.kill()
    with pytest.raises(PeerClosed):
        template.child(Setup(SMALL, None, shared=False))
    template.discard()


@pytest.mark.parametrize(
    ("status", "code"),
    [(signal.SIGXCPU, Code.OVER_TIME), (signal.SIGSEGV, Code.CORRUPT), (signal.SIGILL, Code.CORRUPT)],
)
def test_crashes_and_cpu_time_are_rejections(status: int, code: Code):
    """CPU time and crashes reject the source."""
    verdict = classify_exit(status, Limits())
    assert isinstance(verdict, Rejected)
    assert verdict.code == code


@pytest.mark.parametrize(
    ("status", "how"), [(9, "signal 9"), (15, "signal 15"), (3 << 8, "exit code 3"), (0, "exit code 0")]
)
def test_any_other_death_is_transient(status: int, how: str):
    """Killed from outside, or ended without a result: the cause is unknown, and a retry may help."""
    verdict = classify_exit(status, Limits())
    assert isinstance(verdict, WorkerError)
    assert how in str(verdict)


def test_the_wall_clock_is_far_above_the_cpu_time():
    """A busy machine makes no source fail."""
    assert wall_clock_limit(Limits(max_cpu_seconds=10)) == 130
