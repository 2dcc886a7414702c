"""`/metrics` and `/formats`: what the server did, and what it accepts."""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request

from tests.pictures import picture
from tests.web.serving import RunningServer
from thumbsmith import Recipe, open_store
from thumbsmith.bulk.scan import Scope
from thumbsmith.dispatch.metrics import Metrics
from thumbsmith.errors import Code, StoreError
from thumbsmith.image.formats import SOURCE_FORMATS
from thumbsmith.reader import RangeReader
from thumbsmith.reconcile.converge import Result
from thumbsmith.reconcile.protocol import Outcome
from thumbsmith.web.background import BackgroundUpdater
from thumbsmith.web.metrics import MetricsEndpoint
from thumbsmith.worker import Work, Workers


def _values(server: RunningServer) -> dict[str, float]:
    """Return the metrics by name and labels, after a check of the format of each line."""
    answer = server.client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    values: dict[str, float] = {}
    described = set()
    for line in answer.text.splitlines():
        if line.startswith("# "):
            described.add(re.fullmatch(r"# (?:HELP|TYPE) (thumbsmith_[a-z_]+) .+", line)[1])
            continue
        name, labels, value = re.fullmatch(r'(thumbsmith_[a-z_]+)(\{code="[a-z_]+"\})? ([0-9.]+)', line).groups()
        assert name.removesuffix("_sum").removesuffix("_count") in described
        values[name + (labels or "")] = float(value)
    assert answer.text.endswith("\n")
    return values


def test_the_metrics_count_what_was_done(server: RunningServer):
    """Made, rejected and deleted sources count once each, and renders add up to seconds."""
    _wait_until(lambda: _is_idle(server))
    before = _values(server)
    assert {f'thumbsmith_rejected_total{{code="{code}"}}' for code in Code} <= set(before)
    server.upload("metrics/good.png", picture())
    server.upload("metrics/bad.png", b"no image")
    server.client.get("/images/metrics/good.png")
    assert server.client.delete("/images/metrics/good.png").status_code == 204
    _wait_until(lambda: _is_idle(server))
    after = _values(server)
    changed = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert changed.pop("thumbsmith_render_seconds_sum") > 0
    assert changed.pop("thumbsmith_render_seconds_count") >= 2
    assert changed == {
        "thumbsmith_made_total": 1,
        'thumbsmith_rejected_total{code="unsupported_format"}': 1,
        "thumbsmith_deleted_total": 1,
    }


def _is_idle(server: RunningServer) -> bool:
    values = _values(server)
    return values["thumbsmith_queue"] == values["thumbsmith_running"] == 0


def _wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@dataclass(frozen=True)
class _HeldRenderer:
    """A renderer that waits until the test lets it go on."""

    workers: Workers
    go_on: threading.Event

    def render(self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None) -> Work:
        """Return the renditions when the test allows it."""
        self.go_on.wait(60)
        return self.workers.render(reader, recipe, wanted)


def _scope(folder: Path, *keys: str) -> Scope:
    """Return a folder of sources with these keys, and one for thumbnails."""
    (folder / "sources").mkdir()
    for key in keys:
        (folder / "sources" / key).write_bytes(picture())
    stores = {"source": open_store(folder / "sources"), "destination": open_store(folder / "thumbnails")}
    return Scope(**stores, recipe=Recipe.default())


def test_the_sources_of_a_scan_wait_in_the_queue(tmp_path: Path):
    """Files that a scan finds count as waiting until each one is done."""
    scope = _scope(tmp_path, "0.png", "1.png", "2.png")
    go_on, results = threading.Event(), []
    workers = Workers(1)
    updater = BackgroundUpdater(scope, _HeldRenderer(workers, go_on), 1, results.append)
    with closing(workers), closing(updater):
        updater.follow_source()
        _wait_until(lambda: updater.load() == (3, 0))
        go_on.set()
        _wait_until(lambda: updater.load() == (0, 0))
    assert [each.word for each in results] == ["made"] * 3


def test_a_scan_and_a_request_make_a_source_once(tmp_path: Path):
    """While a scan makes a source, a requested update of it waits, and then finds it fresh."""
    scope = _scope(tmp_path, "one.png")
    go_on, results = threading.Event(), []
    workers = Workers(1)
    updater = BackgroundUpdater(scope, _HeldRenderer(workers, go_on), 1, results.append)
    with closing(workers), closing(updater):
        updater.follow_source()
        _wait_until(lambda: updater.load() == (1, 0) and "one.png" in updater._locked)
        requested = updater.ensure_queued("one.png")
        go_on.set()
        assert requested.result(60).status == "fresh"
        _wait_until(lambda: updater.load() == (0, 0))
    assert [each.word for each in results if each.word == "made"] == ["made"]


def test_a_failed_update_is_counted():
    """An update that ended with an error counts as failed, and an old rejection does not count again."""
    metrics = Metrics()
    metrics.count(Result(key="x.png", error=StoreError("the store does not answer", transient=True)))
    metrics.count(Result(key="y.png", outcome=Outcome(status="rejected", code="corrupt")))
    metrics.count(Result(key="z.png", outcome=Outcome(status="fresh")))
    answer = asyncio.run(MetricsEndpoint(metrics, lambda: (3, 2)).show(Request({"type": "http"})))
    text = bytes(answer.body).decode()
    assert "\nthumbsmith_failed_total 1\n" in text
    assert '\nthumbsmith_rejected_total{code="corrupt"} 0\n' in text
    assert "\nthumbsmith_queue 3\n" in text
    assert text.endswith("\nthumbsmith_running 2\n")


def test_the_formats_are_those_of_the_engine(server: RunningServer):
    """Each format has its suffixes and media types, and the largest size is that of the recipe."""
    content = server.client.get("/formats").json()
    assert content["max_bytes"] == 2_000_000
    installed = {name for name, each in SOURCE_FORMATS.items() if not each.package or find_spec(each.package)}
    assert {each["name"] for each in content["formats"]} == installed
    for each in content["formats"]:
        table = SOURCE_FORMATS[each["name"]]
        assert (set(each["suffixes"]), set(each["types"])) == (table.suffixes, table.media_types)
