"""The first worker process of a command. It starts before the command's own modules are loaded, on another core."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from thumbsmith.errors import WorkerError

if TYPE_CHECKING:
    from thumbsmith.worker import Workers
    from thumbsmith.worker.launch import Launched

# Commands that make thumbnails on this machine.
COMMANDS: Final = frozenset({"make", "sync", "watch", "demo"})

# Options with which such a command makes none.
WITHOUT_WORKERS: Final = frozenset({"--help", "-h", "--dry-run", "--via"})

_launched: list[Launched] = []


@contextmanager
def early_worker(arguments: Sequence[str]) -> Iterator[None]:
    """Start a worker process if the command will need one. At the end, stop it unless the command has used it."""
    command, *rest = [word for word in arguments if not word.startswith("-") or word == "-"] or [""]
    if (
        command in COMMANDS
        and (rest or command == "demo")
        and not WITHOUT_WORKERS & {word.partition("=")[0] for word in arguments}
    ):
        from thumbsmith.worker.launch import Launched  # noqa: PLC0415 - other commands need no process

        with suppress(WorkerError):  # the command reports it when it needs a worker
            _launched.append(Launched())
    try:
        yield
    finally:
        while _launched:
            unused = _launched.pop()
            unused.control.close()
            unused.process.kill()
            unused.process.wait()


def start(workers: Workers) -> None:
    """Start a process of these workers: the one that was started early, or a new one. Raises as Workers.start does."""
    workers.start(_launched.pop() if _launched else None)
