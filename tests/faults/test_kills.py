"""A sync that was killed at any time is completed by the next one."""

import hashlib
import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from PIL import Image

from tests.pictures import picture

ROOT = Path(__file__).parents[2]
RECIPE = """
[variants.icon]
width = 32
height = 32
fit = "cover"

[variants.small]
width = 64
formats = ["webp", "jpeg"]
"""
CALLS = ("open", "children", "put", "delete", "list", "sweep")


class Library:
    """A folder with sources and a recipe."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        (folder / "photos").mkdir(parents=True)
        (folder / "thumbsmith.toml").write_text(RECIPE)
        for number in range(count):
            self.write(number, 0)

    def write(self, number: int, version: int) -> None:
        """Write one source; another version has other pixels."""
        seed = random.Random(f"{number}/{version}")
        size = (seed.randrange(80, 200), seed.randrange(80, 200))
        noise = Image.frombytes("RGB", (8, 8), seed.randbytes(192)).resize(size, Image.Resampling.BICUBIC)
        path = self.folder / "photos" / f"{number % 7}" / f"{number:04}.jpg"
        path.parent.mkdir(exist_ok=True)
        noise.save(path, quality=90)

    def change(self) -> None:
        """Replace, delete and add some sources, and damage one, so that there is work of every kind."""
        for number in range(0, self.count, 5):
            self.write(number, 1)
        for path in sorted((self.folder / "photos").rglob("*.jpg"))[1::6]:
            path.unlink()
        for number in range(self.count, self.count + self.count // 6):
            self.write(number, 0)
        (self.folder / "photos" / "0" / "0000.jpg").write_bytes(picture()[:300])

    def sync(self, destination: str) -> None:
        """Run a sync to its end."""
        command = [sys.executable, "-m", "thumbsmith", "sync", "photos", destination, "--yes"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, timeout=300)

    def contents(self, destination: str) -> dict[str, bytes]:
        """Return the content of every file of a destination, of manifests without etags."""
        root = self.folder / destination
        files = (path for path in root.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix(): _content(path) for path in files}


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    if path.name != "manifest.json":
        return data
    manifest = json.loads(data)
    for record in (manifest["source"], *manifest["renditions"]):
        record["etag"] = ""
    return json.dumps(manifest, sort_keys=True).encode()


@contextmanager
def watched(library: Library, destination: str) -> Iterator[set[str]]:
    """Read all renditions again and again during the block; collect the digests of their contents."""
    seen: set[str] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            with suppress(FileNotFoundError, NotADirectoryError):  # deleted during the read
                for path in (library.folder / destination).rglob("[is]*.*[pg]"):
                    seen.add(hashlib.sha256(path.read_bytes()).hexdigest())
            stop.wait(0.02)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def _digests(library: Library, destination: str) -> set[str]:
    files = library.contents(destination).items()
    return {hashlib.sha256(data).hexdigest() for name, data in files if not name.endswith(".json")}


def _killed_at_a_call(library: Library, call: str, number: int, moment: str) -> bool:
    """Return whether the run was killed: it ends before that if it makes fewer calls."""
    command = [sys.executable, "-m", "tests.faults.dying", "photos", "thumbs", call, str(number), moment]
    env = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=library.folder, env=env, capture_output=True, timeout=300, check=False)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode == -9


def _killed_at_random(library: Library, seconds: float) -> None:
    command = [sys.executable, "-m", "thumbsmith", "sync", "photos", "thumbs", "--yes"]
    with subprocess.Popen(command, cwd=library.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()


def _killed_repeatedly(tmp_path: Path, count: int, at_each_call: int, at_random: int) -> None:
    """Kill a first sync and a sync after changes repeatedly; compare the result with runs that were not killed."""
    library, calm = Library(tmp_path / "library", count), Library(tmp_path / "calm", count)
    calm.sync("thumbs")
    allowed = _digests(calm, "thumbs")
    calm.change()
    calm.sync("thumbs")
    allowed |= _digests(calm, "thumbs")
    chance = random.Random(count)
    kills = 0
    with watched(library, "thumbs") as seen:
        for phase in range(2):
            for _ in range(at_each_call):
                for call in CALLS:
                    number = 1 if call in ("list", "sweep") else chance.randrange(1, count // 2)
                    kills += _killed_at_a_call(library, call, number, chance.choice(["before", "after"]))
            for _ in range(at_random):
                _killed_at_random(library, chance.uniform(0.3, 1.2))
            if phase == 0:
                library.sync("thumbs")
                library.change()
        library.sync("thumbs")
    assert kills > 2 * at_each_call
    assert library.contents("thumbs") == calm.contents("thumbs")
    assert seen
    assert seen <= allowed
    assert not [name for name in library.contents("thumbs") if ".thumbsmith" in name]


def test_a_sync_killed_repeatedly_has_the_same_result(tmp_path: Path):
    """After kills at every kind of store call and at random, the bytes are the same; no reader saw a partial object."""
    _killed_repeatedly(tmp_path, count=60, at_each_call=1, at_random=3)


@pytest.mark.deep
def test_a_large_sync_killed_two_hundred_times_has_the_same_result(tmp_path: Path):
    """The same with 2,000 sources, ten kills at each kind of store call in each phase, and two hundred at random."""
    _killed_repeatedly(tmp_path, count=2000, at_each_call=10, at_random=100)
