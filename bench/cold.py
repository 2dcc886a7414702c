"""The first photograph of a new process, compared with boto3 and Pillow doing the same.

    PYTHONPATH=. python bench/cold.py [ROUNDS]

Both run in turn, each time in a new process with existing bytecode: start, import, get a photograph from S3 (an
emulator in memory on this machine), put three WebP thumbnails and a manifest. "boto3" is the same start without a
picture. Results are medians. CPU time includes all child processes. Needs `make .venv/servers`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from statistics import median

import botocore.session
from PIL import Image
from tests.servers.processes import KEYS, ministack

from folder import photos

ROUNDS = 15
HERE = Path(__file__).resolve().parent
BUCKET = "bench"
PROGRAMS = {
    "boto3 + Pillow": [str(HERE / "cold_peer.py")],
    "thumbsmith": [str(HERE / "cold_ours.py")],
    "import boto3, client": ["-c", "import boto3; boto3.client('s3')"],
    "nothing": ["-c", "pass"],
}


def main() -> None:
    """Print a table for photographs of 2 and 12 megapixels."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    source = Image.open(photos(sys.argv[:1])[0]).convert("RGB")
    with ministack() as address:
        environment = settings(address)
        os.environ.update(environment)
        s3 = botocore.session.Session().create_client("s3")
        s3.create_bucket(Bucket=BUCKET)
        for name, size in (("2 MP", (1732, 1155)), ("12 MP", (4243, 2828))):
            out = BytesIO()
            source.resize(size).save(out, "jpeg", quality=85)
            s3.put_object(Bucket=BUCKET, Key=f"photos/{name}.jpg", Body=out.getvalue())
            report(name, measured(f"{name}.jpg", environment, rounds))


def settings(address: str) -> dict[str, str]:
    """Return the environment of the programs: like Lambda's, with the address of the emulator."""
    aws = {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": address}
    files = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return {"PATH": "/usr/bin:/bin", "AWS_SESSION_TOKEN": "token", **KEYS, **aws, **files}


def measured(key: str, environment: dict[str, str], rounds: int) -> dict[str, tuple[float, float]]:
    """Return the median wall clock and CPU seconds of each program. The first two rounds are not counted."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in PROGRAMS}
    for number in range(rounds + 2):
        for name, program in PROGRAMS.items():
            taken[name].append(run([*program, BUCKET, key, f"thumbs-{number}-{len(name)}"], environment))
    return {
        name: (median(clock for clock, _ in times[2:]), median(cpu for _, cpu in times[2:]))
        for name, times in taken.items()
    }


def run(arguments: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Return the wall clock seconds of a program, and the CPU seconds of it and its children."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], env=environment, cwd="/")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{arguments} failed")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime


def report(photo: str, table: dict[str, tuple[float, float]]) -> None:
    """Print a row for each program, with its ratio to the first one."""
    whole = next(iter(table.values()))
    print(f"{photo:24}{'ms':>8}{'x':>7}{'CPU ms':>9}{'x':>7}")
    for name, row in table.items():
        cells = [(seconds * 1000, seconds / base) for seconds, base in zip(row, whole, strict=True)]
        print(f"{name:24}{cells[0][0]:8.0f}{cells[0][1]:7.2f}{cells[1][0]:9.0f}{cells[1][1]:7.2f}", flush=True)


if __name__ == "__main__":
    main()
