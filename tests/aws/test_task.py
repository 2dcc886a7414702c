"""The task that handles a queue, and the sources that the function sends to it."""

import os
import secrets
import signal
import subprocess
import sys
import time

import pytest

from tests.aws.faulty import raising
from tests.aws.scene import Context, Scene, failed, queued
from tests.pictures import picture
from tests.reconcile.scene import HEADERS, RECIPE
from tests.servers.fixtures import needs_servers
from thumbsmith import Recipe, open_store
from thumbsmith.backfill import clients
from thumbsmith.backfill.clients import Queue, open_queue
from thumbsmith.dispatch.consume import consume
from thumbsmith.dispatch.converger import Converger, Deadline
from thumbsmith.dispatch.invocation import handle
from thumbsmith.dispatch.settings import FunctionSettings, larger_machines
from thumbsmith.errors import Code, Rejected, StoreError
from thumbsmith.events import backfill_message

SECONDS = 60


class Small:
    """A renderer on a machine with too little memory for every picture."""

    def render(self, reader, recipe, wanted=None, *, until=None):
        """Reject by the predicted memory."""
        raise Rejected(Code.OVER_MEMORY, "expected 100 bytes of memory, found 200")


class Slow:
    """A renderer that does not finish in time."""

    def render(self, reader, recipe, wanted=None, *, until=None):
        """Take more than the available time."""
        time.sleep(0.8)
        raise StoreError("late", transient=True)


@pytest.fixture
def queue(ministack: str) -> Queue:
    """Return a queue with a visibility timeout of 30 seconds."""
    name = f"large-{secrets.token_hex(6)}"
    clients.client("sqs").create_queue(QueueName=name, Attributes={"VisibilityTimeout": "30"})
    return open_queue(f"sqs://{name}")


@pytest.fixture
def places(ministack: str, monkeypatch: pytest.MonkeyPatch, queue: Queue) -> FunctionSettings:
    """Return settings for two prefixes of a bucket, also set in the environment."""
    monkeypatch.setenv("THUMBSMITH_SOURCE", f"{ministack}/in")
    monkeypatch.setenv("THUMBSMITH_DESTINATION", f"{ministack}/out")
    monkeypatch.setenv("THUMBSMITH_RECIPE", RECIPE)
    monkeypatch.setenv("THUMBSMITH_QUEUE", queue.url)
    monkeypatch.setenv("THUMBSMITH_LARGE", queue.url)
    return FunctionSettings(
        source=open_store(f"{ministack}/in"), destination=open_store(f"{ministack}/out"), recipe=Recipe.loads(RECIPE)
    )


def _ask(settings: FunctionSettings, key: str) -> str:
    return backfill_message(settings.source.bucket, settings.source.prefix + key)  # type: ignore[attr-defined]


@needs_servers
def test_a_large_source_is_made_elsewhere(places: FunctionSettings, queue: Queue, scene: Scene):
    """A source over the function's memory is rejected, sent to the task once, and made there."""
    places.source.put("a.jpg", picture(), HEADERS)
    function = Converger(places, Small(), escalate=larger_machines(places))
    event = queued(_ask(places, "a.jpg"))
    for _ in range(3):  # a repeated event is sent to the larger machine once
        assert failed(handle(event, Context(), function)) == []
    assert queue.depth().total == 1
    done = consume(queue, Converger(places, scene.renderer), lambda: False, seconds=1, max_empty=1)
    assert (done, queue.depth().total) == (1, 0)
    assert len(list(places.destination.list("a.jpg/"))) == 4
    handle(event, Context(), function)
    assert queue.depth().total == 0


@needs_servers
def test_a_source_over_time_twice_is_escalated(places: FunctionSettings, queue: Queue, monkeypatch: pytest.MonkeyPatch):
    """A source over the time is retried; after the second time it is sent to the task.

    The source gets little time and the queue gets much, so that slow machines give the same result.
    """
    little = classmethod(lambda deadline, *_: deadline(time.monotonic() + 0.3, needed_seconds=0.1, answer_seconds=60.0))
    monkeypatch.setattr(Deadline, "after", little)
    places.source.put("a.jpg", picture(), HEADERS)
    function = Converger(places, Slow(), escalate=larger_machines(places))
    event = queued(_ask(places, "a.jpg"))
    assert failed(handle(event, Context(), function)) == ["m0"]
    assert queue.depth().total == 0
    event["Records"][0]["attributes"]["ApproximateReceiveCount"] = "2"
    assert failed(handle(event, Context(), function)) == []
    (message,) = queue.receive(1)
    assert message.body == backfill_message(places.source.bucket, "in/a.jpg", retry=True)  # type: ignore[attr-defined]


def test_a_failed_escalation_is_retried(scene: Scene):
    """If the task's queue fails, the message is retried, and escalated with its next delivery."""
    scene.upload("a.jpg")
    settings = FunctionSettings(source=scene.source, destination=scene.destination, recipe=scene.recipe)
    sent: list[str] = []
    event = queued(backfill_message("src", "a.jpg"))
    fail = raising(StoreError("no queue", transient=True))
    assert failed(handle(event, Context(), Converger(settings, Small(), escalate=lambda _: fail()))) == ["m0"]
    event["Records"][0]["attributes"]["ApproximateReceiveCount"] = "2"
    assert failed(handle(event, Context(), Converger(settings, Small(), escalate=sent.append))) == []
    assert sent == ["a.jpg"]


def test_without_larger_machines_a_rejection_is_final(scene: Scene):
    """Without a queue of larger machines, a source over the memory is rejected and acknowledged."""
    scene.upload("a.jpg")
    scene.renderer = Small()
    assert failed(scene.call(queued(backfill_message("src", "a.jpg")))) == []
    assert scene.manifest("a.jpg")["rejection"]["code"] == "over_memory"


@needs_servers
def test_failed_messages_stay_in_the_queue(places: FunctionSettings, queue: Queue, scene: Scene):
    """An unreadable message, or one with a failed key, stays in the queue."""
    places.source.put("a.jpg", picture(), HEADERS)
    queue.send(["nonsense", _ask(places, "a.jpg")])
    assert consume(queue, Converger(places, scene.renderer), lambda: False, seconds=1, max_empty=1) == 1
    assert queue.depth().total == 1


@needs_servers
def test_a_missing_queue_ends_the_task(places: FunctionSettings, scene: Scene):
    """A missing queue is a permanent error that ends the task."""
    gone = Queue("http://127.0.0.1/000000000000/gone", clients.client("sqs"))
    with pytest.raises(StoreError):
        consume(gone, Converger(places, scene.renderer), lambda: False)


def test_a_transient_error_of_the_queue_is_retried(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    """After a transient error of the queue the task continues."""
    monkeypatch.setattr("thumbsmith.dispatch.consume.PAUSE_SECONDS", 0.0)
    looks = []

    class Failing(Queue):
        def attributes(self, names):
            return {}

        def receive(self, seconds=1, hidden=None):
            looks.append(1)
            if len(looks) < 3:
                raise StoreError("busy", transient=True)
            return []

    settings = FunctionSettings(source=scene.source, destination=scene.destination, recipe=scene.recipe)
    assert consume(Failing("http://x/y", None), Converger(settings, scene.renderer), lambda: False, max_empty=1) == 0
    assert len(looks) == 3


@needs_servers
def test_it_runs_as_a_process(places: FunctionSettings, queue: Queue):
    """`python -m thumbsmith.aws.task` handles its queue until SIGTERM, and exits with 0."""
    places.source.put("a.jpg", picture(), HEADERS)
    queue.send([_ask(places, "a.jpg")])
    command = [sys.executable, "-m", "thumbsmith.aws.task"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ.copy()) as process:
        end = time.monotonic() + SECONDS
        while queue.depth().total and time.monotonic() < end:
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, out
    assert len(list(places.destination.list("a.jpg/"))) == 4
    assert '"outcome": "made"' in out


@pytest.mark.parametrize("missing", ["THUMBSMITH_QUEUE", "THUMBSMITH_SOURCE"])
def test_missing_settings_are_one_line(missing: str):
    """A missing variable is one JSON line with its name, and exit code 2."""
    given = {"THUMBSMITH_QUEUE": "http://x/y", "THUMBSMITH_SOURCE": "s3://a/b", "THUMBSMITH_DESTINATION": "s3://c/d"}
    given.pop(missing)
    command = [sys.executable, "-m", "thumbsmith.aws.task"]
    environment = os.environ | given
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 2
    assert done.stdout.startswith('{"level": "ERROR", "event": "settings"')
    assert missing in done.stdout
