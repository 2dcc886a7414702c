"""Booting the emulated machine and reading what it did."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.arm64.image import Image, program

# The cores of Graviton2, on which Lambda runs arm64 functions.
PROCESSOR = "neoverse-n1"
MEGABYTES = 4096


@dataclass(frozen=True)
class Step:
    """What one step on the machine ended with: its exit code, what it printed, and its wall-clock seconds there."""

    code: int
    output: str
    seconds: float


@dataclass(frozen=True)
class Run:
    """A whole run: its steps by name, the files that it wrote, and the console."""

    steps: dict[str, Step]
    files: Path
    console: str


def boot(image: Image, share: Path, seconds: float) -> Run:
    """Start the machine, wait until it has switched itself off, and return what it did.

    The machine writes into `share`. One that runs for more than `seconds` is stopped, and what it finished is returned.
    """
    shutil.rmtree(share, ignore_errors=True)
    share.mkdir()
    tools = image.tools
    (modules,) = tools.glob("usr/lib/*/qemu")
    command = [
        *program(tools, "qemu-system-aarch64"),
        *("-L", str(tools / "usr/share/qemu"), "-M", "virt,gic-version=3", "-cpu", PROCESSOR),
        *("-smp", str(len(os.sched_getaffinity(0))), "-m", str(MEGABYTES), "-accel", "tcg,thread=multi,tb-size=512"),
        *("-kernel", str(image.kernel), "-initrd", str(image.first)),
        *("-append", "console=ttyAMA0 loglevel=4 panic=-1 rdinit=/init"),
        *("-drive", f"file={image.disk},if=none,id=disk,format=raw,readonly=on"),
        *("-device", "virtio-blk-pci,drive=disk,romfile=", "-device", "virtio-rng-pci,romfile="),
        *("-virtfs", f"local,path={share},mount_tag=share,security_model=none"),
        *("-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"),
    ]
    console = share / "console"
    with console.open("wb") as out:
        process = subprocess.Popen(
            command, env={"QEMU_MODULE_DIR": str(modules)}, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    report = share / "report.json"
    steps: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {}
    return Run({name: Step(**step) for name, step in steps.items()}, share, console.read_text(errors="replace"))
