"""Measure how `thumbsmith work` scales: the same messages of a NATS stream, handled by one worker and by two.

PYTHONPATH=. python bench/work.py [--messages 200] [--rounds 3]

Each worker is a process with one job, from a folder to a folder. The pictures are photographs of 1.5 megapixels. The
time is from the first message in the stream until all are acknowledged, with workers that run already. Rounds with one
and with two workers alternate. On a machine with two busy cores, two workers get twice the share of the time of one, so
a ratio is only meaningful where the cores are otherwise idle.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nats
from PIL import Image
from tests.aws.scene import record
from tests.servers import processes

from thumbsmith.dispatch.jetstream import JetStreamQueue

RECIPE = "[variants.small]\nwidth = 256\n"


def photographs(folder: Path, count: int) -> list[str]:
    """Write the sources; return their names."""
    noise = Image.effect_noise((150, 100), 80).convert("RGB").resize((1500, 1000), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    noise.save(out, "JPEG", quality=88)
    names = [f"{number:05}.jpg" for number in range(count)]
    for name in names:
        (folder / name).write_bytes(out.getvalue())
    return names


def create(address: str, name: str) -> None:
    """Create a stream."""

    async def add() -> None:
        connection = await nats.connect(address)
        await connection.jetstream().add_stream(name=name, subjects=[name], retention="workqueue")
        await connection.close()

    asyncio.run(add())


def measure(folder: Path, address: str, name: str, messages: list[str], workers: int) -> float:
    """Return the seconds that some workers need for the messages."""
    create(address, name)
    command = [sys.executable, "-m", "thumbsmith", "work", f"{address}/{name}", "--jobs", "1"]
    command += ["--source", "photos", "--destination", f"thumbs-{name}"]
    running = [
        subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"THUMBSMITH_RECIPE": RECIPE},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for _ in range(workers)
    ]
    try:
        for process in running:
            assert process.stderr
            process.stderr.readline()  # it says that it works
        with JetStreamQueue(f"{address}/{name}") as queue:
            queue.waiting()
            start = time.monotonic()
            queue.send(messages)
            while queue.waiting():
                time.sleep(0.1)
            return time.monotonic() - start
    finally:
        for process in running:
            process.kill()
            process.wait()


def main() -> None:
    """Print the times, and the ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    times: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name, processes.nats() as address:
        folder = Path(name)
        (folder / "photos").mkdir()
        messages = [
            json.dumps({"Records": [record(key, bucket="photos")]})
            for key in photographs(folder / "photos", given.messages)
        ]
        for number in range(given.rounds):
            for workers in (1, 2):
                seconds = measure(folder, address, f"round{number}x{workers}", messages, workers)
                times[workers].append(seconds)
                print(f"{workers} workers: {seconds:.2f} s, {given.messages / seconds:.1f} images a second", flush=True)
    one, two = (statistics.median(times[workers]) for workers in (1, 2))
    print(f"two workers are {one / two:.2f} x as fast as one")


if __name__ == "__main__":
    main()
