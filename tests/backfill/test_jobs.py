"""Jobs of S3 Batch Operations: valid for S3's model, run by the function, and read from their report."""

import json
import random
from collections import Counter
from typing import Any

import pytest

from tests.aws.faulty import Faulty
from tests.aws.scene import Scene
from tests.backfill.scene import counted
from tests.backfill.service import Client, Service
from tests.bulk.world import BAD, RECIPE, DigestRenderer, OpaqueStore
from thumbsmith.backfill.batch_job import (
    BatchJobs,
    JobProgress,
    JobResources,
    inventory_manifest,
    manifest_lines,
    read_report,
    write_manifest,
)
from thumbsmith.errors import StoreError, UsageError
from thumbsmith.store import Headers
from thumbsmith.store.memory import MemoryStore

TASKS = 10_000
MEANS = JobResources(
    account="123456789012",
    function="arn:aws:lambda:us-east-1:123456789012:function:thumbs",
    role="arn:aws:iam::123456789012:role/jobs",
    bucket="jobs",
)
HEADERS = Headers(content_type="application/octet-stream")


class Unsteady(OpaqueStore):
    """A store that fails with a transient error the first time that certain keys are read."""

    failing: set[str] = frozenset()

    def head(self, key: str) -> Any:
        """Return the object's description, or fail."""
        if key in self.failing:
            self.failing.discard(key)
            raise StoreError(f"{key}: 503 SlowDown", transient=True)
        return super().head(key)


class Quick(DigestRenderer):
    """A renderer without a deadline."""

    def render(self, reader, recipe, wanted=None, *, until=None):
        """Return text instead of pictures."""
        return super().render(reader, recipe, wanted)


def _never() -> bool:
    return False


def _jobs(service: Service) -> BatchJobs:
    return BatchJobs(Client(service), MEANS)


def _run(service: Service, manifest: Any, *, go: bool = True) -> JobProgress:
    jobs = _jobs(service)
    job = jobs.create(manifest, "reports", token="t")
    *_, waiting = jobs.follow(job, lambda: None, _never, frozenset({"Suspended"}))
    assert waiting.status == "Suspended"
    (jobs.confirm if go else jobs.cancel)(job)
    *_, ended = jobs.follow(job, lambda: None, _never)
    return ended


@pytest.fixture
def place() -> MemoryStore:
    """Return the bucket for manifests and reports."""
    return MemoryStore("jobs")


def test_ten_thousand_tasks_of_which_some_fail(place: MemoryStore, capsys: pytest.CaptureFixture[str]):
    """A job of 10,000 tasks with 5 % bad pictures, 2 % transient errors and 300 repeats completes without a failure.

    The destination equals that of a sync, each good source is rendered once, and the report contains every task.
    """
    chance, keys = random.Random(3), [f"{n % 40}/ü +{n:05}.jpg" for n in range(TASKS)]
    bad, busy = set(chance.sample(keys, TASKS // 20)), set(chance.sample(keys, TASKS // 50))
    source, destination = Unsteady("src"), OpaqueStore("dst")
    for key in keys:
        source.put(key, BAD if key in bad else key.encode(), HEADERS)
    object.__setattr__(source, "failing", set(busy))
    scene = Scene(Quick(), recipe=RECIPE, source=source, destination=destination, threads=1)
    counts = counted(scene)
    service = Service(scene.call, place, duplicates=300)
    manifest = write_manifest(place, "jobs", "manifests/m.csv", manifest_lines("src", keys))
    ended = _run(service, manifest)
    capsys.readouterr()
    assert (ended.status, ended.total, ended.succeeded, ended.failed) == ("Complete", TASKS, TASKS, 0)
    report = read_report(place, "reports", "job-1")
    assert not report.failed
    assert report.outcomes["rejected:unsupported_format"] == len(bad)
    assert report.outcomes["made"] + report.outcomes["fresh"] == TASKS - len(bad)
    assert 0 <= report.outcomes["fresh"] <= 300  # a repeated task has its last outcome
    assert set(counts.values()) == {1}
    assert len(counts) == TASKS
    manifests = {key[: -len("/manifest.json")] for key in _objects(destination) if key.endswith("/manifest.json")}
    assert manifests == set(keys)
    names = Counter(key.rpartition("/")[0] for key in _objects(destination))
    assert {names[key] for key in bad} == {1}
    assert {names[key] for key in keys if key not in bad} == {4}


def _objects(store: OpaqueStore) -> list[str]:
    return [info.key for info in store.list()]


def test_a_bad_bucket_does_not_stop_its_job(place: MemoryStore, capsys: pytest.CaptureFixture[str]):
    """A job over broken pictures only is completed, although S3 stops jobs with many failures."""
    source = OpaqueStore("src")
    keys = [f"{n}.jpg" for n in range(1000)]
    for key in keys:
        source.put(key, BAD, HEADERS)
    scene = Scene(Quick(), recipe=RECIPE, source=source, destination=OpaqueStore("dst"), threads=1)
    manifest = write_manifest(place, "jobs", "manifests/m.csv", manifest_lines("src", keys))
    assert _run(Service(scene.call, place), manifest).status == "Complete"
    assert read_report(place, "reports", "job-1").outcomes == {"rejected:unsupported_format": 1000}
    capsys.readouterr()


def test_a_permanent_failure_is_reported(scene: Scene, place: MemoryStore):
    """A task with a permanent error is tried once; the report has its decoded key and the reason."""

    def deny() -> None:
        raise StoreError("access denied", transient=False)

    scene.source = Faulty("src", faults={"ü a.jpg": deny})
    scene.upload("ü a.jpg", "b.jpg")
    service = Service(scene.call, place)
    ended = _run(service, write_manifest(place, "jobs", "m.csv", manifest_lines("src", ["ü a.jpg", "b.jpg"])))
    assert (ended.status, ended.succeeded, ended.failed) == ("Complete", 1, 1)
    report = read_report(place, "reports", "job-1")
    assert report.failed == [("ü a.jpg", "access denied")]
    assert report.outcomes == {"failed": 1, "made": 1}
    assert service.tries == {0: 1, 1: 1}


def test_a_job_names_its_resources(scene: Scene, place: MemoryStore):
    """A job waits for confirmation, and names the function, the role and the bucket for its report."""
    service = Service(scene.call, place)
    _run(service, write_manifest(place, "jobs", "manifests/m.csv", manifest_lines("src", ["a.jpg"])), go=False)
    assert service.status == "Cancelled"
    request = service.request
    assert request["ConfirmationRequired"] is True
    assert request["RoleArn"] == MEANS.role
    assert request["Operation"] == {"LambdaInvoke": {"FunctionArn": MEANS.function, "InvocationSchemaVersion": "2.0"}}
    assert (request["Report"]["Bucket"], request["Report"]["ReportScope"]) == (
        "arn:aws:s3:::jobs",
        "AllTasks",
    )
    assert request["Manifest"]["Location"]["ObjectArn"] == "arn:aws:s3:::jobs/manifests/m.csv"
    assert request["Manifest"]["Spec"]["Fields"] == ["Bucket", "Key"]


def test_every_key_is_one_manifest_line(scene: Scene, place: MemoryStore):
    """Commas, quotes, line breaks, plus and percent signs in keys survive the manifest."""
    keys = ["a,b.jpg", 'a"b.jpg', "a\nb.jpg", "a+b %2B.jpg", "ü/é.jpg", "a\r.jpg"]
    scene.upload(*keys)
    assert _run(Service(scene.call, place), write_manifest(place, "jobs", "m", manifest_lines("src", keys))).failed == 0
    assert scene.complete_keys() == set(keys)


def test_an_inventory_is_a_manifest(place: MemoryStore):
    """The manifest.json of a CSV inventory is used by its ARN and etag."""
    content = {"fileFormat": "CSV", "files": []}
    etag = place.put("manifest.json", json.dumps(content).encode(), HEADERS)
    found = inventory_manifest("s3://inventories/photos/all/2026/manifest.json", place)
    assert found.arn == "arn:aws:s3:::inventories/photos/all/2026/manifest.json"
    assert (found.etag, found.spec) == (etag, {"Format": "S3InventoryReport_CSV_20161130"})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b'{"fileFormat": "ORC"}', "in CSV, found ORC"), (b"[]", "expected the manifest"), (None, "there is no")],
)
def test_an_invalid_inventory_is_refused(place: MemoryStore, content: bytes | None, sentence: str):
    """Another format, other JSON, and a missing file have one sentence each."""
    if content is not None:
        place.put("manifest.json", content, HEADERS)
    with pytest.raises(UsageError, match=sentence):
        inventory_manifest("s3://inventories/manifest.json", place)


def test_a_missing_report_is_a_transient_error(place: MemoryStore):
    """A missing report may still be written, so the error is transient."""
    with pytest.raises(StoreError) as caught:
        read_report(place, "reports", "job-1")
    assert caught.value.transient
