"""One log line for each image, for any key, with metrics in CloudWatch's format."""

import json
import re
import time
import uuid
from typing import Any

import pytest

from tests.aws.faulty import Faulty, raising
from tests.aws.scene import Context, Scene, eventbridge_event, lines, notification, queued
from tests.corpus import CORPUS, needs_corpus
from tests.pictures import picture
from thumbsmith.bulk.cost import FLOOD_BATCH, LOG_BYTES_PER_IMAGE, LOG_BYTES_PER_INVOCATION, TRICKLE_BATCH
from thumbsmith.environment import METRICS_NAMESPACE
from thumbsmith.errors import StoreError


def metrics(line: dict[str, Any]) -> dict[tuple[tuple[str, str], ...], dict[str, Any]]:
    """Return the metrics of a line by dimensions, checked against the format's specification."""
    aws = line["_aws"]
    assert aws.keys() == {"Timestamp", "CloudWatchMetrics"}
    assert abs(aws["Timestamp"] / 1000 - time.time()) < 60
    found = {}
    for directive in aws["CloudWatchMetrics"]:
        assert directive.keys() == {"Namespace", "Dimensions", "Metrics"}
        assert directive["Namespace"] == METRICS_NAMESPACE == "Thumbsmith"
        assert 0 < len(directive["Metrics"]) <= 100
        assert all(each.keys() == {"Name"} for each in directive["Metrics"])
        values = {each["Name"]: line[each["Name"]] for each in directive["Metrics"]}
        for value in values.values():
            each = value if isinstance(value, list) else [value]
            assert 0 < len(each) <= 100
            assert all(isinstance(number, int | float) and number >= 0 for number in each)
        for names in directive["Dimensions"]:
            assert all(isinstance(line[name], str) and 0 < len(line[name]) <= 1024 for name in names)
            found[tuple((name, line[name]) for name in names)] = values
    return found


def counts(printed: list[dict[str, Any]]) -> dict[tuple[str, str], int]:
    """Return the number of images by outcome, and by code, of all lines with metrics."""
    found: dict[tuple[str, str], int] = {}
    for line in printed:
        for dimensions, values in metrics(line).items() if line["event"] == "metrics" else ():
            for name in dimensions[1:]:
                found[name] = found.get(name, 0) + values["Images"]
    return found


def test_a_made_image(scene: Scene, capsys: pytest.CaptureFixture[str]):
    """One line has key, outcome and total time; another the metrics: time of each stage, and bytes in and out."""
    scene.upload("a.jpg")
    sent = int(time.time() * 1000) - 5000
    scene.call(queued(notification("a.jpg"), eventbridge_event("a.jpg"), sent=sent))
    line, measured = lines(capsys)
    expected = {"level": "INFO", "event": "image", "key": "a.jpg", "outcome": "made", "request_id": "request-1"}
    assert expected.items() <= line.items()
    assert (line["renditions"], line["written"], line["deleted"]) == (3, 3, 0)
    assert line["peak_memory"] > 1 << 20
    assert not {"code", "_aws"} & line.keys()
    found = metrics(measured)
    assert found[("Function", "thumbnails"), ("Outcome", "made")] == {"Images": 1}
    took = {name: value for name, (value,) in found[(("Function", "thumbnails"),)].items()}
    stages = [took[f"{stage}Milliseconds"] for stage in ("Look", "Render", "Store")]
    assert sum(stages) == pytest.approx(took["TotalMilliseconds"], abs=0.3)
    assert took["CpuMilliseconds"] > 0
    assert 4000 < took["QueueMilliseconds"] < 60_000
    written = sum(info.size for info in scene.destination.list() if not info.key.endswith(".json"))
    source = scene.source.head("a.jpg")
    assert source is not None
    assert (took["BytesIn"], took["BytesOut"], took["Pixels"]) == (source.size, written, 60 * 40)
    for name in ("TotalMilliseconds", "CpuMilliseconds", "BytesIn"):
        assert line[name] == took[name]


def test_the_metrics_of_an_invocation_are_one_line(scene: Scene, capsys: pytest.CaptureFixture[str]):
    """Images with the same outcome share a line. A line has at most 100 values of a metric."""
    keys = [f"{number}.jpg" for number in range(103)]
    scene.upload(*keys, data=picture(size=(8, 8)))
    scene.call(queued(*map(notification, keys)))
    printed = lines(capsys)
    assert sorted(line["key"] for line in printed if line["event"] == "image") == sorted(keys)
    measured = [line for line in printed if line["event"] == "metrics"]
    assert [line["Images"] for line in measured] == [100, 3]
    assert [len(line["RenderMilliseconds"]) for line in measured] == [100, 3]
    assert counts(printed) == {("Outcome", "made"): 103}


# Lambda's own lines, as in its documentation, for each invocation.
PLATFORM_LINES = f"""\
START RequestId: {uuid.UUID(int=1)} Version: $LATEST
END RequestId: {uuid.UUID(int=1)}
REPORT RequestId: {uuid.UUID(int=1)}\tDuration: 1234.56 ms\tBilled Duration: 1235 ms\tMemory Size: 1769 MB\t\
Max Memory Used: 250 MB
"""


def test_the_cost_model_knows_the_size_of_the_log(scene: Scene, capsys: pytest.CaptureFixture[str]):
    """The bytes of an image alone, and of ten together, are those of the model within 5 %."""
    context = Context(
        function_name="Thumbsmith-ThumbnailsConvergeFunctionC0FFEE12-AbCdEfGhIjKl", aws_request_id=str(uuid.UUID(int=1))
    )
    for number in (TRICKLE_BATCH, FLOOD_BATCH):
        keys = [f"photos/2026/11/IMG_{number}{each:03}.jpg" for each in range(number)]
        scene.upload(*keys, data=picture(size=(4000, 3000)))
        scene.call(queued(*map(notification, keys), sent=int(time.time() * 1000)), context)
        printed = capsys.readouterr().out + PLATFORM_LINES
        size = len(printed) + 26 * printed.count("\n")
        assert size == pytest.approx(LOG_BYTES_PER_INVOCATION + number * LOG_BYTES_PER_IMAGE, rel=0.05)


def test_other_outcomes(scene: Scene, capsys: pytest.CaptureFixture[str]):
    """Fresh, rejected, absent and failed images have their outcome, and a code where one exists."""
    scene.source = Faulty("src", faults={"d.jpg": raising(StoreError("busy", transient=True))})
    scene.source.faults["e.jpg"] = raising(StoreError("forbidden", transient=False))
    scene.upload("a.jpg", "d.jpg", "e.jpg")
    scene.upload("b.jpg", data=b"")
    scene.call(notification("a.jpg"))
    lines(capsys)
    scene.call(queued(*(notification(f"{letter}.jpg") for letter in "abcde")))
    printed = lines(capsys)
    logged = {line["key"]: line for line in printed if line["event"] == "image"}
    assert {key: (line["outcome"], line.get("code")) for key, line in logged.items()} == {
        "a.jpg": ("fresh", None),
        "b.jpg": ("rejected", "empty"),
        "c.jpg": ("absent", None),
        "d.jpg": ("failed", "transient"),
        "e.jpg": ("failed", "permanent"),
    }
    for line in logged.values():
        assert line["level"] == ("ERROR" if line["outcome"] == "failed" else "INFO")
    assert logged["d.jpg"]["detail"] == "busy"
    outcomes = {("Outcome", "fresh"): 1, ("Outcome", "rejected"): 1, ("Outcome", "absent"): 1, ("Outcome", "failed"): 2}
    assert counts(printed) == outcomes | {("Code", code): 1 for code in ("empty", "transient", "permanent")}


def test_ignored_and_unreadable_events(scene: Scene, capsys: pytest.CaptureFixture[str]):
    """Ignored events are counted by reason; an unreadable message is logged with its identifier."""
    scene.call(queued(eventbridge_event("a.jpg", bucket="other"), "{not json"))
    ignored, unreadable = lines(capsys)
    assert (ignored["event"], ignored["reason"], ignored["detail"]) == ("ignored", "foreign_bucket", "other/a.jpg")
    assert metrics(ignored) == {(("Function", "thumbnails"), ("Reason", "foreign_bucket")): {"Ignored": 1}}
    assert (unreadable["event"], unreadable["message"], unreadable["level"]) == ("unreadable", "m1", "ERROR")
    assert unreadable["detail"] == "not JSON: '{not json'"
    assert metrics(unreadable) == {(("Function", "thumbnails"),): {"Unreadable": 1}}


@needs_corpus
def test_no_key_breaks_a_line(scene: Scene, capsys: pytest.CaptureFixture[str]):
    """For any key, a line is printable ASCII and decodes to the same key."""
    found = json.loads((CORPUS / "hostile_keys.json").read_text())
    keys = {each if isinstance(each, str) else each["key"] for each in found} | {"\x1b[31m", "a\u2028b", "a\x85b"}
    keys = {key for key in keys if key and not key.endswith("/")}
    for key in keys:
        scene.call(eventbridge_event(key))
    printed = capsys.readouterr().out
    assert re.fullmatch(r"(?:[ -~]+\n)+", printed)
    logged = [json.loads(line) for line in printed.splitlines()]
    assert [line["key"] for line in logged if line["event"] == "image"] == list(keys)
