"""Killed at any moment, a sync leaves nothing that the next one does not mend."""

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


class Yard:
    """A folder with sources and a recipe, and what an undisturbed run makes of them."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        (folder / "photos").mkdir(parents=True)
        (folder / "thumbsmith.toml").write_text(RECIPE)
        for number in range(count):
            self.write(number, 0)

    def write(self, number: int, version: int) -> None:
        """Write one source; another version is another picture."""
        seed = random.Random(f"{number}/{version}")
        size = (seed.randrange(80, 200), seed.randrange(80, 200))
        noise = Image.frombytes("RGB", (8, 8), seed.randbytes(192)).resize(size, Image.Resampling.BICUBIC)
        path = self.folder / "photos" / f"{number % 7}" / f"{number:04}.jpg"
        path.parent.mkdir(exist_ok=True)
        noise.save(path, quality=90)

    def change(self) -> None:
        """Replace some sources, delete some, add some, spoil one: there is something to do of every kind."""
        for number in range(0, self.count, 5):
            self.write(number, 1)
        for path in sorted((self.folder / "photos").rglob("*.jpg"))[1::6]:
            path.unlink()
        for number in range(self.count, self.count + self.count // 6):
            self.write(number, 0)
        (self.folder / "photos" / "0" / "0000.jpg").write_bytes(picture()[:300])

    def sync(self, destination: str) -> None:
        """Run an undisturbed sync to its end."""
        command = [sys.executable, "-m", "thumbsmith", "sync", "photos", destination, "--yes"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, timeout=300)

    def contents(self, destination: str) -> dict[str, bytes]:
        """Return every file of a destination, manifests without etags."""
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
def watched(yard: Yard, destination: str) -> Iterator[set[str]]:
    """Read all renditions again and again meanwhile; give the digests of what was seen."""
    seen: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            with suppress(FileNotFoundError, NotADirectoryError):  # what was deleted while this looked
                for path in (yard.folder / destination).rglob("[is]*.*[pg]"):
                    seen.add(hashlib.sha256(path.read_bytes()).hexdigest())
            stop.wait(0.02)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def _digests(yard: Yard, destination: str) -> set[str]:
    files = yard.contents(destination).items()
    return {hashlib.sha256(data).hexdigest() for name, data in files if not name.endswith(".json")}


def _killed_at_a_call(yard: Yard, call: str, number: int, moment: str) -> bool:
    """Return whether the run was killed: with few calls left it ends before."""
    command = [sys.executable, "-m", "tests.faults.dying", "photos", "thumbs", call, str(number), moment]
    env = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=yard.folder, env=env, capture_output=True, timeout=300, check=False)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode == -9


def _killed_at_random(yard: Yard, seconds: float) -> None:
    command = [sys.executable, "-m", "thumbsmith", "sync", "photos", "thumbs", "--yes"]
    with subprocess.Popen(command, cwd=yard.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()


def _disturbed(tmp_path: Path, count: int, at_each_call: int, at_random: int) -> None:
    """Let a first make and a later change be killed again and again; compare with runs that were not."""
    yard, calm = Yard(tmp_path / "yard", count), Yard(tmp_path / "calm", count)
    calm.sync("thumbs")
    allowed = _digests(calm, "thumbs")
    calm.change()
    calm.sync("thumbs")
    allowed |= _digests(calm, "thumbs")
    chance = random.Random(count)
    kills = 0
    with watched(yard, "thumbs") as seen:
        for phase in range(2):
            for _ in range(at_each_call):
                for call in CALLS:
                    number = 1 if call in ("list", "sweep") else chance.randrange(1, count // 2)
                    kills += _killed_at_a_call(yard, call, number, chance.choice(["before", "after"]))
            for _ in range(at_random):
                _killed_at_random(yard, chance.uniform(0.3, 1.2))
            if phase == 0:
                yard.sync("thumbs")
                yard.change()
        yard.sync("thumbs")
    assert kills > 2 * at_each_call
    assert yard.contents("thumbs") == calm.contents("thumbs")
    assert seen
    assert seen <= allowed
    assert not [name for name in yard.contents("thumbs") if ".thumbsmith" in name]


def test_a_sync_killed_again_and_again_ends_like_one_that_was_not(tmp_path: Path):
    """Killed at every kind of store call and at random, the end is the same bytes, and no reader saw a torn object."""
    _disturbed(tmp_path, count=60, at_each_call=1, at_random=3)


@pytest.mark.deep
def test_a_large_sync_killed_two_hundred_times_ends_like_one_that_was_not(tmp_path: Path):
    """The same with 2,000 pictures, ten kills at each kind of store call in each phase, and two hundred at random."""
    _disturbed(tmp_path, count=2000, at_each_call=10, at_random=100)
