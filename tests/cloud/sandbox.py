"""A function as Lambda runs it: with AWS's runtime client and emulator, under Lambda's restrictions.

Between invocations all processes of the function are stopped, because Lambda freezes them. If this user may make a
control group, it limits the memory of all processes together, and on request their CPU time.
"""

import contextlib
import json
import os
import platform
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cloud import restrictions
from tests.servers.processes import free_ports

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
EMULATORS = {"x86_64": "aws-lambda-rie-x86_64", "aarch64": "aws-lambda-rie-arm64"}
RUNTIME = Path(__file__).parents[2] / ".venv-runtime" / "bin" / "python"
RIE = RUNTIME.parents[1] / "lib" / VERSION / "site-packages/samcli/local/rapid" / EMULATORS[platform.machine()]
CGROUPS = Path("/sys/fs/cgroup")
SECONDS = 120
CPU_PERIOD_MICROSECONDS = 20_000
HANDLER = "thumbsmith.aws.handler.handler"


@dataclass(frozen=True)
class Group:
    """A control group with a memory limit, of version 1 or 2."""

    folder: Path
    is_old: bool
    cpu_folder: Path

    def limit(self, memory: int) -> None:
        """Set the limit in bytes, without swap."""
        (self.folder / ("memory.limit_in_bytes" if self.is_old else "memory.max")).write_text(str(memory))
        swap, most = ("memory.memsw.limit_in_bytes", memory) if self.is_old else ("memory.swap.max", 0)
        if (self.folder / swap).exists():
            (self.folder / swap).write_text(str(most))

    def limit_cpu(self, cores: float) -> None:
        """Set the CPU time that all processes get together, in cores."""
        quota = round(cores * CPU_PERIOD_MICROSECONDS)
        if self.is_old:
            (self.cpu_folder / "cpu.cfs_period_us").write_text(str(CPU_PERIOD_MICROSECONDS))
            (self.cpu_folder / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (self.cpu_folder / "cpu.max").write_text(f"{quota} {CPU_PERIOD_MICROSECONDS}")

    @property
    def peak(self) -> int:
        """Return the peak memory in bytes, including the page cache."""
        return int((self.folder / ("memory.max_usage_in_bytes" if self.is_old else "memory.peak")).read_text())

    @property
    def cpu_seconds(self) -> float:
        """Return the CPU time of its processes and their ended children, without Lambda's emulator."""
        times = [map(int, rest[11:15]) for name, rest in map(_stat, self.processes) if not _is_emulator(name)]
        return sum(map(sum, times)) / os.sysconf("SC_CLK_TCK")

    @property
    def processes(self) -> list[int]:
        """Return the process ids."""
        return [int(line) for line in (self.folder / "cgroup.procs").read_text().split()]


@contextlib.contextmanager
def group(memory: int) -> Iterator[Group]:
    """Make a control group, and kill its remaining processes at the end. Raises OSError if that is not possible."""
    is_old, name = (CGROUPS / "memory").is_dir(), f"thumbsmith-{secrets.token_hex(4)}"
    made = Group(CGROUPS / ("memory" if is_old else "") / name, is_old, CGROUPS / ("cpu" if is_old else "") / name)
    folders = {made.folder, made.cpu_folder}
    try:
        for folder in folders:
            folder.mkdir()
        made.limit(memory)
        yield made
    finally:
        while left := made.processes:
            _send(left, signal.SIGKILL)
            time.sleep(0.05)
        for folder in folders:
            folder.rmdir()


def _send(processes: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to processes; some may have ended."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def descendants(process: int) -> list[int]:
    """Return the ids of a process and of all its descendants."""
    found = [process]
    for each in found:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # it has ended
                found += map(int, children.read_text().split())
    return found


def _stat(process: int) -> tuple[str, list[str]]:
    """Return name and further fields of /proc/PID/stat, beginning with the state: proc(5)."""
    try:
        name, _, rest = Path(f"/proc/{process}/stat").read_text().rpartition(")")
    except OSError:
        return "", ["X", *"0" * 14]  # it has ended
    return name, rest.split()


def _is_emulator(name: str) -> bool:
    """Return whether this is the process name of Lambda's emulator, which is no part of the function."""
    return "aws-lambda-rie" in name


def why_no_group() -> str | None:
    """Return why a control group is not possible here, or None."""
    try:
        with group(64 << 20):
            return None
    except OSError as error:
        return f"NOT MEASURED: no group with a limit on memory can be made here: {error}"


def why_no_sandbox() -> str | None:
    """Return why a sandbox is not possible here, or None."""
    if not RIE.exists():
        return "no emulator of Lambda's runtime: run `make .venv/runtime`"
    command = [sys.executable, restrictions.__file__, "refuses", RUNTIME, "-c", "pass"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)
    return f"no restrictions as Lambda's can be made here: {done.stderr.strip()}" if done.returncode else None


@dataclass
class Sandbox:
    """A running function. The first invocation starts it; `group` is None without control groups."""

    address: str
    log: Path
    process: int
    group: Group | None

    def invoke(self, event: object) -> tuple[Any, float]:
        """Return the function's answer and the seconds that it took. It is frozen before and after."""
        request = urllib.request.Request(self.address, data=json.dumps(event).encode())
        self.thaw()
        started = time.perf_counter()
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            answer = response.read()
        took = time.perf_counter() - started
        self.freeze()
        return json.loads(answer), took

    def freeze(self) -> None:
        """Stop all processes of the function; return once all are stopped."""
        while running := [each for each in self.processes if _stat(each)[1][0] not in "TZX"]:
            _send(running, signal.SIGSTOP)
            time.sleep(0.001)  # a signal takes a moment to arrive

    def thaw(self) -> None:
        """Continue all processes of the function."""
        _send(self.processes, signal.SIGCONT)

    @property
    def processes(self) -> list[int]:
        """Return the ids of all processes of the function."""
        there = self.group.processes if self.group else descendants(self.process)
        return [each for each in there if not _is_emulator(_stat(each)[0])]

    @property
    def durations(self) -> list[float]:
        """Return the milliseconds of each invocation, as counted by Lambda's emulator."""
        return [float(each) for each in re.findall(r"REPORT .*?\tDuration: ([\d.]+) ms", self.log.read_text())]

    @property
    def images(self) -> list[dict[str, Any]]:
        """Return the function's log lines about images."""
        return self._lines("image")

    def _lines(self, event: str) -> list[dict[str, Any]]:
        """Return the function's log lines about this kind of event."""
        found = re.findall(rf'^\{{.*"event": ?"{event}".*$', self.log.read_text(), re.MULTILINE)
        return [json.loads(line) for line in found]

    @property
    def stages(self) -> list[float]:
        """Return for each image the milliseconds of its stages (look, render, store) together."""
        names = ("LookMilliseconds", "RenderMilliseconds", "StoreMilliseconds")
        groups = [line for line in self._lines("metrics") if names[1] in line]
        return [sum(stages) for line in groups for stages in zip(*(line[name] for name in names), strict=True)]

    @property
    def starts(self) -> int:
        """Return the number of starts: one, unless the function was killed."""
        return self.log.read_text().count("INIT START")


@contextlib.contextmanager
def sandbox(
    code: Path,
    handler: str,
    megabytes: int,
    environment: Mapping[str, str],
    log: Path,
    kind: str = "refuses",
    *,
    cores: float | None = None,
) -> Iterator[Sandbox]:
    """Run a handler in a sandbox of a kind (`restrictions.KINDS`) until the end of the block.

    `cores` limits its CPU time, which needs a control group.
    """
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
    command = [sys.executable, restrictions.__file__, kind]
    command += [RIE, "--log-level", "info", "--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    command += ["--runtime-api-address", f"127.0.0.1:{api}", RUNTIME, "-m", "awslambdaric", handler]
    with _members(megabytes << 20) as members, log.open("wb") as out:
        if members:
            if cores is not None:
                members.limit_cpu(cores)
            folders = {members.folder, members.cpu_folder}
            entering = "".join(f"echo $$ > {folder}/cgroup.procs; " for folder in folders) + 'exec "$@"'
            command = [shutil.which("sh"), "-c", entering, "sh", *command]
        process = subprocess.Popen(command, cwd=code, env=variables, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            _wait(process, port, log)
            address = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
            yield Sandbox(address, log, process.pid, members)
        finally:
            _send(descendants(process.pid), signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def _members(memory: int) -> Iterator[Group | None]:
    """Make a control group with a memory limit, or give None if that is not possible."""
    if why_no_group():
        yield None
        return
    with group(memory) as made:
        yield made


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.01)
    raise RuntimeError(f"nothing listens on {port}:\n{log.read_text(errors='replace')}")
