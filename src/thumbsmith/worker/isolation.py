"""Which steps of confining a process this system grants, and what a confined process can then not do.

Both are tried by throwaway processes: a sandbox may end the process at a system call that it does not let through, as
AWS Lambda's was seen to do (https://github.com/decompals/wibo/pull/130), or never return from it.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Final, NoReturn

from thumbsmith.recipe import Limits
from thumbsmith.worker.confine import Step, is_due, steps
from thumbsmith.worker.layers import LAYERS

# Seconds that one throwaway process may take. It takes milliseconds, so this is for a machine that is overloaded.
SECONDS: Final = 10.0

# A throwaway process writes a line before each trial, `step filter ?`, and one after it, with + or - in that place.
BEGINS: Final = "?"
YES: Final = "+"
NO: Final = "-"


@dataclass(frozen=True, slots=True)
class Isolation:
    """What was found: the names of the `refused` steps, and of each of LAYERS whether it holds."""

    refused: frozenset[str]
    layers: Mapping[str, bool]


def measure(seconds: float = SECONDS) -> Isolation:
    """Return what this system grants. One process usually tries all; each trial that ends its process takes one more.

    Raises OSError where no process can be started.
    """
    granted: dict[str, bool] = {}
    held: dict[str, bool] = {}
    while (stopped := _try_all(granted, held, seconds)) is not None:
        kind, name, by_system = stopped
        if kind == "step":
            granted[name] = False
        else:  # a system that ends a process for trying does not let it
            held[name] = by_system
    return Isolation(frozenset(name for name, is_granted in granted.items() if not is_granted), held)


def _try_all(granted: dict[str, bool], held: dict[str, bool], seconds: float) -> tuple[str, str, bool] | None:
    """Try in one process what has no answer yet, and note the answers; return None when it has tried all.

    Else return the trial that the process did not survive, its kind and name, and whether the system ended it by a
    signal: False for one that did not return in time.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _be_thrown_away(writing, [name for name, is_granted in granted.items() if not is_granted], held)
    os.close(writing)
    text, in_time = _read(reading, seconds)
    os.close(reading)
    if not in_time:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    trial: tuple[str, str] | None = None
    for kind, name, answer in (line.split(" ") for line in text.splitlines()):
        trial = (kind, name) if answer == BEGINS else None
        if answer != BEGINS:
            (granted if kind == "step" else held)[name] = answer == YES
    if trial:
        return *trial, in_time and code < 0
    if code:
        raise OSError(f"a process that tries the system's layers of isolation ended with exit code {code}")
    return None


def _read(descriptor: int, seconds: float) -> tuple[str, bool]:
    """Return what is written to a pipe until its other end is closed, and whether that was in time."""
    end, data = monotonic() + seconds, b""
    while select.select([descriptor], [], [], max(0.0, end - monotonic()))[0]:
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            return data.decode(), True
        data += piece
    return data[: data.rfind(b"\n") + 1].decode(), False


def _be_thrown_away(writing: int, refused: Collection[str], held: Collection[str]) -> NoReturn:
    """Take all steps that are not refused, then try all that a confined process must not be able to do."""
    try:
        failed = set(refused)
        for name, step in steps(Limits()).items():
            if is_due(name, failed) and not _tried(writing, "step", name, partial(_done, step)):
                failed.add(name)
        for name, layer in LAYERS.items():
            if name not in held:
                _tried(writing, "layer", name, layer.holds)
        os._exit(0)
    finally:
        os._exit(1)


def _tried(writing: int, kind: str, name: str, trial: Callable[[], bool]) -> bool:
    """Return what a trial gives, and write before and after it what the parent process needs to know.

    A trial that the system does not let end has not succeeded: setrlimit(2) may be refused, and getrlimit(2) with it.
    """
    os.write(writing, f"{kind} {name} {BEGINS}\n".encode())
    try:
        answer = trial()
    except (OSError, ValueError):  # ValueError: how Python words some errors of setrlimit(2)
        answer = False
    os.write(writing, f"{kind} {name} {YES if answer else NO}\n".encode())
    return answer


def _done(step: Step) -> bool:
    step()
    return True
