"""A function that is frozen during a write and continues after all events are handled."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.pictures import picture
from tests.servers.odd import Asked, Odd, running
from tests.servers.processes import KEYS

ROOT = Path(__file__).parents[2]
HANGING = "a.jpg/small.webp"


@dataclass
class Hanging:
    """Never answers the first PUT of a thumbnail, and records when its connection ends."""

    came: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def __call__(self, asked: Asked) -> object:
        """Answer in place of the server, once."""
        if asked.kind != "PUT" or asked.key != HANGING or self.came.is_set():
            return False
        self.came.set()
        with suppress(OSError):
            asked.connection.recv(1)
        self.ended.set()
        return True


class Sandbox:
    """A process with the function."""

    def __init__(self, odd: Odd) -> None:
        names = {"THUMBSMITH_SOURCE": "s3://src", "THUMBSMITH_DESTINATION": "s3://dst", "AWS_REGION": "us-east-1"}
        names |= KEYS | {"AWS_ENDPOINT_URL": odd.address, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769"}
        names |= dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.aws.frozen"],
            cwd=ROOT,
            env=os.environ | names,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def invoke(self, *keys: str, milliseconds: int = 60_000) -> list[str]:
        """Return the keys whose messages are to be retried."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{' '.join(keys)} {milliseconds}\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = next(
            json.loads(line.removeprefix("ANSWER")) for line in self.process.stdout if line.startswith("ANSWER")
        )
        return [each["itemIdentifier"] for each in answer["batchItemFailures"]]

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


@contextmanager
def sandbox(odd: Odd) -> Iterator[Sandbox]:
    """Run a sandbox."""
    running = Sandbox(odd)
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def odd() -> Iterator[Odd]:
    """Return a server with two sources. It ignores bucket names."""
    with running() as server:
        server.objects |= {"a.jpg": picture("#102030", (300, 200)), "b.jpg": picture("#405060", (300, 200))}
        yield server


def is_consistent(odd: Odd) -> bool:
    """Return whether the thumbnails of a.jpg match its manifest, and the manifest matches the source."""
    manifest = json.loads(odd.objects["a.jpg/manifest.json"])
    source = hashlib.md5(odd.objects["a.jpg"], usedforsecurity=False).hexdigest()
    digests = {each["key"]: each["sha256"] for each in manifest["renditions"]}
    return manifest["source"]["etag"] == source and all(
        hashlib.sha256(odd.objects[key]).hexdigest() == digest for key, digest in digests.items()
    )


def out_of_time(one: Sandbox, odd: Odd) -> Hanging:
    """Invoke with more and more time until a thumbnail's write runs out of time."""
    for milliseconds in (3_000, 8_000, 20_000, 50_000):
        odd.oddly = hanging = Hanging()
        assert one.invoke("a.jpg", milliseconds=milliseconds) == ["a.jpg"]
        if hanging.came.is_set():
            return hanging
    raise AssertionError("it never came to write a thumbnail")


def test_a_frozen_function_writes_nothing_later(odd: Odd) -> None:
    """A function ends its connections before it answers, so it writes nothing when it continues later."""
    with sandbox(odd) as one, sandbox(odd) as two:
        hanging = out_of_time(one, odd)
        one.process.send_signal(signal.SIGSTOP)
        assert hanging.ended.wait(60)
        odd.objects["a.jpg"] = picture("#a0b0c0", (300, 200))
        assert two.invoke("a.jpg") == two.invoke("a.jpg") == []
        assert is_consistent(odd)
        before = dict(odd.objects)
        one.process.send_signal(signal.SIGCONT)
        assert one.invoke("b.jpg") == []
        assert one.invoke("b.jpg") == []
        assert is_consistent(odd)
        assert {key: odd.objects[key] for key in before} == before
        made = [asked.key for asked in odd.asked if asked.kind == "PUT" and asked.key == HANGING]
        assert len(made) == 2
