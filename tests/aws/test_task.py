"""The task that works off a queue, and what the function passes on to it: on the emulator, and as a process."""

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
from thumbsmith.aws.converger import Converger, Deadline
from thumbsmith.aws.invocation import handle
from thumbsmith.aws.settings import FunctionSettings, larger_machine
from thumbsmith.aws.task import work
from thumbsmith.backfill import clients
from thumbsmith.backfill.clients import Queue, open_queue
from thumbsmith.errors import Code, Rejected, StoreError
from thumbsmith.events import backfill_message

SECONDS = 60


class Small:
    """A renderer on a machine that is too small for every picture."""

    def render(self, reader, recipe, wanted=None, *, until=None):
        """Reject it, by prediction."""
        raise Rejected(Code.OVER_MEMORY, "expected 100 bytes of memory, found 200")


class Slow:
    """A renderer that is not done in time."""

    def render(self, reader, recipe, wanted=None, *, until=None):
        """Take the time that there is, and some more."""
        time.sleep(0.8)
        raise StoreError("late", transient=True)


@pytest.fixture
def queue(ministack: str) -> Queue:
    """Return a queue whose messages are hidden for a while."""
    name = f"large-{secrets.token_hex(6)}"
    clients.client("sqs").create_queue(QueueName=name, Attributes={"VisibilityTimeout": "30"})
    return open_queue(f"sqs://{name}")


@pytest.fixture
def places(ministack: str, monkeypatch: pytest.MonkeyPatch, queue: Queue) -> FunctionSettings:
    """Return settings between two places of a bucket, as the environment says them."""
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
    """What is over the function's memory is rejected there, passed on once, and made by a task; later it is fresh."""
    places.source.put("a.jpg", picture(), HEADERS)
    function = Converger(places, Small(), escalate=larger_machine(places))
    event = queued(_ask(places, "a.jpg"))
    for _ in range(3):  # the same event again, from whomever: it is passed on once
        assert failed(handle(event, Context(), function)) == []
    assert queue.depth().total == 1
    done = work(queue, Converger(places, scene.renderer), lambda: False, seconds=1, idle=1)
    assert (done, queue.depth().total) == (1, 0)
    assert len(list(places.destination.list("a.jpg/"))) == 4
    handle(event, Context(), function)
    assert queue.depth().total == 0


@needs_servers
def test_what_takes_too_long_twice_is_passed_on(
    places: FunctionSettings, queue: Queue, monkeypatch: pytest.MonkeyPatch
):
    """At first it is handed back; with its second delivery it goes to larger machines, and the message is done.

    There is little time for the source and much to pass it on, so that a slow machine gives the same answers.
    """
    little = classmethod(lambda deadline, *_: deadline(time.monotonic() + 0.3, needed=0.1, answering=60.0))
    monkeypatch.setattr(Deadline, "after", little)
    places.source.put("a.jpg", picture(), HEADERS)
    function = Converger(places, Slow(), escalate=larger_machine(places))
    event = queued(_ask(places, "a.jpg"))
    assert failed(handle(event, Context(), function)) == ["m0"]
    assert queue.depth().total == 0
    event["Records"][0]["attributes"]["ApproximateReceiveCount"] = "2"
    assert failed(handle(event, Context(), function)) == []
    (message,) = queue.receive(1)
    assert message.body == backfill_message(places.source.bucket, "in/a.jpg", retry=True)  # type: ignore[attr-defined]


def test_what_cannot_be_passed_on_comes_again(scene: Scene):
    """Where the queue fails the message is handed back, and passed on with its next delivery: it is lost by nobody."""
    scene.upload("a.jpg")
    settings = FunctionSettings(source=scene.source, destination=scene.destination, recipe=scene.recipe)
    sent: list[str] = []
    event = queued(backfill_message("src", "a.jpg"))
    fail = raising(StoreError("no queue", transient=True))
    assert failed(handle(event, Context(), Converger(settings, Small(), escalate=lambda _: fail()))) == ["m0"]
    event["Records"][0]["attributes"]["ApproximateReceiveCount"] = "2"
    assert failed(handle(event, Context(), Converger(settings, Small(), escalate=sent.append))) == []
    assert sent == ["a.jpg"]


def test_without_larger_machines_a_rejection_stands(scene: Scene):
    """As everywhere else: recorded, and acknowledged."""
    scene.upload("a.jpg")
    scene.renderer = Small()
    assert failed(scene.call(queued(backfill_message("src", "a.jpg")))) == []
    assert scene.manifest("a.jpg")["rejection"]["code"] == "over_memory"


@needs_servers
def test_what_fails_comes_again(places: FunctionSettings, queue: Queue, scene: Scene):
    """A message that nobody understands, or whose key could not be made right, stays in the queue."""
    places.source.put("a.jpg", picture(), HEADERS)
    queue.send(["nonsense", _ask(places, "a.jpg")])
    assert work(queue, Converger(places, scene.renderer), lambda: False, seconds=1, idle=1) == 1
    assert queue.depth().total == 1


@needs_servers
def test_a_queue_that_is_gone_is_told(places: FunctionSettings, scene: Scene):
    """For good: the task ends, and whoever runs it starts another."""
    gone = Queue("http://127.0.0.1/000000000000/gone", clients.client("sqs"))
    with pytest.raises(StoreError):
        work(gone, Converger(places, scene.renderer), lambda: False)


def test_a_queue_that_fails_for_now_is_asked_again(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    """A pause, and another look."""
    monkeypatch.setattr("thumbsmith.aws.task.PAUSE", 0.0)
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
    assert work(Failing("http://x/y", None), Converger(settings, scene.renderer), lambda: False, idle=1) == 0
    assert len(looks) == 3


@needs_servers
def test_it_runs_as_a_process(places: FunctionSettings, queue: Queue):
    """`python -m thumbsmith.aws.task` works off its queue until it is told to stop, and ends in order."""
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
def test_settings_that_are_none_are_one_line(missing: str):
    """Which variable is missing is told as JSON; exit code 2."""
    given = {"THUMBSMITH_QUEUE": "http://x/y", "THUMBSMITH_SOURCE": "s3://a/b", "THUMBSMITH_DESTINATION": "s3://c/d"}
    given.pop(missing)
    command = [sys.executable, "-m", "thumbsmith.aws.task"]
    environment = os.environ | given
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 2
    assert done.stdout.startswith('{"level": "ERROR", "event": "settings"')
    assert missing in done.stdout
