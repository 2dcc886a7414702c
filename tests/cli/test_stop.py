"""Ctrl-C and SIGTERM end each command at the first signal, while a server is slow or never finishes."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pictures import picture
from tests.servers.odd import Asked, Odd, listing, reply, running
from tests.servers.processes import KEYS

STOPPED = 130
SECONDS = 60  # a machine may be busy; what is not ended by the signal has another exit code, or goes on without end


@pytest.fixture
def odd() -> Iterator[Odd]:
    """Return a server with a photograph."""
    with running() as server:
        server.objects["a.jpg"] = picture("#102030", (90, 60))
        yield server


class Command:
    """A command that uses this server, as a process."""

    def __init__(self, odd: Odd, folder: Path, *words: str) -> None:
        names = KEYS | {"AWS_ENDPOINT_URL": odd.address, "AWS_REGION": "us-east-1", "XDG_CACHE_HOME": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "thumbsmith", *words],
            cwd=folder,
            env=os.environ | names,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ends(self, *numbers: signal.Signals) -> tuple[int, str]:
        """Send signals; return the exit code and the messages."""
        for number in numbers:
            self.process.send_signal(number)
        with self.process:
            try:
                out, err = self.process.communicate(timeout=SECONDS)
            finally:
                self.process.kill()
        assert "Traceback" not in err
        return self.process.returncode, out + err


def silent(kind: str, came: threading.Event) -> Callable[[Odd], Callable[[Asked], object]]:
    """Return settings of a server that never answers requests of a kind, and an event for the first one."""

    def oddly(odd: Odd) -> Callable[[Asked], object]:
        def answer(asked: Asked) -> object:
            if asked.kind != kind:
                return False
            came.set()
            return odd.over.wait()

        return answer

    return oddly


def endless(came: threading.Event) -> Callable[[Odd], Callable[[Asked], object]]:
    """Return settings of a server that lists new keys without end, and an event for its progress."""
    pages = itertools.count(1)

    def answer(asked: Asked) -> object:
        if asked.kind != "LIST" or asked.query.get("max-keys") == "1":
            return False
        page = next(pages)
        if page == 5:
            came.set()
        return asked.send(reply(200, listing(*(f"{page:09}/{number}.jpg" for number in range(9)), token=f"t{page}")))

    return lambda odd: answer


WAYS = {
    "a listing without end": endless,
    "a listing that does not come": lambda came: silent("LIST", came),
    "an object that does not come": lambda came: silent("GET", came),
    "an answer to a write that does not come": lambda came: silent("PUT", came),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("words", "number"),
    [
        (("sync", "s3://bucket", "thumbs"), signal.SIGTERM),
        (("sync", "s3://bucket", "s3://other/x", "--json"), signal.SIGINT),
        (("plan", "s3://bucket", "thumbs"), signal.SIGTERM),
        (("watch", "photos", "s3://bucket/x"), signal.SIGTERM),
        (("explain", "s3://bucket", "a.jpg", "s3://other/x"), signal.SIGINT),
        (("html", "a.jpg", "s3://bucket"), signal.SIGINT),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_the_first_signal_ends_it(
    odd: Odd, tmp_path: Path, way: str, words: tuple[str, ...], number: signal.Signals
) -> None:
    """A command ends while it waits for an answer or a listing that never ends."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(odd.objects["a.jpg"])
    came = threading.Event()
    odd.oddly = WAYS[way](came)(odd)
    command = Command(odd, tmp_path, *words)
    while not came.wait(0.05):
        if command.process.poll() is not None:
            command.ends()
            return  # this command asks for nothing of the kind
    code, said = command.ends(number)
    assert code == STOPPED
    if words[0] in {"sync", "plan", "watch"}:
        assert "stopping: " in said
    if "--json" in words:
        summary = json.loads(next(line for line in said.splitlines() if '"summary"' in line))
        assert summary["made"] == 0


def test_the_second_signal_ends_it_at_once(odd: Odd, tmp_path: Path) -> None:
    """A second signal does not wait for work in progress."""
    came = threading.Event()
    odd.oddly = silent("PUT", came)(odd)
    command = Command(odd, tmp_path, "sync", "s3://bucket", "s3://other/x", "--json")
    assert came.wait(SECONDS)
    command.process.send_signal(signal.SIGTERM)
    assert command.process.stderr
    assert "stopping: " in command.process.stderr.readline()
    code, said = command.ends(signal.SIGTERM)
    assert (code, "summary" in said) == (STOPPED, False)


NESTED = """
import os, signal
from thumbsmith.cli.stopping import stoppable
from thumbsmith.cli.terminal import Console
with stoppable(Console()) as outer:
    with stoppable(Console()) as inner:
        os.kill(os.getpid(), signal.SIGINT)
        while not inner():
            pass
    print("outer", outer())
"""


def test_a_block_within_another_shares_its_signals() -> None:
    """A signal while a sync of watch ends is not lost."""
    done = subprocess.run([sys.executable, "-c", NESTED], capture_output=True, text=True, timeout=SECONDS, check=True)
    assert done.stdout == "outer True\n"


BLOCKED = """
import os, signal, sys, threading
from thumbsmith.cli.stopping import stoppable
from thumbsmith.cli.terminal import Console
wait = threading.Event().wait
full, cut = {full}, {cut}
console = Console()
if full:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writing, True)
    os.dup2(writing, 2)
with stoppable(console, grace=0, cut=cut):
    os.kill(os.getpid(), signal.SIGTERM)
    {block}
"""


@pytest.mark.parametrize(
    ("full", "cut", "block"),
    [
        (False, "wait", "wait()"),
        (True, "int", "wait()"),
        (True, "wait", "print('x', file=sys.stderr, flush=True); wait()"),
    ],
    ids=["what ends the rest waits", "standard error is a full pipe", "both"],
)
def test_the_signal_waits_for_nothing(full: bool, cut: str, block: str) -> None:
    """The process ends in time even if the block continues, `cut` waits, and messages cannot be written."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED.format(full=full, cut=cut, block=block)], timeout=SECONDS, check=False
    )
    assert done.returncode == STOPPED
