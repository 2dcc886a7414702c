"""Workers make the same renditions as a render in this process, and report the same errors."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

import thumbsmith
from thumbsmith.errors import Code, MissingDecoder, Rejected, WorkerError
from thumbsmith.image.render import render
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Limits, Recipe
from thumbsmith.worker import Workers, parent, usable_cores
from thumbsmith.worker.launch import Launched
from thumbsmith.worker.parent import Work
from thumbsmith.worker.replies import RenderJob, RenderResult

from ..containers.files import HEIC
from ..corpus import hostile, needs_corpus, photos
from ..pictures import picture
from .pictures import SMALL, noise, slow
from .processes import Watch, linux
from .readers import interrupted


@pytest.fixture(scope="module")
def pool() -> Iterator[Workers]:
    """Give two workers for all tests that do not change them."""
    with Workers(count=2) as started:
        yield started


def _verdict(work: Workers | None, data: bytes, recipe: Recipe) -> object:
    """Return the renditions or the error; of a render in this process where no workers are given."""
    try:
        return work.render(BytesReader(data), recipe).renditions if work else render(data, recipe)
    except Rejected as rejected:
        return rejected.code, rejected.detail
    except MissingDecoder as missing:
        return str(missing)


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "webp", "tiff", "bmp", "avif"])
def test_a_worker_makes_what_rendering_makes(pool: Workers, kind: str):
    """From every format, to every format, byte for byte; and CPU time and memory are reported."""
    formats = 'formats = ["jpeg", "png", "webp", "avif"]'
    recipe = Recipe.loads(f"[variants.a]\nwidth = 60\n{formats}\n[variants.b]\nwidth = 20\nheight = 20\n{formats}")
    data = noise(kind=kind) if kind in ("jpeg", "png", "webp") else picture(kind=kind)
    work = pool.render(BytesReader(data), recipe)
    assert work.renditions == render(data, recipe)
    assert work.probe.format == kind
    assert 0 < work.cpu_seconds < 10
    assert 5 << 20 < work.peak_memory < 500 << 20


@linux
@pytest.mark.parametrize("launch", [Launched, lambda: None])
def test_a_worker_that_was_started_ahead_does_the_work(launch: Callable[[], Launched | None]):
    """A worker runs before the first source, launched by the program or by the workers, and no other is started."""
    watch = Watch()
    with Workers(count=1) as workers:
        workers.start(launch())
        (before,) = watch.templates()
        assert workers.render(BytesReader(picture()), SMALL).renditions == render(picture(), SMALL)
        assert watch.templates() == [before]
    assert watch.templates() == []
    with pytest.raises(WorkerError, match="the workers are closed"):
        workers.start()


def test_a_heic_is_made_too(pool: Workers):
    """Its decoder starts a thread, which is allowed."""
    assert _verdict(pool, HEIC, SMALL) == _verdict(None, HEIC, SMALL)


@needs_corpus
def test_photographs_come_out_the_same(pool: Workers):
    """A baseline and a progressive JPEG, CMYK, and a TIFF of real size give the same bytes as here."""
    chosen = [path for path in photos() if path.name.startswith(("lake-sherburne", "photo-24", "canyon"))]
    for path in chosen:
        data = path.read_bytes()
        work = pool.render(BytesReader(data), SMALL)
        assert work.renditions == render(data, SMALL), path.name
        assert work.peak_memory < 200 << 20, path.name


@needs_corpus
def test_hostile_files_have_the_same_outcome_as_here(pool: Workers):
    """Every tenth hostile file has the same outcome as in this process: the same renditions, or the same rejection."""
    recipe = Recipe(variants=SMALL.variants, limits=Limits(max_pixels=4_000_000))
    for path, _ in hostile()[::10]:
        data = path.read_bytes()
        assert _verdict(pool, data, recipe) == _verdict(None, data, recipe), path.name


def test_a_source_is_judged_before_it_is_read(pool: Workers):
    """Too many bytes, or none, need no worker and no read."""
    reader = interrupted(noise())
    with pytest.raises(Rejected) as rejected:
        pool.render(reader, Recipe(limits=Limits(max_bytes=1000)))
    assert rejected.value.code == Code.TOO_MANY_BYTES
    assert reader.asked == []
    with pytest.raises(Rejected) as rejected:
        pool.render(BytesReader(b""), SMALL)
    assert rejected.value.code == Code.EMPTY


def test_a_header_that_is_refused_costs_one_small_read(pool: Workers):
    """The first bytes alone are enough to reject by the header."""
    reader = interrupted(noise())
    with pytest.raises(Rejected) as rejected:
        pool.render(reader, Recipe(limits=Limits(max_side=100)))
    assert rejected.value.code == Code.TOO_LONG_SIDE
    assert len(reader.asked) == 1


def test_a_source_that_takes_too_long_is_rejected(pool: Workers):
    """After max_cpu_seconds it is over_time, with the limit in the message."""
    with pytest.raises(Rejected, match="max_cpu_seconds allows, 1 s") as rejected:
        pool.render(BytesReader(noise()), slow(1))
    assert rejected.value.code == Code.OVER_TIME


def test_there_is_a_core_to_use():
    """The default number of workers is at least one, and not more than the cores of the machine."""
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_a_broken_installation_names_the_module(monkeypatch: pytest.MonkeyPatch):
    """Where a worker cannot import a module, the error names it, and not only that the worker died."""
    ours = str(Path(thumbsmith.__path__[0]).parent)
    monkeypatch.setattr(sys, "path", [ours, *(entry for entry in sys.path if "site-packages" not in entry)])
    with Workers(count=1) as work, pytest.raises(WorkerError, match=r"could not start: ModuleNotFoundError.*PIL"):
        work.render(BytesReader(picture()), SMALL)


def test_an_interpreter_that_cannot_be_started_is_reported(monkeypatch: pytest.MonkeyPatch):
    """It is transient: a machine may have no process left for a moment."""
    monkeypatch.setenv("THUMBSMITH_PYTHON", "/nonexistent/python")
    with Workers(count=1) as work, pytest.raises(WorkerError, match="is not an interpreter") as raised:
        work.render(BytesReader(picture()), Recipe.default())
    assert raised.value.transient


def test_an_output_that_fails_its_check_is_never_returned(pool: Workers, monkeypatch: pytest.MonkeyPatch):
    """A rendition with additional bytes is an error of the worker, and does not reject the source."""
    real = parent.Conversation.run

    def spoiled(conversation: parent.Conversation) -> RenderResult:
        made = real(conversation)
        (rendition,) = made.renditions
        return replace(made, renditions=(replace(rendition, data=rendition.data + b"48.1372N"),))

    monkeypatch.setattr(parent.Conversation, "run", spoiled)
    with pytest.raises(WorkerError, match=r"made a small\.jpg that fails the output check: 8 bytes follow its end"):
        pool.render(BytesReader(picture()), SMALL)
    monkeypatch.undo()
    assert pool.render(BytesReader(picture()), SMALL).renditions


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of a process's memory is Linux's")
def test_the_ceiling_of_a_machine_with_little_memory():
    """Where the machine has less memory than the limits allow, over_memory says so; smaller sources are made."""
    with Workers(count=1, ceiling=96 << 20) as work:
        assert work.render(BytesReader(picture()), SMALL).renditions
        with pytest.raises(Rejected, match="than there is for one source, 100663296 bytes") as rejected:
            work.render(BytesReader(picture(size=(8000, 8000), kind="gif")), SMALL)
    assert rejected.value.code == Code.OVER_MEMORY


class Counting(Workers):
    """Workers that count how often they try."""

    attempts = 0

    def _attempt(self, job: RenderJob, until: float | None, extras: frozenset[str], *, fresh: bool) -> Work:
        self.attempts += 1
        return super()._attempt(job, until, extras, fresh=fresh)


@pytest.mark.skipif(find_spec("resvg_py") is None, reason="the extra documents is not installed")
@pytest.mark.parametrize("isolation", ["source", "shared"])
def test_the_packages_of_extras_are_loaded_when_a_source_needs_them(isolation: str):
    """A drawing takes a second child, for which its package is loaded; the next drawing takes one, as pictures do."""
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>'
    with Counting(1, isolation=isolation) as workers:
        counts = []
        for source in (picture(), drawing, picture(), drawing):
            workers.attempts = 0
            assert len(workers.render(source, Recipe.default()).renditions) == 3
            counts.append(workers.attempts)
    assert counts[:1] + counts[2:] == [1, 1, 1]
    assert counts[1] >= 2


@pytest.mark.skipif(find_spec("resvg_py") is None, reason="the extra documents is not installed")
def test_threads_that_need_the_same_extra_at_once_all_get_it():
    """While one thread has the package loaded, another that tried without it tries again too."""
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>'
    start = threading.Barrier(4)

    def draw(_: int) -> int:
        start.wait()
        return len(workers.render(drawing, Recipe.default()).renditions)

    with Workers(4) as workers, ThreadPoolExecutor(4) as threads:
        assert list(threads.map(draw, range(4))) == [3] * 4
