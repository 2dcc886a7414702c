"""`/metrics` and `/formats`: what the server did, and what it accepts."""

import re
from importlib.util import find_spec

from tests.pictures import picture
from tests.web.serving import RunningServer
from thumbsmith.errors import Code, StoreError
from thumbsmith.image.formats import SOURCE_FORMATS
from thumbsmith.reconcile.converge import Result
from thumbsmith.reconcile.protocol import Outcome
from thumbsmith.web.metrics import Metrics


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
    before = _values(server)
    assert {f'thumbsmith_rejected_total{{code="{code}"}}' for code in Code} <= set(before)
    server.upload("metrics/good.png", picture())
    server.upload("metrics/bad.png", b"no image")
    server.client.get("/images/metrics/good.png")
    assert server.client.delete("/images/metrics/good.png").status_code == 204
    after = _values(server)
    changed = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert changed.pop("thumbsmith_render_seconds_sum") > 0
    assert changed.pop("thumbsmith_render_seconds_count") >= 2
    assert changed == {
        "thumbsmith_made_total": 1,
        'thumbsmith_rejected_total{code="unsupported_format"}': 1,
        "thumbsmith_deleted_total": 1,
    }
    assert after["thumbsmith_queue"] == after["thumbsmith_running"] == 0


def test_a_failed_update_is_counted():
    """An update that ended with an error counts as failed, and an old rejection does not count again."""
    metrics = Metrics()
    metrics.count(Result(key="x.png", error=StoreError("the store does not answer", transient=True)))
    metrics.count(Result(key="y.png", outcome=Outcome(status="rejected", code="corrupt")))
    metrics.count(Result(key="z.png", outcome=Outcome(status="fresh")))
    text = metrics.text(queued=3, running=2)
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
