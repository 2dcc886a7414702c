"""Images a second over a folder and a bucket, with isolation, compared with sharp with four pictures at once.

    python bench/flow.py [FOLDER]

200 photographs (those in FOLDER, by default the corpus, repeatedly) become one JPEG each within 256 pixels. Both sides
are whole commands including their start. They run in turn, once for warming up and then ROUNDS times, by wall clock.
The bucket is in a local S3 server. Ours also writes a manifest for each, and reads the destination. Needs `make
.venv/node-peers .venv/servers`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import botocore.session
from tests.servers.processes import KEYS, seaweedfs

from folder import photos
from speed import NODE, PEERS

COUNT = 200
SIDE = 256
ROUNDS = 5
RECIPE = f'[variants.small]\nwidth = {SIDE}\nheight = {SIDE}\nformats = ["jpeg"]\n'
OURS = [sys.executable, "-m", "thumbsmith", "sync"]


def main() -> None:
    """Print a line for folder and bucket, with the ratio."""
    with tempfile.TemporaryDirectory(prefix="thumbsmith-flow-") as name:
        folder = Path(name)
        files = list(copies(photos(sys.argv), folder / "photos"))
        compared("folder", by_folder(folder))
        with seaweedfs() as address:
            compared("bucket", by_bucket(folder, files, address))


def copies(found: list[Path], folder: Path) -> Iterator[Path]:
    """Copy the photographs under different names; yield their paths."""
    folder.mkdir()
    for number in range(COUNT):
        copy = folder / f"{number:03}.jpg"
        shutil.copy(found[number % len(found)], copy)
        yield copy


def by_folder(folder: Path) -> dict[str, Callable[[], None]]:
    """Return the command of each side, from a folder to an empty one."""
    ours, theirs = folder / "ours", folder / "theirs"
    sharp = [NODE, PEERS / "node" / "folder.mjs", folder / "photos", theirs, SIDE]

    def we() -> None:
        shutil.rmtree(ours, ignore_errors=True)
        run([*OURS, folder / "photos", ours], folder)

    def they() -> None:
        shutil.rmtree(theirs, ignore_errors=True)
        run(sharp, folder)

    return {"ours": we, "sharp": they}


def by_bucket(folder: Path, files: list[Path], address: str) -> dict[str, Callable[[], None]]:
    """Return the command of each side, from a bucket to a new one."""
    where = {"AWS_ENDPOINT_URL": address, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", **KEYS}
    keys = {"aws_access_key_id": KEYS["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"]}
    s3 = botocore.session.Session().create_client("s3", region_name="us-east-1", endpoint_url=address, **keys)
    s3.create_bucket(Bucket="photos")
    for file in files:
        s3.put_object(Bucket="photos", Key=file.name, Body=file.read_bytes())
    buckets = (f"made-{number}" for number in range(10_000))

    def new() -> str:
        name = next(buckets)
        s3.create_bucket(Bucket=name)
        return name

    return {
        "ours": lambda: run([*OURS, "s3://photos", f"s3://{new()}"], folder, where),
        "sharp": lambda: run([NODE, PEERS / "node" / "bucket.mjs", "photos", new(), SIDE], folder, where),
    }


def run(command: list[object], folder: Path, where: dict[str, str] | None = None) -> None:
    """Run a command. Raises CalledProcessError if it fails."""
    # Installed packages have bytecode. So ours must be allowed to write its bytecode here.
    left = ("AWS_", "PYTHONDONTWRITEBYTECODE")
    here = {name: value for name, value in os.environ.items() if not name.startswith(left)}
    environment = {**here, "THUMBSMITH_RECIPE": RECIPE, "XDG_CACHE_HOME": str(folder / "cache"), **(where or {})}
    subprocess.run([*map(str, command)], check=True, cwd=folder, env=environment, capture_output=True, timeout=600)


def compared(name: str, sides: dict[str, Callable[[], None]]) -> None:
    """Print the images a second of each side, and the ratio: the median over rounds in turn."""
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(1 + ROUNDS):
        for side, work in sides.items():
            started = time.perf_counter()
            work()
            if number:
                seconds[side].append(time.perf_counter() - started)
    rates = ", ".join(f"{side} {COUNT / median(found):.1f} images/s" for side, found in seconds.items())
    ratio = median(their / our for our, their in zip(seconds["ours"], seconds["sharp"], strict=True))
    print(f"{name}: {rates}; ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
