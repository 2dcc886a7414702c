"""`thumbsmith sync --via`: planned here, made by functions through a queue or a job, on an emulator."""

import gzip
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.backfill.service import Client, Service
from tests.cli.command import Command, Ran
from tests.pictures import picture
from tests.reconcile.scene import HEADERS
from tests.servers.fixtures import administrator, needs_servers
from thumbsmith import Recipe, converge, open_store
from thumbsmith.backfill import clients, send
from thumbsmith.backfill.batch_job import JobResources
from thumbsmith.backfill.clients import Queue, open_queue
from thumbsmith.cli import sync_by_batch, sync_by_queue
from thumbsmith.dispatch.consume import consume
from thumbsmith.dispatch.converger import Converger
from thumbsmith.dispatch.invocation import handle
from thumbsmith.dispatch.settings import FunctionSettings
from thumbsmith.store import Headers, Store
from thumbsmith.worker import Workers

pytestmark = needs_servers


class Backfill:
    """Source and destination in one bucket, three images, and a queue."""

    def __init__(self, thumbsmith: Command, bucket: str, queue: Queue, workers: Workers) -> None:
        """Create the images."""
        self.thumbsmith, self.queue, self.workers = thumbsmith, queue, workers
        self.source: Store = open_store(f"{bucket}/in")
        self.destination: Store = open_store(f"{bucket}/out")
        for name, color in (("a.jpg", "#102030"), ("sub/ü b.jpg", "#405060"), ("c+d.jpg", "#708090")):
            self.source.put(name, picture(color), HEADERS)

    @property
    def converger(self) -> Converger:
        """Return the converger that processes messages."""
        settings = FunctionSettings(source=self.source, destination=self.destination, recipe=Recipe.default())
        return Converger(settings, self.workers)

    def sync(self, *options: str, via: str | None = None) -> Ran:
        """Run sync with --via."""
        stores = (self.source.url, self.destination.url)
        return self.thumbsmith("sync", *stores, "--via", via or self.queue.url, "--json", *options)

    @contextmanager
    def served(self, serve: Callable[[], object] | None = None) -> Iterator[None]:
        """Process the messages of the queue during the block."""
        over = threading.Event()

        def working() -> None:
            consume(self.queue, self.converger, over.is_set, seconds=0)

        thread = threading.Thread(target=serve or working)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Return one worker for all tests."""
    with Workers(1) as started:
        yield started


@pytest.fixture
def backfill(
    thumbsmith: Command, ministack: str, workers: Workers, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> Backfill:
    """Return a backfill without pauses."""
    monkeypatch.setattr(send.drain, "__defaults__", (0.01, 3))
    monkeypatch.setattr(sync_by_queue, "CONSISTENT_SECONDS", 0.0)
    name = f"q-{secrets.token_hex(6)}"
    clients.client("sqs").create_queue(QueueName=name)
    return Backfill(thumbsmith, ministack, open_queue(f"sqs://{name}"), workers)


def _events(ran: Ran, *names: str) -> list[dict[str, Any]]:
    """Return the JSON lines of these kinds; the task in this process prints lines too."""
    return [each for each in ran.events if each["event"] in names]


def test_a_backfill_ends_when_all_is_right(backfill: Backfill):
    """Planned, estimated, sent, followed and compared: exit code 0, and each source in one count."""
    with backfill.served():
        ran = backfill.sync()
    (estimate,), (summary,) = _events(ran, "estimate"), _events(ran, "summary")
    assert ran.code == 0
    assert estimate["keys"] == 3
    assert estimate["dollars"] == pytest.approx(sum(estimate["lines"].values()), abs=1e-3)
    counts = {"sources": 3, "made": 3, "fresh": 0, "rejected": 0, "failed": 0, "sent": 3}
    assert {name: summary[name] for name in counts} == counts
    again = backfill.sync()
    assert (again.code, again.summary["fresh"], again.summary["sent"]) == (0, 3, 0)


def test_a_message_says_that_nothing_was_made(backfill: Backfill):
    """For a key without any thumbnail the message has the queue's time, so that the function lists nothing."""
    backfill.destination.put("a.jpg/small.webp", b"left by a run that was killed", HEADERS)
    backfill.sync("--no-wait")
    bodies = [json.loads(message.body) for message in backfill.queue.receive_all(60, 10)]
    times = {body["keys"][0]: body.get("new_at") for body in bodies}
    assert {key.rpartition("in/")[2] for key, time in times.items() if time} == {"sub/ü b.jpg", "c+d.jpg"}
    now = datetime.now(UTC)
    assert all(abs(datetime.fromisoformat(time) - now) < timedelta(minutes=5) for time in times.values() if time)


def test_ignored_files_are_counted_and_their_records_removed(backfill: Backfill):
    """A video is no source of a backfill; what was recorded of it earlier is deleted by a function."""
    backfill.source.put("clip.mp4", b"video", HEADERS)
    earlier = Recipe.loads("[source]\ninclude = ['*.mp4']\n[variants.a]\nwidth = 9")
    assert converge("clip.mp4", backfill.source, backfill.destination, earlier).status == "rejected"
    with backfill.served():
        ran = backfill.sync()
    (summary,) = _events(ran, "summary")
    assert (ran.code, summary["sources"], summary["sent"], summary["ignored"]) == (0, 3, 4, 1)
    assert backfill.destination.head("clip.mp4/manifest.json") is None
    stores = (backfill.source.url, backfill.destination.url)
    assert "; 1 other file ignored; " in backfill.thumbsmith("sync", *stores, "--via", backfill.queue.url).out


def test_people_are_told(backfill: Backfill):
    """The estimate by line is on stderr, the result on stdout."""
    with backfill.served():
        ran = backfill.thumbsmith(
            "sync", backfill.source.url, backfill.destination.url, "--via", f"sqs://{backfill.queue.name}"
        )
    assert ran.code == 0
    assert "3 to make from 0.0 GB" in ran.err
    assert "S3 PUT" in ran.err
    assert "3 sources: 3 made, 0 fresh, 0 rejected, 0 failed, 3 sent" in ran.out


def test_a_dry_run_sends_nothing(backfill: Backfill):
    """A dry run ends with the estimate."""
    ran = backfill.sync("--dry-run")
    assert (ran.code, ran.events[-1]["event"]) == (0, "estimate")
    assert backfill.queue.depth().total == 0


def test_what_was_sent_need_not_be_waited_for(backfill: Backfill):
    """A second run sends only new keys; --drain waits for messages; --stop deletes them."""
    first = backfill.sync("--no-wait")
    assert (first.code, first.summary["sent"]) == (0, 3)
    backfill.source.put("new.jpg", picture("#111111"), HEADERS)
    second = backfill.sync("--no-wait")
    assert (second.summary["sent"], second.summary["in_flight"]) == (1, 3)
    with backfill.served():
        drained = backfill.sync("--drain")
    assert drained.code == 0
    assert _events(drained, "summary")[0]["failed"] == 0
    backfill.source.put("newer.jpg", picture("#222222"), HEADERS)
    backfill.sync("--no-wait")
    stopped = backfill.sync("--stop")
    assert (stopped.code, stopped.events[-1]) == (0, {"event": "stopped", "deleted": 1, "in_hand": 0})
    assert backfill.queue.depth().total == 0
    assert backfill.sync("--no-wait").summary["sent"] == 1
    words = ("sync", backfill.source.url, backfill.destination.url, "--via", backfill.queue.url, "--stop")
    assert "about 1 message deleted; functions finish 0 in progress" in backfill.thumbsmith(*words).out


def test_what_is_left_is_told(backfill: Backfill):
    """If the queue is empty and thumbnails are missing, each key has its reason; exit code 1."""

    def lose() -> None:
        for message in iter(lambda: backfill.queue.receive(5), []):
            for each in message:
                backfill.queue.delete(each)
            return

    with backfill.served(lose):
        ran = backfill.sync()
    assert ran.code == 1
    assert {each["why"] for each in _events(ran, "left")} == {"there is no manifest"}
    assert ran.summary["failed"] == 3
    words = ("sync", backfill.source.url, backfill.destination.url, "--via", backfill.queue.url, "--drain")
    assert "left a.jpg: there is no manifest" in backfill.thumbsmith(*words).err


def test_what_is_opted_out_is_right(backfill: Backfill):
    """An opted-out source is sent, since listings do not show that, and counts as up to date afterwards."""
    headers = Headers(content_type="image/jpeg", metadata={"thumbs": "off"})
    backfill.source.put("off.jpg", picture("#333333"), headers)
    with backfill.served():
        ran = backfill.sync()
    assert ran.code == 0
    assert _events(ran, "summary")[0]["sent"] == 4


def test_a_budget_stops_it(backfill: Backfill):
    """With a small budget some keys are sent, and the exit code shows that some are left."""
    whole = backfill.sync("--dry-run").events[-1]["dollars"]
    ran = backfill.sync("--max-usd", f"{0.5 * whole:.6f}", "--no-wait")
    assert ran.code == 1
    assert 0 < ran.summary["sent"] < 3
    words = ("sync", backfill.source.url, backfill.destination.url, "--via", backfill.queue.url, "--max-usd", "0")
    assert "the rest would cost more than --max-usd" in backfill.thumbsmith(*words, "--no-wait").out


def test_what_was_emptied_is_not_wiped(backfill: Backfill):
    """Deletion of more than half of all thumbnails needs --yes; nothing is sent without it."""
    with backfill.served():
        assert backfill.sync().code == 0
    for info in list(backfill.source.list()):
        backfill.source.delete(info.key)
    refused = backfill.sync()
    assert (refused.code, backfill.queue.depth().total) == (2, 0)
    assert "use --yes" in refused.err
    with backfill.served():
        assert backfill.sync("--yes").code == 0
    assert not list(backfill.destination.list())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["./photos", "./thumbs", "--via", "sqs://x"], "two buckets"),
        (["s3://a/x", "s3://b/y", "--via", "pigeon"], "expected sqs://QUEUE"),
        (["s3://a/x", "s3://b/y", "--via", "batch://"], "expected sqs://QUEUE"),
        (["s3://a/x", "s3://b/y", "--via", "sqs://x", "--keep-orphans"], "--keep-orphans"),
        (["./photos", "./thumbs", "--max-usd", "3"], "--max-usd: expected only with --via a queue, --via batch"),
        (["./photos", "./thumbs", "--max-usd", "0"], "--max-usd: expected only with"),
        (["./photos", "./thumbs", "--rate", "0"], "--rate: expected only with"),
        (["./photos", "./thumbs", "--milliseconds", "5"], "--milliseconds: expected only with"),
        (["./photos", "./thumbs", "--no-wait"], "--no-wait: expected only with"),
        (["./photos", "./thumbs", "--wait"], "--wait: expected only with"),
        (["./photos", "./thumbs", "--dry-run", "--jobs", "2"], "--jobs: expected only with a run on this machine"),
        (["./photos", "./thumbs", "--dry-run", "--yes"], "--yes: expected only with"),
        (["s3://a", "s3://b", "--via", "sqs://q", "--jobs", "2"], "--jobs: expected only with a run on this machine"),
        (
            ["s3://a", "s3://b", "--via", "sqs://q", "--inventory", "s3://a/m"],
            "--inventory: expected only with --via batch",
        ),
        (["s3://a", "s3://b", "--via", "batch", "--rate", "2"], "--rate: expected only with --via a queue"),
        (["s3://a", "s3://b", "--via", "batch", "--no-wait"], "--no-wait: expected only with --via a queue"),
        (["./photos", "./thumbs", "--drain"], "--drain: expected only with --via a queue"),
        (["s3://a/x", "s3://b/y", "--via", "sqs://x", "--rate", "0"], "--rate"),
    ],
)
def test_what_makes_no_sense_is_refused(thumbsmith: Command, words: list[str], sentence: str):
    """One sentence and exit code 2, before any request."""
    ran = thumbsmith("sync", *words)
    assert ran.code == 2
    assert sentence in ran.err
    assert ran.err.count("\n") == 1


class Context:
    """Lambda's context."""

    function_name, aws_request_id = "thumbs", "r"

    def get_remaining_time_in_millis(self) -> int:
        """Return the time left."""
        return 60_000


@pytest.fixture
def service(backfill: Backfill, ministack: str, monkeypatch: pytest.MonkeyPatch) -> Service:
    """Return a simulation of S3 Batch Operations that calls the function, for a prepared stack."""
    bucket = f"jobs-{secrets.token_hex(4)}"
    administrator().create_bucket(Bucket=bucket)
    service = Service(lambda event: handle(event, Context(), backfill.converger), open_store(f"s3://{bucket}"))
    outputs = {
        "FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:thumbs",
        "BatchRole": "arn:aws:iam::123456789012:role/jobs",
        "BatchBucket": bucket,
    }
    monkeypatch.setattr(clients, "stack_outputs", {"Mine": outputs, "Thumbsmith": {}}.__getitem__)
    client = clients.client
    monkeypatch.setattr(clients, "client", lambda name: Client(service) if name == "s3control" else client(name))
    monkeypatch.setattr(sync_by_batch, "POLL_SECONDS", 0.0)
    return service


def test_a_job_is_planned_confirmed_and_followed(backfill: Backfill, service: Service):
    """A job makes all thumbnails and reports all tasks; a rejected image is no failure."""
    backfill.source.put("bad.jpg", b"no picture", HEADERS)
    backfill.source.put("clip.mp4", b"video", HEADERS)
    ran = backfill.sync("--yes", via="batch://Mine")
    (summary,) = _events(ran, "summary")
    assert (ran.code, summary["ignored"]) == (0, 1)
    assert summary["outcomes"] == {"made": 3, "rejected:unsupported_format": 1}
    assert backfill.sync("--yes", via="batch://Mine").code == 0
    assert not service.tasks or len(service.tasks) == 4  # nothing was to be done: no further job


def test_a_job_takes_an_inventory(backfill: Backfill, service: Service, ministack: str):
    """With an inventory nothing is planned; the job processes all keys in it."""
    bucket = ministack.removeprefix("s3://")
    listed = f'"{bucket}","in/a.jpg","9"\n"{bucket}","in/sub/%C3%BC+b.jpg","9"\n"{bucket}","in/gone.jpg","9"\n'
    service.bucket.put("inv/data/1.csv.gz", gzip.compress(listed.encode()), HEADERS)
    told = json.dumps({"fileFormat": "CSV", "files": [{"key": "inv/data/1.csv.gz"}]}).encode()
    service.bucket.put("inv/manifest.json", told, HEADERS)
    ran = backfill.sync("--yes", "--inventory", f"{service.bucket.url}/inv/manifest.json", via="batch://Mine")
    assert service.request["Manifest"]["Spec"]["Format"] == "S3InventoryReport_CSV_20161130"
    assert (ran.code, _events(ran, "summary")[0]["outcomes"]) == (0, {"absent": 1, "made": 2})


def test_a_job_is_not_begun_unconfirmed(backfill: Backfill, service: Service):
    """Without a terminal and without --yes, the job waits, with its cost; exit code 2."""
    ran = backfill.sync(via="batch://Mine")
    assert ran.code == 2
    assert "3 tasks, about $0.25, waits for confirmation: use --yes" in ran.err
    assert service.status == "Suspended"


@pytest.mark.parametrize("yes", [True, False])
def test_people_are_asked(backfill: Backfill, service: Service, monkeypatch: pytest.MonkeyPatch, yes: bool):
    """On a terminal, yes starts the job and no cancels it."""
    monkeypatch.setattr(sync_by_batch.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sync_by_batch.click, "confirm", lambda *_, **__: yes)
    ran = backfill.sync(via="batch://Mine")
    assert (ran.code, service.status) == ((0, "Complete") if yes else (1, "Cancelled"))


def test_a_job_over_its_budget_is_not_created(backfill: Backfill, service: Service):
    """A job that costs more than the maximum is refused before it is created."""
    ran = backfill.sync("--yes", "--max-usd", "0.1", via="batch://Mine")
    assert ran.code == 2
    assert "the job would cost about $0.25" in ran.err
    assert service.status == "New"


def test_a_dry_run_writes_no_manifest(backfill: Backfill, service: Service):
    """A dry run prints only the estimate."""
    ran = backfill.sync("--dry-run", via="batch://Mine")
    assert (ran.code, [each["event"] for each in ran.events]) == (0, ["estimate"])
    assert not list(service.bucket.list())


def test_a_stack_without_jobs_is_refused(backfill: Backfill, service: Service):
    """The sentence explains how to deploy a stack with jobs."""
    ran = backfill.sync("--yes", via="batch")
    assert ran.code == 2
    assert "deploy it with -c batch=true" in ran.err


def test_a_job_that_fails_is_told(backfill: Backfill, service: Service, monkeypatch: pytest.MonkeyPatch):
    """A failed job gives the reason of S3; exit code 2."""
    monkeypatch.setattr(service, "_carry_out", lambda: setattr(service, "status", "Failed"))
    ran = backfill.sync("--yes", via="batch://Mine")
    assert ran.code == 2
    assert "job job-1: Failed: too many tasks failed" in ran.err


def test_means_are_a_stacks_outputs(service: Service):
    """The account of a job is that of the function."""
    assert JobResources.of_stack("Mine").account == "123456789012"
