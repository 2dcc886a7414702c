"""The time of `sync` after `chmod -R`, compared with a run without work plus reading every source once.

    python bench/touched.py [FOLDER]

COUNT photographs (those in FOLDER, by default the corpus, repeatedly) of at most LARGEST bytes have thumbnails. Then
their modes change, and so their etags, but not their bytes: nothing may be made. Each round measures all in turn, in
other processes. Digesting every source in one thread is shown for comparison: `sync` cannot take less. Results are
median seconds by wall clock and of CPU, user and system.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from statistics import median

from folder import photos
from thumbsmith import Recipe, converge, open_store
from thumbsmith.reader import RangeReader
from thumbsmith.worker import Work, Workers

COUNT = int(os.environ.get("COUNT", "5000"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
IN_A_FOLDER = 100
LARGEST = 2 << 20
MOST = 1.5  # times a run without work plus reading every source once
READ_ALL = """
import sys
from pathlib import Path
buffer = bytearray(1 << 20)
for path in Path(sys.argv[1]).rglob("*.jpg"):
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
"""
DIGEST_ALL = """
import hashlib, sys
from pathlib import Path
for path in Path(sys.argv[1]).rglob("*.jpg"):
    with path.open("rb", buffering=0) as file:
        hashlib.file_digest(file, "sha256")
"""


@dataclass
class Remembering:
    """Workers that render equal bytes only once."""

    workers: Workers
    made: dict[bytes, Work] = field(default_factory=dict)

    def render(self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None) -> Work:
        """Return the thumbnails of a source."""
        digest = sha256(reader.read(0, reader.size)).digest()
        if digest not in self.made:
            self.made[digest] = self.workers.render(reader, recipe, wanted)
        return self.made[digest]


def main() -> None:
    """Print the times and the ratio."""
    with tempfile.TemporaryDirectory(prefix="thumbsmith-touched-") as name:
        folder = Path(name)
        size = prepared(folder)
        sync(folder)  # fills the manifest cache
        names = ("nothing to do", "read all", "digest all", "after chmod")
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for number in range(ROUNDS):
            taken["read all"].append(run([sys.executable, "-c", READ_ALL, folder / "photos"], folder)[:2])
            taken["digest all"].append(run([sys.executable, "-c", DIGEST_ALL, folder / "photos"], folder)[:2])
            taken["nothing to do"].append(sync(folder))
            subprocess.run(
                ["chmod", "-R", "u=rw,go=r,a+X" if number % 2 else "u=rw,go=,u+X", folder / "photos"], check=True
            )
            taken["after chmod"].append(sync(folder))
    report(taken, size)


def prepared(folder: Path) -> int:
    """Copy the photographs, and make their thumbnails; return the total bytes of the copies."""
    contents = [each.read_bytes() for each in photos(sys.argv) if each.stat().st_size <= LARGEST]
    source, destination = open_store(folder / "photos"), open_store(folder / "thumbs")
    size = 0
    with Workers(count=1) as workers:
        renderer = Remembering(workers)
        for number in range(COUNT):
            path = folder / "photos" / f"{number // IN_A_FOLDER:03}" / f"{number:05}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            size += path.write_bytes(contents[number % len(contents)])
            converge(str(path.relative_to(folder / "photos")), source, destination, Recipe.default(), renderer=renderer)
    return size


def sync(folder: Path) -> tuple[float, float]:
    """Run sync; return the wall clock and CPU seconds. Raises SystemExit unless all sources are fresh."""
    command = [sys.executable, "-m", "thumbsmith", "sync", "photos", "thumbs", "--json"]
    clock, cpu, output = run(command, folder)
    summary = json.loads(output.splitlines()[-1])
    if (summary["fresh"], summary["made"]) != (COUNT, 0):
        raise SystemExit(f"expected {COUNT} fresh sources: {summary}")
    return clock, cpu


def run(command: Sequence[str | Path], folder: Path) -> tuple[float, float, str]:
    """Run a command; return wall clock seconds, CPU seconds of all its processes, and its output."""
    before, started = os.times(), time.perf_counter()
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - started, cpu, done.stdout


def report(taken: dict[str, list[tuple[float, float]]], size: int) -> None:
    """Print a line for each measurement, and the ratio."""
    print(f"{COUNT:,} sources of {size / COUNT / 1000:,.0f} kB")
    for name, times in taken.items():
        clock, cpu = (median(column) for column in zip(*times, strict=True))
        print(f"{name:16}{clock:8.2f} s{cpu:8.2f} s of CPU")
    for column, what in enumerate(("clock", "CPU")):
        least = sum(median(each[column] for each in taken[name]) for name in ("nothing to do", "read all"))
        times = median(each[column] for each in taken["after chmod"]) / least
        print(f"after chmod / (nothing to do + read all), {what}: {times:.2f}, at most {MOST}")


if __name__ == "__main__":
    main()
