"""Measure the parent process alone: `sync` with workers that sleep in place of working.

python bench/parent.py [--sources 2000] [--milliseconds 10] [--rounds 5] [FOLDER]

FOLDER is where the sources and their thumbnails are stored, by default a new folder in the temporary folder. A worker
sleeps for this time for each source and returns one thumbnail that was made before. The efficiency is the rate as a
part of the rate of workers that never wait for the parent. Each row is the median of the rounds.
"""

from __future__ import annotations

import argparse
import io
import shutil
import statistics
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from threading import Semaphore

from PIL import Image

from thumbsmith import Recipe, open_store, render
from thumbsmith.bulk.scan import Scope, scan
from thumbsmith.bulk.sync import sync
from thumbsmith.image.containers.base import Probe
from thumbsmith.reader import RangeReader
from thumbsmith.worker import THREADS_PER_WORKER, Work

RECIPE = Recipe.loads("[variants.small]\nwidth = 256\nformats = ['jpeg']\n")
SIZE = (640, 480)


class Sleeping:
    """Workers that sleep."""

    def __init__(self, workers: int, seconds: float, data: bytes) -> None:
        """Render the picture once."""
        self.free, self.seconds = Semaphore(workers), seconds
        self.work = Work(
            probe=Probe(format="jpeg", bytes=len(data), width=SIZE[0], height=SIZE[1]),
            renditions=render(data, RECIPE),
            color="#808080",
            thumbhash="",
            cpu_seconds=0.0,
            peak_memory=0,
        )

    def render(
        self,
        reader: RangeReader,  # noqa: ARG002 - nothing is decoded
        recipe: Recipe,  # noqa: ARG002 - as above
        wanted: Collection[str] | None = None,  # noqa: ARG002 - as above
    ) -> Work:
        """Wait for a free worker, then for the worker."""
        with self.free:
            time.sleep(self.seconds)
        return self.work


def measure(folder: Path, workers: int, seconds: float, data: bytes) -> tuple[float, float]:
    """Sync into an empty destination; return the sources per second, and the CPU milliseconds per source."""
    shutil.rmtree(folder / "thumbs", ignore_errors=True)
    scope = Scope(
        source=open_store(str(folder / "photos")), destination=open_store(str(folder / "thumbs")), recipe=RECIPE
    )
    renderer = Sleeping(workers, seconds, data)
    with scan(scope) as found:
        started, cpu = time.monotonic(), time.process_time()
        threads = THREADS_PER_WORKER * workers
        words = [each.word for each in sync(found, renderer=renderer, threads=threads, stop=lambda: False)]
    assert set(words) == {"made"}
    return len(words) / (time.monotonic() - started), (time.process_time() - cpu) / len(words) * 1000


def main() -> None:
    """Print one row for each number of workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=2_000)
    parser.add_argument("--milliseconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("folder", type=Path, nargs="?")
    options = parser.parse_args()
    stream = io.BytesIO()
    Image.effect_noise(SIZE, 60).convert("RGB").save(stream, "JPEG", quality=80)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder, seconds = Path(name), options.milliseconds / 1000
        (folder / "photos").mkdir()
        for number in range(options.sources):
            (folder / "photos" / f"IMG_{number:06}.jpg").write_bytes(stream.getvalue())
        print("| workers | sources/s | efficiency | CPU ms of the parent |\n|---|---|---|---|")
        for workers in (1, 2, 4, 8):
            rounds = [measure(folder, workers, seconds, stream.getvalue()) for _ in range(options.rounds)]
            rate, cpu = (statistics.median(each) for each in zip(*rounds, strict=True))
            print(f"| {workers} | {rate:,.0f} | {rate * seconds / workers:.0%} | {cpu:.2f} |", flush=True)


if __name__ == "__main__":
    main()
