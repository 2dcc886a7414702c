"""The audit's function: what should not be is a metric, and sent to be repaired where that is wanted."""

import json
import secrets
from dataclasses import replace
from typing import Any

import pytest

from tests.aws.scene import Context, Scene, lines, notification
from tests.backfill.scene import MemoryQueue, never
from tests.pictures import picture
from tests.reconcile.scene import HEADERS
from tests.servers.fixtures import needs_servers
from thumbsmith import open_store
from thumbsmith.aws import audit as module
from thumbsmith.aws.audit import audit, handler, metrics
from thumbsmith.aws.settings import FunctionSettings
from thumbsmith.backfill import clients
from thumbsmith.backfill.clients import open_queue


def _settings(scene: Scene) -> FunctionSettings:
    return FunctionSettings(source=scene.source, destination=scene.destination, recipe=scene.recipe)


@pytest.fixture
def drifted(scene: Scene) -> Scene:
    """Return a scene of ten sources, of which one is missing, one stale, and an eleventh is gone."""
    scene.upload(*(f"{number}.jpg" for number in range(9)), "gone.jpg")
    scene.call(notification(*(f"{number}.jpg" for number in range(9)), "gone.jpg"))
    scene.upload("new.jpg")
    scene.source.put("0.jpg", picture("#fedcba"), HEADERS)
    scene.source.delete("gone.jpg")
    return scene


def test_drift_is_counted_and_repaired(drifted: Scene):
    """One missing, one stale, four objects of a gone source; sent to the queue, the function makes all right."""
    queue = MemoryQueue()
    totals, sent, complete = audit(_settings(drifted), "", never, queue)
    told = dict(metrics(totals, sent, complete=complete))
    assert told == {
        "Sources": 10,
        "Missing": 1,
        "Stale": 1,
        "Orphaned": 4,
        "Unknown": 0,
        "Drift": 6,
        "Repairs": 3,
        "Unfinished": 0,
    }
    queue.feed(drifted)
    again = dict(metrics(*audit(_settings(drifted), "", never, queue)[:2], complete=True))
    assert (again["Drift"], again["Repairs"], again["Sources"]) == (0, 0, 10)
    assert drifted.pictured() == {info.key for info in drifted.source.list()}


def test_without_a_queue_nothing_is_sent(drifted: Scene):
    """Only told."""
    totals, sent, _ = audit(_settings(drifted), "", never, None)
    assert (totals.to_make, sent) == (2, 0)


def test_one_prefix_is_looked_at(drifted: Scene):
    """Keys outside of it are left alone, and in no count."""
    totals, sent, _ = audit(_settings(drifted), "new", never, MemoryQueue())
    assert (sum(totals.sources.values()), sent) == (1, 1)


def test_a_source_that_was_emptied_is_not_followed(drifted: Scene, capsys: pytest.CaptureFixture[str]):
    """Where more than half of all thumbnails would be deleted nothing is sent, and that is told."""
    for info in list(drifted.source.list()):
        drifted.source.delete(info.key)
    queue = MemoryQueue()
    capsys.readouterr()
    totals, sent, _ = audit(_settings(drifted), "", never, queue)
    assert (sent, queue.sent) == (0, 0)
    assert totals.orphaned == 40
    assert "to delete more than half" in lines(capsys)[0]["detail"]


def test_what_was_not_finished_deletes_nothing(drifted: Scene, monkeypatch: pytest.MonkeyPatch):
    """Where there was no time for all, what is known to be missing is sent, and no deletion; and that is a metric."""
    drifted.source.delete("1.jpg")
    queue = MemoryQueue()
    totals, sent, complete = audit(_settings(drifted), "", lambda: True, queue)
    assert not complete
    assert dict(metrics(totals, sent, complete=complete))["Unfinished"] == 1
    assert sent == queue.sent
    assert not [body for _, body, _ in queue.waiting if "gone.jpg" in body or '"1.jpg"' in body]


@needs_servers
def test_the_function_tells_metrics(ministack: str, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    """By its environment it finds both places and the queue; what it counted is one line in the metric format."""
    name = f"repairs-{secrets.token_hex(6)}"
    clients.client("sqs").create_queue(QueueName=name)
    queue = open_queue(f"sqs://{name}")
    open_store(f"{ministack}/in").put("2026/a.jpg", picture(), HEADERS)
    open_store(f"{ministack}/in").put("2025/a.jpg", picture(), HEADERS)
    monkeypatch.setenv("THUMBSMITH_SOURCE", f"{ministack}/in")
    monkeypatch.setenv("THUMBSMITH_DESTINATION", f"{ministack}/out")
    monkeypatch.setenv("THUMBSMITH_BACKFILL", queue.url)
    answer = handler({"prefix": "2026/"}, replace(Context(), milliseconds=900_000))
    (line,) = lines(capsys)
    assert answer["Missing"] == answer["Repairs"] == 1
    assert (line["event"], line["prefix"], line["Drift"]) == ("audit", "2026/", 1)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert {each["Name"] for each in directive["Metrics"]} >= {"Drift", "Missing", "Unfinished"}
    (message,) = queue.receive(1)
    assert json.loads(message.body)["keys"] == ["in/2026/a.jpg"]
    assert module.ENDING < 900
