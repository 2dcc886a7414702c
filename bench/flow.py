"""Images a second and CPU time of whole commands over a folder and a bucket, beside sharp, Pillow and vipsthumbnail.

    PYTHONPATH=. python bench/flow.py [FOLDER] [--only ROW]...

All sides are whole commands including their start, with the settings that their users choose; ours runs with its
default isolation, reads the destination, and writes a manifest for each source. They run in turn, once for warming up
and then ROUNDS times. A cell is the median of images/s, and of milliseconds of CPU time per picture with all child
processes. The photographs are those in FOLDER, by default made from the corpus (material.py). The bucket is in a
local S3 server. Needs `make .venv/peers .venv/node-peers .venv/servers`.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import botocore.session
from tests.servers.processes import KEYS, seaweedfs

from folder import photos
from material import emptied, photographs, small
from speed import NODE, PEERS

ROUNDS = 5
PHOTOGRAPHS = 200
SMALL = 1_000
SUBREAPER = 36  # prctl(2), PR_SET_CHILD_SUBREAPER: processes whose parent ended become ours, and their CPU time too
OURS = [sys.executable, "-m", "thumbsmith", "sync"]
PILLOW = [PEERS / "bin" / "python", Path(__file__).parent / "engines" / "pool.py"]

Variants = list[dict[str, object]]
ONE: Variants = [{"name": "small", "side": 256, "fit": "inside", "format": "jpeg"}]
DEFAULT: Variants = [
    {"name": "icon", "side": 64, "fit": "cover", "format": "webp"},
    {"name": "small", "side": 256, "fit": "inside", "format": "webp"},
    {"name": "large", "side": 1024, "fit": "inside", "format": "webp"},
]
SET: Variants = [{**each, "format": "jpeg"} for each in DEFAULT]


@dataclass(frozen=True)
class Run:
    """What a whole command took: seconds by the clock, and CPU seconds of it and all its descendants."""

    clock: float
    cpu: float


Side = Callable[[], Run]


def main() -> None:
    """Print a line for each row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--only", action="append", help="a part of a row's name")
    chosen = parser.parse_args()
    found = photos(["", chosen.folder] if chosen.folder else [""])
    become_subreaper()
    with tempfile.TemporaryDirectory(prefix="thumbsmith-flow-") as name:
        folder = Path(name)
        large = photographs(found, folder / "photos", PHOTOGRAPHS, given=bool(chosen.folder))
        little = small(found, folder / "small", SMALL)
        rows: dict[str, tuple[int, Callable[[], dict[str, Side]]]] = {
            "photographs, 256 JPEG": (len(large), lambda: by_folder(folder, "photos", ONE)),
            "photographs, default recipe": (len(large), lambda: by_folder(folder, "photos", DEFAULT)),
            "photographs, set of three JPEG": (len(large), lambda: by_folder(folder, "photos", SET)),
            "640 x 480, 256 JPEG": (len(little), lambda: by_folder(folder, "small", ONE)),
            "640 x 480, 256 JPEG, isolation = source": (len(little), lambda: by_folder(folder, "small", ONE, "source")),
        }
        for row, (count, sides) in rows.items():
            if wanted(row, chosen.only):
                compare(row, count, sides())
        if wanted("bucket", chosen.only):
            with seaweedfs() as address:
                compare("bucket, 256 JPEG", len(large), by_bucket(folder, large, address))


def wanted(row: str, only: list[str] | None) -> bool:
    """Return whether a row is to be measured."""
    return not only or any(part in row for part in only)


def become_subreaper() -> None:
    """Make this process the parent of descendants whose parent ended (Linux), so that their CPU time is counted."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)


def by_folder(folder: Path, source: str, variants: Variants, isolation: str | None = None) -> dict[str, Side]:
    """Return the command of each side, from a folder to one that does not exist."""
    photos, target = folder / source, folder / "made"
    recipe = json.dumps(variants)
    commands: dict[str, list[list[object]]] = {
        "ours": [[*OURS, photos, target]],
        "sharp": [[NODE, PEERS / "node" / "folder.mjs", photos, target, recipe]],
        "Pillow": [[*PILLOW, photos, target, recipe]],
    }
    if shutil.which("vipsthumbnail"):
        commands["vipsthumbnail"] = [vipsthumbnail(photos, target, each) for each in variants]
    environment = settings(folder, variants, isolation)

    def side(parts: list[list[object]]) -> Side:
        def runs() -> Run:
            emptied(target)
            if parts[0][0] == "vipsthumbnail":
                target.mkdir()
            taken = [run(part, folder, environment) for part in parts]
            return Run(sum(each.clock for each in taken), sum(each.cpu for each in taken))

        return runs

    return {name: side(parts) for name, parts in commands.items()}


def vipsthumbnail(photos: Path, target: Path, variant: dict[str, object]) -> list[object]:
    """Return the command for one variant: vipsthumbnail makes one size for all files in its arguments."""
    side, crop = variant["side"], ["--smartcrop", "centre"] if variant["fit"] == "cover" else []
    output = f"{target}/%s.{variant['name']}.{variant['format']}[Q=80,strip]"
    return ["vipsthumbnail", "--size", f"{side}x{side}", *crop, "-o", output, *sorted(photos.iterdir())]


def by_bucket(folder: Path, files: list[Path], address: str) -> dict[str, Side]:
    """Return the command of each side, from a bucket to a new one."""
    where = {"AWS_ENDPOINT_URL": address, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", **KEYS}
    keys = {"aws_access_key_id": KEYS["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"]}
    s3 = botocore.session.Session().create_client("s3", region_name="us-east-1", endpoint_url=address, **keys)
    s3.create_bucket(Bucket="photos")
    for file in files:
        s3.put_object(Bucket="photos", Key=file.name, Body=file.read_bytes())
    buckets = (f"made-{number}" for number in range(10_000))
    environment = {**settings(folder, ONE, None), **where}

    def new() -> str:
        name = next(buckets)
        s3.create_bucket(Bucket=name)
        return name

    return {
        "ours": lambda: run([*OURS, "s3://photos", f"s3://{new()}"], folder, environment),
        "sharp": lambda: run([NODE, PEERS / "node" / "bucket.mjs", "photos", new(), 256], folder, environment),
    }


def settings(folder: Path, variants: Variants, isolation: str | None) -> dict[str, str]:
    """Return the environment of the commands: none of AWS, with our recipe."""
    # Installed packages have bytecode. So ours must be allowed to write its bytecode here.
    left = ("AWS_", "PYTHONDONTWRITEBYTECODE")
    here = {name: value for name, value in os.environ.items() if not name.startswith(left)}
    recipe = "".join(
        f"[variants.{each['name']}]\nwidth = {each['side']}\nheight = {each['side']}\n"
        f'fit = "{each["fit"]}"\nformats = ["{each["format"]}"]\n'
        for each in variants
    )
    if isolation:
        recipe = f'[limits]\nisolation = "{isolation}"\n{recipe}'
    return {**here, "THUMBSMITH_RECIPE": recipe, "XDG_CACHE_HOME": str(folder / "cache")}


def run(command: list[object], folder: Path, environment: dict[str, str]) -> Run:
    """Run a command. Raises SystemExit with its message if it fails."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(
            [*map(str, command)], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=messages
        )
        _, status, usage = os.wait4(process.pid, 0)
        clock = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            messages.seek(0)
            raise SystemExit(f"{command[:4]} ended with {process.returncode}: {messages.read()[-2000:].decode()}")
    return Run(clock, usage.ru_utime + usage.ru_stime + cpu_of_orphans())


def cpu_of_orphans() -> float:
    """Return the CPU seconds of the descendants that the command left and that have ended."""
    seconds = 0.0
    with suppress(ChildProcessError):
        while (ended := os.wait4(-1, os.WNOHANG))[0]:  # the S3 server runs on
            seconds += ended[2].ru_utime + ended[2].ru_stime
    return seconds


def compare(row: str, count: int, sides: dict[str, Side]) -> None:
    """Print images/s and CPU milliseconds per picture of each side, and our images/s as a multiple of each."""
    taken: dict[str, list[Run]] = {side: [] for side in sides}
    for number in range(1 + ROUNDS):
        for side, work in sides.items():
            each = work()
            if number:
                taken[side].append(each)
    print(f"{row}, {count} pictures, {ROUNDS} rounds", flush=True)
    for side, found in taken.items():
        pairs = zip(taken["ours"], found, strict=True)
        ratio = median(their.clock / our.clock for our, their in pairs)
        rate, cpu = count / median(each.clock for each in found), median(each.cpu for each in found) / count
        print(f"  {side:14}{rate:8.1f} images/s{1000 * cpu:8.1f} ms CPU each{ratio:8.2f} x", flush=True)


if __name__ == "__main__":
    main()
