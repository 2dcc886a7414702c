"""With nothing refused beforehand, the budget ends a bomb in time, and others hardly notice."""

import threading
import time
from collections.abc import Callable

import pytest

from tests.hostile.bombs import scans_jpeg
from tests.hostile.trials import bench
from tests.worker.pictures import noise
from thumbsmith.errors import Code, Rejected
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Limits, Recipe
from thumbsmith.worker import Workers

SECONDS = 2

# Every limit so wide that nothing is judged beforehand: only the CPU time is what it is.
OPEN = Recipe(
    variants=Recipe.default().variants,
    limits=Limits(max_pixels=1 << 40, max_side=1 << 30, max_scans=1 << 20, max_memory=1 << 30, max_cpu_seconds=SECONDS),
)


def test_the_budget_ends_a_bomb_in_time():
    """40 CPU seconds of scans, unjudged: over at the limit of 2 seconds, by at most a tenth.

    The kernel ends it by the ticks that it counts, and tells the time that was taken: where others wait for the core it
    counts too many, and ends it up to a sixth too early. So it is tried until one is near, five times at most.
    """
    bomb = scans_jpeg(9000, 3, 14)
    near = False
    with bench(OPEN) as trial:
        for _ in range(5):
            verdict = trial(bomb)
            assert verdict.outcome == Code.OVER_TIME
            assert verdict.decoded
            assert verdict.cpu_seconds <= 1.1 * SECONDS
            near = near or verdict.cpu_seconds >= 0.9 * SECONDS
            if near:
                break
    assert near


@pytest.mark.deep
def test_others_keep_their_throughput_beside_a_bomb():
    """While one of two workers is blown up again and again, the other makes at least 80 % of what it makes alone."""
    picture, bomb = noise(1200, 900), scans_jpeg(9000, 3, 14)
    with Workers(count=2) as workers:
        rates: dict[bool, float] = {False: 0.0, True: 0.0}
        for bombed in (False, True) * 6:  # in turns, so that whatever else the machine does counts for both
            rates[bombed] += _rate(workers, picture, (lambda: _blown_up(workers, bomb)) if bombed else None)
    assert rates[True] >= 0.8 * rates[False], rates


def _blown_up(workers: Workers, bomb: bytes) -> None:
    with pytest.raises(Rejected):
        workers.render(BytesReader(bomb), OPEN)


def _rate(workers: Workers, picture: bytes, beside: Callable[[], None] | None) -> float:
    """Return how many pictures one thread makes in two seconds, while another does something else all the time."""
    over = threading.Event()

    def again() -> None:
        while beside and not over.is_set():
            beside()

    thread = threading.Thread(target=again)
    thread.start()
    started, made = time.monotonic(), 0
    while time.monotonic() - started < 2:
        workers.render(BytesReader(picture), OPEN)
        made += 1
    rate = made / (time.monotonic() - started)
    over.set()
    thread.join()
    return rate
