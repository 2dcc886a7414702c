"""Processes that die, are killed, closed or abandoned: the effect on a source, and that nothing is left behind."""

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from thumbsmith.environment import worker_environment
from thumbsmith.errors import Code, Rejected, SourceChanged, StoreError, ThumbsmithError, WorkerError
from thumbsmith.image.render import render
from thumbsmith.reader import BytesReader, RangeReader
from thumbsmith.recipe import Format, Recipe, Variant
from thumbsmith.worker import Workers

from ..pictures import picture
from .pictures import SMALL, noise, padded
from .processes import Watch, alive, children, descriptors, eventually, linux
from .readers import interrupted

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture
def watch() -> Watch:
    """Give the processes that a test starts."""
    return Watch()


@pytest.fixture
def work(watch: Watch) -> Iterator[Workers]:
    """Give one worker that no other test uses."""
    with Workers(count=1) as started:
        yield started


def _raiser(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@linux
def test_a_worker_sees_nothing_of_this_process(watch: Watch, work: Workers, monkeypatch: pytest.MonkeyPatch):
    """Template and child have only the environment of a worker, their own channels, and no terminal."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    seen: dict[int, tuple[set[str], list[str], int, str]] = {}

    def look() -> None:
        for pid in (*watch.templates(), *watch.workers()):
            environment = Path(f"/proc/{pid}/environ").read_bytes().rstrip(b"\0").split(b"\0")
            names = {entry.decode().partition("=")[0] for entry in environment}
            opened = [target.partition(":")[0] for target in descriptors(pid)]
            seen[pid] = names, opened, os.getsid(pid), str(Path(f"/proc/{pid}/cwd").readlink())

    with Path(__file__).open():
        work.render(interrupted(noise(), look), SMALL)
    template = watch.templates()[0]
    assert len(seen) == 2
    for pid, (names, opened, session, folder) in seen.items():
        # glibc cuts GLIBC_TUNABLES to pieces where it lies
        assert {name for name in names if not name.startswith("glibc.")} == set(worker_environment())
        assert opened == ["/dev/null", "/dev/null", "pipe", "socket"]
        assert (session, folder) == (template, "/"), pid


@linux
@pytest.mark.parametrize("kill", [Watch.kill_worker, Watch.kill_template])
def test_a_killed_process_costs_its_source_a_second_attempt(watch: Watch, work: Workers, kill: Callable[[Watch], None]):
    """SIGKILL of the child or its template during a source: a fresh one makes the same thumbnails."""
    reader = interrupted(noise(), lambda: kill(watch))
    assert work.render(reader, SMALL).renditions == render(noise(), SMALL)
    assert len(reader.asked) > len(set(reader.asked))


@linux
def test_a_template_that_died_while_idle_is_replaced(watch: Watch, work: Workers):
    """The next source is made as usual."""
    for _ in range(2):
        assert work.render(BytesReader(picture()), SMALL).renditions
        watch.kill_template()
    assert work.render(BytesReader(picture()), SMALL).renditions


@linux
def test_a_source_over_which_two_processes_die_is_transient(watch: Watch, work: Workers):
    """After a second death it is a WorkerError, which is transient; the next source is made."""
    with pytest.raises(WorkerError, match="signal 9") as died:
        work.render(interrupted(noise(), watch.kill_worker, watch.kill_worker, watch.kill_worker), SMALL)
    assert died.value.transient
    assert work.render(BytesReader(noise()), SMALL).renditions


@linux
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_decoder_that_crashes_rejects_its_source(watch: Watch, work: Workers, number: signal.Signals):
    """A crash rejects the source at once, and affects no other source."""
    work.render(BytesReader(picture()), SMALL)
    before = watch.templates()
    with pytest.raises(Rejected) as rejected:
        work.render(interrupted(noise(), lambda: watch.kill_worker(number)), SMALL)
    assert rejected.value.code == Code.CORRUPT
    assert watch.templates() == before


@linux
def test_a_source_that_takes_too_much_memory_is_rejected(watch: Watch, work: Workers):
    """Where memory ends during decoding, which needs more than the process has reserved, it is over_memory."""
    whole = Recipe(variants=(Variant(name="half", width=3000, formats=(Format.JPEG,)),))

    def starve() -> None:
        resource.prlimit(watch.workers()[0], resource.RLIMIT_AS, (1 << 20, 1 << 20))

    with pytest.raises(Rejected) as rejected:
        work.render(interrupted(padded(6000, 4000), starve), whole)
    assert rejected.value.code == Code.OVER_MEMORY


class Wretched(Exception):
    """An unexpected exception."""


@linux
@pytest.mark.parametrize(
    "error",
    [SourceChanged("gone"), StoreError("down", transient=True), OSError("disk"), KeyboardInterrupt(), Wretched()],
)
def test_what_a_reader_raises_comes_out_as_it_is(watch: Watch, work: Workers, error: BaseException):
    """The same exception reaches the caller, no child is left, and the workers continue."""
    with pytest.raises(type(error)) as raised:
        work.render(interrupted(noise(), _raiser(error)), SMALL)
    assert raised.value is error
    assert watch.workers() == []
    assert work.render(BytesReader(noise()), SMALL).renditions


@linux
def test_many_threads_share_few_workers(watch: Watch):
    """Eight threads over two workers each get the renditions of their source, with at most two children."""
    crowd: list[int] = []
    sources = [noise(400, 300, seed=seed) for seed in range(8)]

    def make(data: bytes) -> object:
        reader = interrupted(data, lambda: crowd.append(len(watch.workers())))
        return work.render(reader, SMALL).renditions

    with Workers(count=2) as work, ThreadPoolExecutor(8) as threads:
        assert list(threads.map(make, sources)) == [render(data, SMALL) for data in sources]
        assert len(watch.templates()) <= 2
    assert len(crowd) == 8
    assert max(crowd) <= 2


def test_predicted_memory_makes_sources_wait():
    """With memory for one source, sources are decoded one by one, although there are more workers."""
    order: list[int] = []

    class Noting(BytesReader):
        """A reader that records reads behind the header, which only an admitted child makes."""

        def read(self, offset: int, length: int) -> bytes:
            """Record it, and give the other threads time."""
            if offset:
                order.append(id(self))
                threading.Event().wait(0.01)
            return super().read(offset, length)

    sources = [Noting(noise(1400, 1400, "png", seed)) for seed in range(4)]  # more than is asked for at a time
    with Workers(count=4, memory=1) as work, ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda source: work.render(source, SMALL), sources))
    turns = [source for index, source in enumerate(order) if index == 0 or order[index - 1] != source]
    assert len(order) > len(sources)
    assert sorted(turns) == sorted(id(source) for source in sources)


@linux
def test_closing_ends_what_is_under_way(watch: Watch):
    """A caller that waits for a closed worker gets WorkerError; no process, zombie or descriptor is left."""
    before = descriptors()
    work = Workers(count=1)
    with pytest.raises(WorkerError, match="closed"):
        work.render(interrupted(noise(), work.close), SMALL)
    assert watch.templates() == []
    assert descriptors() == before
    with pytest.raises(WorkerError, match="closed"):
        work.render(BytesReader(picture()), SMALL)
    work.close()


@linux
def test_nothing_is_left_behind(watch: Watch):
    """After work, deaths and rejections, closing leaves the same processes and descriptors as before."""
    before = (descriptors(), children(os.getpid()))
    sources: list[RangeReader] = [
        BytesReader(picture()),
        BytesReader(b"no picture"),
        interrupted(noise(), watch.kill_worker),
        interrupted(noise(), watch.kill_template),
        interrupted(noise(), _raiser(SourceChanged("gone"))),
    ]
    outcomes = []
    with Workers(count=2) as work:
        for source in sources:
            try:
                work.render(source, SMALL)
            except ThumbsmithError as error:
                outcomes.append(type(error))
    assert outcomes == [Rejected, SourceChanged]
    assert (descriptors(), children(os.getpid())) == before


VICTIM = """
import os, signal
from tests.worker.pictures import SMALL, noise
from tests.worker.processes import Watch
from tests.worker.readers import interrupted
from thumbsmith.worker import Workers

def die():
    print(*watch.templates(), *watch.workers(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

watch = Watch()
Workers(count=1).render(interrupted(noise(), die), SMALL)
"""


@linux
def test_workers_do_not_outlive_a_process_that_is_killed():
    """SIGKILL of the process that uses them ends template and child, during a source."""
    command = [sys.executable, "-c", VICTIM]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    orphans = [int(pid) for pid in done.stdout.split()]
    assert len(orphans) == 2
    assert eventually(lambda: not any(alive(pid) for pid in orphans))


SHARING = """
import os
from tests.pictures import picture
from tests.worker.pictures import SMALL
from tests.worker.processes import Watch
from thumbsmith.reader import BytesReader
from thumbsmith.worker import shared

def make():
    return bool(shared().render(BytesReader(picture()), SMALL).renditions)

watch = Watch()
assert shared() is shared()
assert make()
ours = shared()
child = os.fork()
if child == 0:
    assert make() and shared() is not ours
    ours.close()
    raise SystemExit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert make()
print(*watch.templates())
"""


@linux
def test_all_of_a_process_shares_its_workers():
    """They end with the process; a fork has its own, and does not affect those of its parent."""
    command = [sys.executable, "-c", SHARING]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.split()) == 1
    assert not any(alive(int(pid)) for pid in done.stdout.split())
