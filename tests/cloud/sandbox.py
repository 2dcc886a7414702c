"""A function as Lambda runs it: by AWS's runtime client and emulator, all its processes within one limit on memory."""

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cloud.local_app import RUNTIME
from tests.servers.processes import free_ports

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
RIE = RUNTIME.parents[1] / "lib" / VERSION / "site-packages/samcli/local/rapid/aws-lambda-rie-x86_64"
CGROUPS = Path("/sys/fs/cgroup")
SECONDS = 120


@dataclass(frozen=True)
class Group:
    """A group of processes that together may take so much memory: of version 1 or 2, whichever the kernel has."""

    folder: Path
    is_old: bool

    def limit(self, memory: int) -> None:
        """Set the limit, in bytes; nothing may be swapped out."""
        (self.folder / ("memory.limit_in_bytes" if self.is_old else "memory.max")).write_text(str(memory))
        swap, most = ("memory.memsw.limit_in_bytes", memory) if self.is_old else ("memory.swap.max", 0)
        if (self.folder / swap).exists():
            (self.folder / swap).write_text(str(most))

    @property
    def peak(self) -> int:
        """Return the most that was taken, in bytes, files that were read included."""
        return int((self.folder / ("memory.max_usage_in_bytes" if self.is_old else "memory.peak")).read_text())

    @property
    def cpu_seconds(self) -> float:
        """Return the CPU time of all that runs in it, and of what those have waited for, but for Lambda's emulator."""
        fields = [Path(f"/proc/{each}/stat").read_text().rpartition(")") for each in self.processes]
        times = [map(int, rest.split()[11:15]) for name, _, rest in fields if "aws-lambda-rie" not in name]
        return sum(map(sum, times)) / os.sysconf("SC_CLK_TCK")

    @property
    def processes(self) -> list[int]:
        """Return who is in it."""
        return [int(line) for line in (self.folder / "cgroup.procs").read_text().split()]


@contextlib.contextmanager
def group(memory: int) -> Iterator[Group]:
    """Make such a group, and end all that is left in it. Raises OSError where this user or kernel cannot."""
    is_old = (CGROUPS / "memory").is_dir()
    folder = CGROUPS / ("memory" if is_old else "") / f"thumbsmith-{secrets.token_hex(4)}"
    folder.mkdir()
    made = Group(folder, is_old)
    try:
        made.limit(memory)
        yield made
    finally:
        while left := made.processes:
            for process in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.05)
        folder.rmdir()


def why_no_group() -> str | None:
    """Return why no group can be made here, None where one can."""
    if not RIE.exists():
        return "no emulator of Lambda's runtime: run `make .venv/runtime`"
    try:
        with group(64 << 20):
            return None
    except OSError as error:
        return f"NOT MEASURED: no group with a limit on memory can be made here: {error}"


@dataclass
class Sandbox:
    """A running function. The first invocation starts it; `peak` is of all its processes, in bytes."""

    address: str
    log: Path
    group: Group

    def invoke(self, event: object) -> tuple[Any, float]:
        """Return what the function answers, and after how many seconds."""
        request = urllib.request.Request(self.address, data=json.dumps(event).encode())
        started = time.perf_counter()
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            answer = response.read()
        return json.loads(answer), time.perf_counter() - started

    @property
    def durations(self) -> list[float]:
        """Return the milliseconds that Lambda's emulator counted for each invocation."""
        return [float(each) for each in re.findall(r"REPORT .*?\tDuration: ([\d.]+) ms", self.log.read_text())]

    @property
    def images(self) -> list[dict[str, Any]]:
        """Return what the function says of each image."""
        return [
            json.loads(line)
            for line in re.findall(r'^\{"level".*"event": "image".*$', self.log.read_text(), re.MULTILINE)
        ]

    @property
    def stages(self) -> list[float]:
        """Return the milliseconds that the function says each image took to look at, to render and to store."""
        names = ("LookMilliseconds", "RenderMilliseconds", "StoreMilliseconds")
        return [sum(said[name] for name in names) for said in self.images]

    @property
    def starts(self) -> int:
        """Return how often the function was started: once, unless it was killed."""
        return self.log.read_text().count("INIT START")


@contextlib.contextmanager
def sandbox(code: Path, handler: str, megabytes: int, environment: Mapping[str, str], log: Path) -> Iterator[Sandbox]:
    """Run the handler of the code in a folder with so much memory until the end of the block."""
    port, api = free_ports(2)
    variables = {
        "PATH": "/usr/bin:/bin",
        "LAMBDA_TASK_ROOT": str(code),
        "PYTHONPATH": str(code),
        "AWS_LAMBDA_FUNCTION_NAME": "measured",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(megabytes),
        "AWS_SESSION_TOKEN": "token",  # as a role's credentials have
        **environment,
    }
    emulator = [RIE, "--log-level", "info", "--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    emulator += ["--runtime-api-address", f"127.0.0.1:{api}", RUNTIME, "-m", "awslambdaric", handler]
    with group(megabytes << 20) as members, log.open("wb") as out:
        entering = [shutil.which("sh"), "-c", f'echo $$ > {members.folder}/cgroup.procs; exec "$@"', "sh", *emulator]
        process = subprocess.Popen(entering, cwd=code, env=variables, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            _wait(port)
            yield Sandbox(f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations", log, members)
        finally:
            process.kill()
            process.wait()


def _wait(port: int) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.01)
    raise TimeoutError(f"nothing listens on {port}")
