"""`thumbsmith work`: the messages of a queue become thumbnails, and no message is lost."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.aws.scene import record
from tests.dispatch.conftest import HIDDEN_SECONDS, on_streams
from tests.pictures import picture
from tests.reconcile.scene import RECIPE
from tests.servers.fixtures import needs_servers
from thumbsmith.dispatch.amqp import AmqpQueue
from thumbsmith.dispatch.deliveries import MAX_DELIVERIES
from thumbsmith.dispatch.jetstream import JetStreamQueue
from thumbsmith.dispatch.status import StatusServer, WorkStatus
from thumbsmith.errors import Stopped, StoreError, UsageError
from thumbsmith.lifetime import Lifetime

SECONDS = 180
STOPPED = 130

pytestmark = needs_servers


@contextmanager
def worker(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run `thumbsmith work` between two folders during the block; end it after that if it still runs."""
    (folder / "photos").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "thumbsmith", "work", "--source", "photos", "--destination", "thumbs", *words]
    environment = os.environ | {"THUMBSMITH_RECIPE": RECIPE}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def stop(process: subprocess.Popen[str]) -> tuple[list[dict[str, Any]], str]:
    """Stop a worker by SIGTERM; return the lines of its log, and its messages. Its exit code is 130."""
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == STOPPED, out + err
    return [json.loads(line) for line in out.splitlines()], err


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until a condition is true."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


def address_of(queue: Any, request: pytest.FixtureRequest) -> str:
    """Return the address of a queue for the command."""
    if isinstance(queue, AmqpQueue):
        return str(request.getfixturevalue("amqp").address)
    return request.getfixturevalue("stream") if isinstance(queue, JetStreamQueue) else f"sqs://{queue.name}"


def remaining(queue: Any, request: pytest.FixtureRequest) -> int:
    """Return the number of messages that are not deleted."""
    if isinstance(queue, AmqpQueue):
        return int(request.getfixturevalue("amqp").waiting())
    return queue.waiting() if isinstance(queue, JetStreamQueue) else queue.depth().total


def put(folder: Path, *names: str, data: bytes | None = None) -> list[str]:
    """Write sources; return the messages about them."""
    (folder / "photos").mkdir(exist_ok=True)
    for name in names:
        (folder / "photos" / name).write_bytes(picture() if data is None else data)
    return [json.dumps({"Records": [record(name, bucket="photos")]}) for name in names]


def made(folder: Path) -> set[str]:
    """Return the sources that have a manifest."""
    return {path.parent.name for path in (folder / "thumbs").glob("*/manifest.json")}


def test_messages_become_thumbnails(tmp_path: Path, queue: Any, request: pytest.FixtureRequest):
    """Each message is deleted once its thumbnails are right: also for rejected, deleted and foreign sources."""
    bad = put(tmp_path, "bad.jpg", data=b"no image")
    gone = json.dumps({"Records": [record("gone.jpg", "ObjectRemoved:Delete", bucket="photos")]})
    foreign = json.dumps({"Records": [record("a.jpg", bucket="other")]})
    queue.send([*put(tmp_path, "a.jpg", "b.jpg"), *bad, gone, foreign])
    with worker(tmp_path, address_of(queue, request)) as process:
        wait_for(lambda: remaining(queue, request) == 0)
        lines, _ = stop(process)
    assert made(tmp_path) == {"a.jpg", "b.jpg", "bad.jpg"}
    outcomes = {line["key"]: line["outcome"] for line in lines if line["event"] == "image"}
    assert outcomes == {"a.jpg": "made", "b.jpg": "made", "bad.jpg": "rejected", "gone.jpg": "absent"}
    assert [line["reason"] for line in lines if line["event"] == "ignored"] == ["foreign_bucket"]


def test_the_messages_of_a_killed_worker_are_delivered_again(
    tmp_path: Path, queue: Any, request: pytest.FixtureRequest
):
    """After SIGKILL with messages in progress, another worker gets them once the queue shows them again."""
    names = [f"{number}.jpg" for number in range(30)]
    queue.send(put(tmp_path, *names)[:10])
    queue.send(put(tmp_path, *names)[10:20])
    queue.send(put(tmp_path, *names)[20:])
    with worker(tmp_path, address_of(queue, request)) as process:
        wait_for(lambda: made(tmp_path))
        process.kill()
    assert remaining(queue, request) > 0
    with worker(tmp_path, address_of(queue, request)) as process:
        wait_for(lambda: remaining(queue, request) == 0)
        stop(process)
    assert made(tmp_path) == set(names)


def test_a_message_that_cannot_be_done_stays(tmp_path: Path, queue: Any, request: pytest.FixtureRequest):
    """A message that is no event is logged, and delivered again after a while. Its neighbors are done."""
    queue.send(["nonsense", *put(tmp_path, "a.jpg")])
    with worker(tmp_path, address_of(queue, request)) as process:
        wait_for(lambda: made(tmp_path))
        wait_for(lambda: remaining(queue, request) == 1)
        lines, _ = stop(process)
    assert any(line["event"] == "unreadable" for line in lines)
    (again,) = queue.receive(HIDDEN_SECONDS + SECONDS)
    assert (again.body, again.receives > 1) == ("nonsense", True)


@pytest.mark.parametrize("queue", ["sqs"], indirect=True)
def test_a_stop_returns_what_is_not_finished(tmp_path: Path, queue: Any, request: pytest.FixtureRequest):
    """After SIGTERM no message is hidden: each is done, or back in the queue."""
    names = [f"{number}.jpg" for number in range(10)]
    (tmp_path / "photos").mkdir()
    large = picture(size=(6000, 4000))
    queue.send(put(tmp_path, *names, data=large))
    with worker(tmp_path, address_of(queue, request), "--jobs", "1") as process:
        wait_for(lambda: queue.depth().in_flight)
        stop(process)
    assert queue.depth().in_flight == 0
    assert queue.depth().waiting == 10 - len(made(tmp_path))


def test_several_queues_and_the_status(tmp_path: Path, jetstream: JetStreamQueue, stream: str, nats_address: str):
    """A worker serves two queues at once, and its metrics and health over HTTP."""
    second = f"more-{secrets.token_hex(4)}"

    async def create(streams: Any) -> None:
        await streams.add_stream(name=second, subjects=[second])

    on_streams(nats_address, create)
    with JetStreamQueue(f"{nats_address}/{second}") as other:
        other.send(put(tmp_path, "b.jpg"))
        jetstream.send(put(tmp_path, "a.jpg"))
        with worker(tmp_path, stream, f"{nats_address}/{second}", "--listen", "127.0.0.1:0") as process:
            assert process.stderr
            address = process.stderr.readline().split("; ")[1].removesuffix("/metrics")
            wait_for(lambda: jetstream.waiting() + other.waiting() == 0)
            wait_for(lambda: "thumbsmith_messages_done_total 2" in read(f"{address}/metrics"))
            assert "thumbsmith_made_total 2" in read(f"{address}/metrics")
            assert read(f"{address}/health") == f"{jetstream.name}: ok\n{second}: ok\n"
            with pytest.raises(urllib.error.HTTPError, match="404"):
                read(f"{address}/other")
            stop(process)


def test_a_queue_that_does_not_answer_is_unhealthy():
    """/health is 503 before the first answer of a queue, and after an error."""
    status = WorkStatus(["photos"])
    with StatusServer("127.0.0.1", 0, status) as server:
        address = f"http://127.0.0.1:{server.port}/health"
        for error in (None, StoreError("photos: no answer", transient=True)):
            if error:
                status.received("photos", error)
            with pytest.raises(urllib.error.HTTPError, match="503") as caught:
                read(address)
            assert "no answer" in caught.value.read().decode()
            caught.value.close()
        status.received("photos", None)
        assert read(address) == "photos: ok\n"


def read(address: str) -> str:
    """Return what a server answers to GET."""
    with urllib.request.urlopen(address, timeout=SECONDS) as answer:
        return str(answer.read().decode())


def test_a_dead_letter_is_moved_to_its_stream(jetstream: JetStreamQueue, stream: str):
    """A message that was delivered five times is moved to STREAM-dead, and does not count as new there."""
    jetstream.send(["nonsense"])
    for delivery in range(1, MAX_DELIVERIES + 1):
        (message,) = jetstream.receive(SECONDS)
        assert message.receives == delivery
        jetstream.hide(message, 0)
    assert jetstream.receive(0) == []
    wait_for(lambda: jetstream.waiting() == 0)
    with JetStreamQueue(f"{stream}-dead") as dead:
        (message,) = dead.receive(SECONDS)
        assert (message.body, message.receives) == ("nonsense", MAX_DELIVERIES + 2)
        dead.delete(message)
        assert dead.waiting() == 0


def test_a_missing_stream_ends_the_command(tmp_path: Path, nats_address: str):
    """A stream that does not exist is one sentence, and exit code 2."""
    with worker(tmp_path, f"{nats_address}/missing") as process:
        _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 2
    assert "missing: there is no such stream: create it first" in err


def test_a_server_that_does_not_answer_is_transient():
    """A server that cannot be reached is a transient error, without the password of its address."""
    with JetStreamQueue("nats://user:secret@127.0.0.1:1/photos") as queue, pytest.raises(StoreError) as caught:
        queue.receive(1)
    assert caught.value.transient
    assert "secret" not in str(caught.value)


def test_a_stop_does_not_wait_for_a_server_that_hangs():
    """A receive ends with its lifetime, and not with the time-out of the connection."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"nats://127.0.0.1:{silent.getsockname()[1]}/photos"
        with JetStreamQueue(address) as queue, Lifetime(time.monotonic() + 0.5).applied(), pytest.raises(Stopped):
            queue.receive(SECONDS)


@pytest.mark.parametrize("address", ["nats://", "nats://host", "nats://host/a.b", "nats://host/a/b", "tls://h/"])
def test_a_wrong_address_is_refused(address: str):
    """An address without the name of a stream is an error of usage."""
    with pytest.raises(UsageError, match="expected nats://HOST:PORT/STREAM"):
        JetStreamQueue(address)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["ftp://x"], "expected sqs://NAME or a queue's URL"),
        (["nats://127.0.0.1:1/x", "--listen", "9090"], "--listen: expected HOST:PORT"),
        (["nats://127.0.0.1:1/x", "--listen", "192.0.2.1:1"], "this address cannot be used"),
        (["nats://127.0.0.1:1/x", "--destination", ""], "expected this option or the variable THUMBSMITH_DESTINATION"),
        (["nats://127.0.0.1:1/x", "--destination", "photos"], "overlap"),
    ],
)
def test_wrong_usage_is_one_sentence(tmp_path: Path, words: list[str], sentence: str):
    """Wrong arguments are one sentence, and exit code 2."""
    with worker(tmp_path, *words) as process:
        _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 2
    assert sentence in err
    assert "Traceback" not in err
