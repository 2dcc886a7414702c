"""One line an image, whatever its key holds, with metrics that CloudWatch understands."""

import json
import re
import time
from typing import Any

import pytest

from tests.aws.faulty import Faulty, raising
from tests.aws.scene import Scene, announcement, lines, notification, queued
from tests.corpus import CORPUS, needs_corpus
from thumbsmith.aws.telemetry import NAMESPACE
from thumbsmith.errors import StoreError

UNITS = {"Count", "Bytes", "Milliseconds"}


def metrics(line: dict[str, Any]) -> dict[tuple[tuple[str, str], ...], dict[str, float]]:
    """Return the metrics of a line by their dimensions, checked as the specification of the format has it."""
    aws = line["_aws"]
    assert aws.keys() == {"Timestamp", "CloudWatchMetrics"}
    assert abs(aws["Timestamp"] / 1000 - time.time()) < 60
    found = {}
    for directive in aws["CloudWatchMetrics"]:
        assert directive.keys() == {"Namespace", "Dimensions", "Metrics"}
        assert directive["Namespace"] == NAMESPACE == "Thumbsmith"
        (names,) = directive["Dimensions"]
        assert 0 < len(directive["Metrics"]) <= 100
        assert all(each.keys() == {"Name", "Unit"} and each["Unit"] in UNITS for each in directive["Metrics"])
        values = {each["Name"]: line[each["Name"]] for each in directive["Metrics"]}
        assert all(isinstance(value, int | float) and value >= 0 for value in values.values())
        assert all(isinstance(line[name], str) and 0 < len(line[name]) <= 1024 for name in names)
        found[tuple((name, line[name]) for name in names)] = values
    return found


def test_a_picture_that_was_made(scene: Scene, capsys: pytest.CaptureFixture[str]):
    """Its key, its outcome, what it took by stage, and what went in and out."""
    scene.upload("a.jpg")
    sent = int(time.time() * 1000) - 5000
    scene.call(queued(notification("a.jpg"), announcement("a.jpg"), sent=sent))
    (line,) = lines(capsys)
    expected = {"level": "INFO", "event": "image", "key": "a.jpg", "outcome": "made", "request_id": "request-1"}
    assert expected.items() <= line.items()
    assert (line["renditions"], line["written"], line["deleted"]) == (3, 3, 0)
    assert line["peak_memory"] > 1 << 20
    assert "code" not in line
    found = metrics(line)
    assert found[("Function", "thumbnails"), ("Outcome", "made")] == {"Images": 1}
    took = found[(("Function", "thumbnails"),)]
    stages = [took[f"{stage}Milliseconds"] for stage in ("Look", "Render", "Store")]
    assert sum(stages) == pytest.approx(took["TotalMilliseconds"], abs=0.1)
    assert took["CpuMilliseconds"] > 0
    assert 4000 < took["QueueMilliseconds"] < 60_000
    written = sum(info.size for info in scene.destination.list() if not info.key.endswith(".json"))
    source = scene.source.head("a.jpg")
    assert source is not None
    assert (took["BytesIn"], took["BytesOut"], took["Pixels"]) == (source.size, written, 60 * 40)


def test_pictures_that_were_not_made(scene: Scene, capsys: pytest.CaptureFixture[str]):
    """Fresh, rejected, absent, failed: each by its word, with a code where there is one."""
    scene.source = Faulty("src", faults={"d.jpg": raising(StoreError("busy", transient=True))})
    scene.source.faults["e.jpg"] = raising(StoreError("forbidden", transient=False))
    scene.upload("a.jpg", "d.jpg", "e.jpg")
    scene.upload("b.jpg", data=b"")
    scene.call(notification("a.jpg"))
    lines(capsys)
    scene.call(queued(*(notification(f"{letter}.jpg") for letter in "abcde")))
    told = {line["key"]: line for line in lines(capsys)}
    assert {key: (line["outcome"], line.get("code")) for key, line in told.items()} == {
        "a.jpg": ("fresh", None),
        "b.jpg": ("rejected", "empty"),
        "c.jpg": ("absent", None),
        "d.jpg": ("failed", "transient"),
        "e.jpg": ("failed", "permanent"),
    }
    for line in told.values():
        assert metrics(line)[("Function", "thumbnails"), ("Outcome", line["outcome"])] == {"Images": 1}
        assert line["level"] == ("ERROR" if line["outcome"] == "failed" else "INFO")
    assert told["d.jpg"]["detail"] == "busy"


def test_what_is_no_image(scene: Scene, capsys: pytest.CaptureFixture[str]):
    """What was ignored is counted by its reason, and a message that nobody understands named by its id."""
    scene.call(queued(announcement("a.jpg", bucket="other"), "{not json"))
    ignored, unreadable = lines(capsys)
    assert (ignored["event"], ignored["reason"], ignored["detail"]) == ("ignored", "foreign_bucket", "other/a.jpg")
    assert metrics(ignored) == {(("Function", "thumbnails"), ("Reason", "foreign_bucket")): {"Ignored": 1}}
    assert (unreadable["event"], unreadable["message"], unreadable["level"]) == ("unreadable", "m1", "ERROR")
    assert unreadable["detail"] == "no JSON: '{not json'"
    assert metrics(unreadable) == {(("Function", "thumbnails"),): {"Unreadable": 1}}


@needs_corpus
def test_no_key_breaks_a_line(scene: Scene, capsys: pytest.CaptureFixture[str]):
    """Whatever it holds: one line, of printable ASCII, that gives back the very key."""
    found = json.loads((CORPUS / "hostile_keys.json").read_text())
    keys = {each if isinstance(each, str) else each["key"] for each in found} | {"\x1b[31m", "a\u2028b", "a\x85b"}
    keys = {key for key in keys if key and not key.endswith("/")}
    for key in keys:
        scene.call(announcement(key))
    printed = capsys.readouterr().out
    assert re.fullmatch(r"(?:[ -~]+\n)+", printed)
    assert [json.loads(line)["key"] for line in printed.splitlines()] == list(keys)
