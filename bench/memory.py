"""Peak memory of whole commands with the default recipe, all processes together, beside sharp and vipsthumbnail.

    PYTHONPATH=. python bench/memory.py [FILE...]

Each command makes the thumbnails of one file. A sampler adds the proportional set size (PSS in
/proc/PID/smaps_rollup: shared pages are divided between their users) of the command and all its descendants, every few
milliseconds. A cell is the median of the peaks of ROUNDS runs in turn, in megabytes. Linux only. By default the files
are a PNG of 100 megapixels, a progressive JPEG of 24 and a WebP of 12, made from the corpus.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from PIL import Image

from flow import DEFAULT, OURS, settings, vipsthumbnail
from folder import photos
from material import emptied
from speed import NODE, PEERS

ROUNDS = 5
SAMPLE_SECONDS = 0.004
FILES: dict[str, tuple[int, str, dict[str, object]]] = {
    "100 MP PNG": (100, "png", {"compress_level": 1}),
    "24 MP progressive JPEG": (24, "jpeg", {"quality": 88, "progressive": True}),
    "12 MP WebP": (12, "webp", {"quality": 85, "method": 2}),
}


def main() -> None:
    """Print a row for each file."""
    with tempfile.TemporaryDirectory(prefix="thumbsmith-memory-") as name:
        folder = Path(name)
        named = [Path(each) for each in sys.argv[1:]]
        for row, file in [(each.name, each) for each in named] or made(folder):
            source = emptied(folder / "source")
            source.mkdir()
            shutil.copy(file, source)
            measure(row, folder, source)


def made(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each default file."""
    with Image.open(photos([""])[0]) as opened:
        photo = opened.convert("RGB")
    for row, (megapixels, kind, options) in FILES.items():
        factor = (megapixels * 1_000_000 / (photo.width * photo.height)) ** 0.5
        path = folder / f"source.{kind}"
        photo.resize((round(photo.width * factor), round(photo.height * factor))).save(path, **options)
        yield row, path


def measure(row: str, folder: Path, source: Path) -> None:
    """Print the median peak of each side."""
    target, recipe = folder / "made", json.dumps(DEFAULT)
    commands: dict[str, list[list[object]]] = {
        "ours": [[*OURS, source, target]],
        "sharp": [[NODE, PEERS / "node" / "folder.mjs", source, target, recipe]],
    }
    if shutil.which("vipsthumbnail"):
        commands["vipsthumbnail"] = [vipsthumbnail(source, target, each) for each in DEFAULT]
    environment = settings(folder, DEFAULT, None)
    peaks: dict[str, list[float]] = {side: [] for side in commands}
    for _ in range(ROUNDS):
        for side, parts in commands.items():
            emptied(target).mkdir()
            peaks[side].append(max(peak(part, folder, environment) for part in parts))
    print(f"{row:24}" + "".join(f"  {side} {median(found):6.1f} MB" for side, found in peaks.items()), flush=True)


def peak(command: list[object], folder: Path, environment: dict[str, str]) -> float:
    """Run a command; return the largest sum of memory in megabytes. Raises CalledProcessError if it fails."""
    process = subprocess.Popen([*map(str, command)], cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    largest = 0
    while process.poll() is None:
        largest = max(largest, sum(map(proportional_bytes, descendants(process.pid))))
        time.sleep(SAMPLE_SECONDS)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, [*map(str, command[:4])])
    return largest / 1_000_000


def descendants(pid: int) -> Iterator[int]:
    """Yield a process id and those of all processes that descend from it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(task).split():
            yield from descendants(int(child))


def proportional_bytes(pid: int) -> int:
    """Return the proportional set size of a process, 0 where it has ended."""
    lines = _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended
        return ""


if __name__ == "__main__":
    main()
