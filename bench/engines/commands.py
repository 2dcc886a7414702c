"""Commands of Debian's packages, a process a picture, start included: commands.py vipsthumbnail | convert-im6.q16."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from line import serve

SUFFIXES = {"jpeg": "jpg", "webp": "webp"}


def make(data: bytes, sides: list[int], kind: str, quality: int) -> list[bytes]:
    """Return a thumbnail for each box."""
    with tempfile.TemporaryDirectory() as name:
        source, folder = Path(name) / "source", Path(name)
        source.write_bytes(data)
        files = {side: folder / f"{side}.{SUFFIXES[kind]}" for side in sides}
        for command in COMMANDS[sys.argv[1]](source, files, quality):
            subprocess.run(command, check=True, capture_output=True, env={**os.environ, "VIPS_CONCURRENCY": "1"})
        return [file.read_bytes() for file in files.values()]


def vipsthumbnail(source: Path, files: dict[int, Path], quality: int) -> list[list[str]]:
    """Return a command a size: it makes one alone, each from the file."""
    saved = f"[Q={quality},strip]"
    return [
        ["vipsthumbnail", str(source), "--size", f"{side}x{side}>", "--eprofile", "srgb", "-o", f"{file}{saved}"]
        for side, file in files.items()
    ]


def convert(source: Path, files: dict[int, Path], quality: int) -> list[list[str]]:
    """Return one command: a JPEG is decoded small where that leaves twice the largest, each is made from the larger."""
    largest, *smaller = sorted(files, reverse=True)
    command = ["convert-im6.q16", "-define", f"jpeg:size={2 * largest}x{2 * largest}", str(source), "-auto-orient"]
    for side in (largest, *smaller):
        command += ["-thumbnail", f"{side}x{side}>", "-quality", str(quality)]
        command += ["-write", str(files[side])]
    return [[*command, "null:"]]


COMMANDS = {"vipsthumbnail": vipsthumbnail, "convert-im6.q16": convert}
serve(make)
