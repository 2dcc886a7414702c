"""The audit's function: drift is a metric, and is sent to the queue for repair."""

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
from thumbsmith.backfill import clients
from thumbsmith.backfill.clients import open_queue
from thumbsmith.dispatch.settings import FunctionSettings


def _settings(scene: Scene) -> FunctionSettings:
    return FunctionSettings(source=scene.source, destination=scene.destination, recipe=scene.recipe)


@pytest.fixture
def drifted(scene: Scene) -> Scene:
    """Return ten sources, one missing and one stale, and thumbnails of an eleventh, deleted source."""
    scene.upload(*(f"{number}.jpg" for number in range(9)), "gone.jpg")
    scene.call(notification(*(f"{number}.jpg" for number in range(9)), "gone.jpg"))
    scene.upload("new.jpg")
    scene.source.put("0.jpg", picture("#fedcba"), HEADERS)
    scene.source.delete("gone.jpg")
    return scene


def test_drift_is_counted_and_repaired(drifted: Scene):
    """Missing, stale and orphaned thumbnails are counted and sent; the function then repairs them."""
    queue = MemoryQueue()
    drifted.source.put("clip.mp4", b"video", HEADERS)
    totals, sent, complete = audit(_settings(drifted), "", never, queue)
    assert totals.ignored == 1
    drifted.source.delete("clip.mp4")
    found = dict(metrics(totals, sent, complete=complete))
    assert found == {
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
    assert drifted.complete_keys() == {info.key for info in drifted.source.list()}


def test_without_a_queue_nothing_is_sent(drifted: Scene):
    """Without a queue, drift is only counted."""
    totals, sent, _ = audit(_settings(drifted), "", never, None)
    assert (totals.to_make, sent) == (2, 0)


def test_one_prefix_is_checked(drifted: Scene):
    """Keys outside the prefix are neither counted nor sent."""
    totals, sent, _ = audit(_settings(drifted), "new", never, MemoryQueue())
    assert (sum(totals.sources.values()), sent) == (1, 1)


def test_an_empty_source_is_not_followed(drifted: Scene, capsys: pytest.CaptureFixture[str]):
    """Nothing is sent, and an error is logged, if more than half of all thumbnails would be deleted."""
    for info in list(drifted.source.list()):
        drifted.source.delete(info.key)
    queue = MemoryQueue()
    capsys.readouterr()
    totals, sent, _ = audit(_settings(drifted), "", never, queue)
    assert (sent, queue.sent) == (0, 0)
    assert totals.orphaned == 40
    assert "30 of 30 thumbnails belong to sources that no longer exist" in lines(capsys)[0]["detail"]


def test_an_unfinished_audit_deletes_nothing(drifted: Scene, monkeypatch: pytest.MonkeyPatch):
    """An audit that runs out of time sends no deletion, and counts `Unfinished`."""
    drifted.source.delete("1.jpg")
    queue = MemoryQueue()
    totals, sent, complete = audit(_settings(drifted), "", lambda: True, queue)
    assert not complete
    assert dict(metrics(totals, sent, complete=complete))["Unfinished"] == 1
    assert sent == queue.sent
    assert not [body for _, body, _ in queue.waiting if "gone.jpg" in body or '"1.jpg"' in body]


@needs_servers
def test_the_function_prints_metrics(ministack: str, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    """The handler takes stores and queue from the environment, and prints its metrics in one line."""
    name = f"repairs-{secrets.token_hex(6)}"
    clients.client("sqs").create_queue(QueueName=name)
    queue = open_queue(f"sqs://{name}")
    open_store(f"{ministack}/in").put("2026/a.jpg", picture(), HEADERS)
    open_store(f"{ministack}/in").put("2025/a.jpg", picture(), HEADERS)
    open_store(f"{ministack}/in").put("2026/a.mp4", b"video", HEADERS)
    monkeypatch.setenv("THUMBSMITH_SOURCE", f"{ministack}/in")
    monkeypatch.setenv("THUMBSMITH_DESTINATION", f"{ministack}/out")
    monkeypatch.setenv("THUMBSMITH_BACKFILL", queue.url)
    answer = handler({"prefix": "2026/"}, replace(Context(), milliseconds=900_000))
    (line,) = lines(capsys)
    assert answer["Missing"] == answer["Repairs"] == answer["ignored"] == line["ignored"] == 1
    assert (line["event"], line["prefix"], line["Drift"]) == ("audit", "2026/", 1)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert {each["Name"] for each in directive["Metrics"]} >= {"Drift", "Missing", "Unfinished"}
    (message,) = queue.receive(1)
    assert json.loads(message.body)["keys"] == ["in/2026/a.jpg"]
    assert module.END_SECONDS < 900
