"""Half an hour at full load, with hostile files among valid ones: nothing grows, leaks or slows down."""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from statistics import median

import pytest

from tests.corpus import hostile, needs_corpus, photos
from tests.hostile.bombs import scan_bombs
from tests.hostile.trials import ISOLATIONS, Kind
from tests.worker.processes import alive, children, descriptors, linux
from thumbsmith.errors import Rejected
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Recipe
from thumbsmith.worker import Workers

SECONDS = float(os.environ.get("THUMBSMITH_SOAK_SECONDS", "1800"))
SLICE_SECONDS = 15.0
THREADS = 2


def _resident(pid: int) -> int:
    """Return the private memory of a process in bytes, without pages of files."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon"))) * 1024


class State:
    """The memory and descriptors of this process and its templates.

    A child that waits for another source has one descriptor in its template and one here: these are not counted.
    """

    def __init__(self) -> None:
        """Measure them."""
        here = os.getpid()
        templates = [pid for pid in children(here) if alive(pid)]
        family = [here, *templates]
        waiting = {pid: len(children(pid)) for pid in templates}
        waiting[here] = sum(waiting.values())
        self.memory = sum(_resident(pid) for pid in family)
        self.descriptors = [len(descriptors(pid)) - waiting[pid] for pid in family]
        self.zombies = [pid for pid in children(here) if not alive(pid)]


def _good() -> Iterator[bytes]:
    return itertools.cycle([path.read_bytes() for path in photos() if path.suffix == ".jpg"][:6])


def _mixed(good: Iterator[bytes]) -> Iterator[bytes]:
    """Yield valid files, and a hostile one every twenty files."""
    bad = itertools.cycle([*(path.read_bytes() for path, _ in hostile()[::7]), *(each.data for each in scan_bombs())])
    for number in itertools.count():
        yield next(bad) if number % 20 == 19 else next(good)


def _slice(render: Callable[[bytes], None], files: Iterator[bytes]) -> float:
    """Return the number of files per second in one slice of time."""
    started = time.monotonic()
    done = 0
    with ThreadPoolExecutor(THREADS) as threads:
        while time.monotonic() - started < SLICE_SECONDS:
            batch = [next(files) for _ in range(20)]
            list(threads.map(render, batch))
            done += len(batch)
    return done / (time.monotonic() - started)


@linux
@needs_corpus
@pytest.mark.deep
@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_half_an_hour_of_load_leaves_no_trace(isolation: Kind):
    """Memory stays within 5 %, descriptors stay the same, no zombies remain, and throughput stays above 90 %.

    Each kind of isolation has a quarter of an hour.
    """
    recipe = Recipe.default()
    with Workers(count=THREADS, isolation=isolation) as workers:

        def render(data: bytes) -> None:
            with suppress(Rejected):
                workers.render(BytesReader(data), recipe)

        good = _good()
        mixed = _mixed(good)
        _slice(render, mixed)
        before = State()
        ratios, ended = [], time.monotonic() + SECONDS / len(ISOLATIONS)
        while time.monotonic() < ended:
            alone = _slice(render, good)
            ratios.append(_slice(render, mixed) / alone)
        after = State()
    assert after.memory <= 1.05 * before.memory, (before.memory, after.memory)
    assert sorted(after.descriptors) == sorted(before.descriptors)
    assert after.zombies == []
    assert median(ratios) >= 0.9, ratios
