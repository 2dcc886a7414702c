"""Without limits on the header, the CPU budget ends a bomb in time, and other sources are hardly affected."""

import os
import subprocess
import sys
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

# All limits are so high that nothing is rejected by its header: only the CPU time is limited.
OPEN = Recipe(
    variants=Recipe.default().variants,
    limits=Limits(max_pixels=1 << 40, max_side=1 << 30, max_scans=1 << 20, max_memory=1 << 30, max_cpu_seconds=SECONDS),
)


def test_the_budget_ends_a_bomb():
    """Scans that take far more CPU time than the limit are ended by the limit."""
    with bench(OPEN) as trial:
        verdict = trial(scans_jpeg(9000, 3, 14))
    assert verdict.outcome == Code.OVER_TIME
    assert verdict.decoded
    assert verdict.cpu_seconds < 2 * SECONDS


@pytest.mark.deep
def test_the_budget_ends_a_bomb_in_time():
    """Such scans end at the limit, at most a tenth later.

    The kernel counts ticks for the limit: where others wait for the core these are too many, and any process with such
    a limit ends early. So not before is not before one that does nothing but count.
    """
    with bench(OPEN) as trial:
        verdict = trial(scans_jpeg(9000, 3, 14))
    assert 0.9 * min(SECONDS, _kernels_seconds()) <= verdict.cpu_seconds <= 1.1 * SECONDS


def _kernels_seconds() -> float:
    """Return the CPU time after which the kernel ends a busy process with a limit of `SECONDS`."""
    code = f"import resource; resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS + 1}))\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", code])
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime


@pytest.mark.deep
def test_others_keep_their_throughput_beside_a_bomb():
    """While one of two workers gets only bombs, the other makes at least 80 % of what it makes alone."""
    picture, bomb = noise(1200, 900), scans_jpeg(9000, 3, 14)
    with Workers(count=2) as workers:
        rates: dict[bool, float] = {False: 0.0, True: 0.0}
        for bombed in (False, True) * 6:  # in turns, so that other load of the machine affects both
            rates[bombed] += _rate(workers, picture, (lambda: _blown_up(workers, bomb)) if bombed else None)
    assert rates[True] >= 0.8 * rates[False], rates


def _blown_up(workers: Workers, bomb: bytes) -> None:
    with pytest.raises(Rejected):
        workers.render(BytesReader(bomb), OPEN)


def _rate(workers: Workers, picture: bytes, beside: Callable[[], None] | None) -> float:
    """Return the number of thumbnails that one thread makes in two seconds, while another does something else."""
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
