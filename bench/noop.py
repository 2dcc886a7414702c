"""Measure a run with nothing to do: `sync` and `plan` of an unchanged folder, and `rsync -a` beside them.

python bench/noop.py [--sources 10000] [--rounds 5] [--default] [FOLDER]

FOLDER is filled if it is missing, and kept, for the next time. The sources are one small picture under many names.
Their thumbnails are real: `converge` writes them, with a renderer that has made them once. By default there is one
thumbnail for each source; --default takes the default recipe, with three. rsync compares a copy of both folders.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from thumbsmith import Recipe, converge, open_store, render
from thumbsmith.image.containers.base import Probe
from thumbsmith.reader import RangeReader
from thumbsmith.worker import Work

ONE = "[variants.small]\nwidth = 256\nformats = ['jpeg']\n"
PER_FOLDER = 10_000


class Ready:
    """A renderer that has the thumbnails already."""

    def __init__(self, data: bytes, recipe: Recipe) -> None:
        """Render the picture once."""
        with Image.open(io.BytesIO(data)) as opened:
            self.probe = Probe(format="jpeg", bytes=len(data), width=opened.width, height=opened.height)
        self.renditions = render(data, recipe)

    def render(
        self,
        reader: RangeReader,  # noqa: ARG002 - the picture was rendered before
        recipe: Recipe,  # noqa: ARG002 - as above
        wanted: Collection[str] | None = None,  # noqa: ARG002 - as above
    ) -> Work:
        """Return the thumbnails."""
        return Work(
            probe=self.probe, renditions=self.renditions, color="#808080", thumbhash="", cpu_seconds=0.0, peak_memory=0
        )


def fill(folder: Path, sources: int, recipe: Recipe) -> None:
    """Create the sources, and their thumbnails without waiting for the disk."""
    stream = io.BytesIO()
    Image.effect_noise((64, 48), 60).convert("RGB").save(stream, "JPEG")
    renderer = Ready(stream.getvalue(), recipe)
    keys = [f"{number // PER_FOLDER:03}/IMG_{number:08}.jpg" for number in range(sources)]
    for key in keys:
        path = folder / "photos" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stream.getvalue())
    source, destination = open_store(str(folder / "photos")), open_store(str(folder / "thumbs"))
    flush, os.fsync = os.fsync, lambda _descriptor: None
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda key: converge(key, source, destination, recipe, renderer=renderer), keys))
    finally:
        os.fsync = flush


def measure(command: list[str], folder: Path) -> tuple[float, float, float, str]:
    """Run a command; return seconds, CPU seconds, the largest peak memory of its processes in MB, and its output."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    code = "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]); " + (
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); sys.exit(done.returncode)"
    )
    ran = subprocess.run([sys.executable, "-c", code, *command], cwd=folder, capture_output=True, text=True, check=True)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, int(ran.stderr.split()[-1]) / 1024, ran.stdout


def main() -> None:
    """Fill the folder, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--default", action="store_true")
    parser.add_argument("folder", type=Path, nargs="?")
    options = parser.parse_args()
    recipe = Recipe.default() if options.default else Recipe.loads(ONE)
    folder = (options.folder or Path(f"/tmp/thumbsmith-noop-{options.sources}{'-default' * options.default}")).resolve()
    if not folder.exists():
        (folder / "state").mkdir(parents=True)
        (folder / "thumbsmith.toml").write_text("" if options.default else ONE)
        fill(folder, options.sources, recipe)
        shutil.copytree(folder / "photos", folder / "copy" / "photos")
        shutil.copytree(folder / "thumbs", folder / "copy" / "thumbs")
        subprocess.run(["rsync", "-a", "photos", "thumbs", "copy/"], cwd=folder, check=True)
    os.environ["XDG_CACHE_HOME"] = str(folder / "state")
    program = [sys.executable, "-m", "thumbsmith"]
    commands = {
        "sync": [*program, "sync", "photos", "thumbs"],
        "sync --json": [*program, "sync", "photos", "thumbs", "--json"],
        "plan": [*program, "plan", "photos", "thumbs"],
        "start (--help)": [*program, "sync", "--help"],
        "rsync -a": ["rsync", "-a", "photos", "thumbs", "copy/"],
    }
    *_, first = measure([*commands["sync"], "--json"], folder)  # reads the manifests once
    summary = json.loads(first.splitlines()[-1])
    assert summary["fresh"] == options.sources, summary
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, command in commands.items():
            rows[name].append(measure(command, folder)[:3])
    for name, row in rows.items():
        seconds, cpu, memory = (statistics.median(each) for each in zip(*row, strict=True))
        print(
            f"{name:15} {seconds:7.2f} s {cpu:7.2f} s CPU {options.sources / seconds:10,.0f} sources/s {memory:6.0f} MB"
        )


if __name__ == "__main__":
    main()
