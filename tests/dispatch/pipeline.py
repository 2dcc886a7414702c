"""The whole path without AWS, as processes: SeaweedFS, its webhooks, the API, a stream of NATS, and workers."""

from __future__ import annotations

import contextlib
import io
import os
import random
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from tests.dispatch.conftest import on_streams
from tests.servers import processes
from tests.servers.fixtures import administrator
from thumbsmith.dispatch.jetstream import JetStreamQueue

TOKEN = "a token only for events"
RECIPE = '[variants.small]\nwidth = 32\nformats = ["jpeg"]\n'

# The file that the compose file gives to SeaweedFS, for another address.
NOTIFICATIONS = (Path(__file__).parents[2] / "deploy" / "compose" / "notification.toml").read_text()


@dataclass
class Pipeline:
    """The running servers. Workers are started and killed by the test."""

    folder: Path
    queue: JetStreamQueue
    address: str
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def command(self, *words: str, log: str) -> subprocess.Popen[bytes]:
        """Start a command of Thumbsmith, whose output goes to a file."""
        with (self.folder / log).open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-m", "thumbsmith", *words], cwd=self.folder, stdout=out, stderr=out
            )

    def start_worker(self, *words: str) -> None:
        """Start one more worker."""
        stores = ("--source", "s3://photos", "--destination", "s3://thumbs")
        self.workers.append(self.command("work", self.address, *stores, *words, log="work.log"))

    def kill_worker(self, number: int) -> None:
        """Kill a worker as `kill -9` does, and start another one."""
        process = self.workers.pop(number)
        process.kill()
        process.wait()
        self.start_worker()

    def wait_until_idle(self, seconds: float) -> None:
        """Wait until SeaweedFS has sent all events, and no message is left."""
        end = time.monotonic() + seconds
        calm_since = time.monotonic()
        last = -1
        while time.monotonic() - calm_since < 3:
            assert time.monotonic() < end, (self.queue.waiting(), (self.folder / "work.log").read_text()[-3000:])
            received = on_streams(self.address.rpartition("/")[0], _stored)
            if self.queue.waiting() or received != last:
                calm_since, last = time.monotonic(), received
            time.sleep(0.3)


async def _stored(streams: Any) -> int:
    """Return the number of all messages that the stream received."""
    return int((await streams.stream_info("photos")).state.last_seq)


@contextlib.contextmanager
def pipeline(folder: Path, hidden_seconds: int) -> Iterator[Pipeline]:
    """Run the servers during the block, without a worker. The queue hides a message for `hidden_seconds`."""
    (port,) = processes.free_ports(1)
    notifications = NOTIFICATIONS.replace("api:8080", f"127.0.0.1:{port}").replace("TOKEN", TOKEN)
    with contextlib.ExitStack() as stack:
        s3 = stack.enter_context(processes.seaweedfs(notifications))
        nats = stack.enter_context(processes.nats())
        before = dict(os.environ)
        stack.callback(lambda: (os.environ.clear(), os.environ.update(before)))
        os.environ |= {"AWS_ENDPOINT_URL": s3, "THUMBSMITH_EVENTS_TOKEN": TOKEN, "THUMBSMITH_RECIPE": RECIPE}

        async def create(streams: Any) -> None:
            await streams.add_stream(name="photos", subjects=["photos"], retention="workqueue")
            await streams.add_consumer(
                "photos", durable_name="thumbsmith", ack_policy="explicit", ack_wait=hidden_seconds
            )

        on_streams(nats, create)
        for bucket in ("photos", "thumbs"):
            administrator().create_bucket(Bucket=bucket)
        queue = stack.enter_context(JetStreamQueue(f"{nats}/photos"))
        running = Pipeline(folder, queue, f"{nats}/photos")
        api = running.command(
            "serve", "s3://photos", "s3://thumbs", "--port", str(port), "--events-to", running.address, log="serve.log"
        )
        stack.callback(api.wait)
        stack.callback(api.kill)
        _wait_for(f"http://127.0.0.1:{port}/health")
        try:
            yield running
        finally:
            for worker in running.workers:
                worker.kill()
                worker.wait()


def _wait_for(address: str) -> None:
    end = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(address, timeout=2).close()
            return
        assert time.monotonic() < end
        time.sleep(0.1)


def jpeg(chance: random.Random) -> bytes:
    """Return a small photograph that no other call returns."""
    out = io.BytesIO()
    size = (chance.randrange(40, 120), chance.randrange(40, 120))
    Image.frombytes("RGB", (4, 4), secrets.token_bytes(48)).resize(size).save(out, "JPEG")
    return out.getvalue()


def store(bucket: str) -> dict[str, bytes]:
    """Return all objects of a bucket."""
    s3 = administrator()
    found: dict[str, bytes] = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for each in page.get("Contents", ()):
            found[each["Key"]] = s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
    return found
