"""A job of S3 Batch Operations: its manifest, the job itself, and what its report says.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops.html
"""

from __future__ import annotations

import csv
import io
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, unquote_plus

from thumbsmith.backfill import clients
from thumbsmith.errors import StoreError, UsageError
from thumbsmith.store import Headers, Store

# A job's manifest: bucket and key a line, keys percent-encoded.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-create-job.html#specify-batchjob-manifest
_OWN: Final = {"Format": "S3BatchOperations_CSV_20180820", "Fields": ["Bucket", "Key"]}
_INVENTORY: Final = {"Format": "S3InventoryReport_CSV_20161130"}

# Of jobs at once the one with the higher number goes first. Uploads do not come by jobs: any will do.
PRIORITY: Final = 10

# A job that is over, and how: https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-job-status.html
ENDED: Final = frozenset({"Complete", "Cancelled", "Failed"})

# A manifest that is written here is held in memory: some four million keys. Of more there is an inventory.
MAX_MANIFEST_BYTES: Final = 256 << 20

_CSV: Final = Headers(content_type="text/csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResources:
    """What a job is given: the function it calls, the role it does so in, and the bucket for manifest and report."""

    account: str
    function: str
    role: str
    bucket: str

    @classmethod
    def of_stack(cls, stack: str) -> JobResources:
        """Return those of a deployed stack. Raises StoreError for one without."""
        found = clients.stack_outputs(stack)
        try:
            function, role, bucket = found["FunctionArn"], found["BatchRole"], found["BatchBucket"]
        except KeyError:
            raise StoreError(
                f"stack {stack}: not prepared for jobs: deploy it with -c batch=true", transient=False
            ) from None
        return cls(account=function.split(":")[4], function=function, role=role, bucket=bucket)


@dataclass(frozen=True, slots=True)
class JobManifest:
    """A list of objects that there is: where, which version of it, and in which format."""

    arn: str
    etag: str
    spec: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is."""

    status: str
    total: int
    succeeded: int
    failed: int
    reasons: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """What became of all tasks: how many by outcome (`made`, `rejected:corrupt`), and why the first few failed."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[str, str]] = field(default_factory=list)


def rows(bucket: str, keys: Iterable[str]) -> Iterator[bytes]:
    """Yield the lines of a job's manifest. Nothing in a key that is encoded so means anything to CSV."""
    for key in keys:
        yield f"{bucket},{quote(key, safe='/')}\n".encode()


def write_manifest(place: Store, bucket: str, name: str, lines: Iterable[bytes]) -> JobManifest:
    """Store a manifest of these lines in the bucket that `place` is; return it. Raises StoreError, UsageError."""
    content = io.BytesIO()
    for line in lines:
        content.write(line)
        if content.tell() > MAX_MANIFEST_BYTES:
            raise UsageError("--via batch: too many keys for one manifest: take an inventory, or parts by --prefix")
    etag = place.put(name, content.getvalue(), _CSV)
    return JobManifest(f"arn:aws:s3:::{bucket}/{name}", etag, _OWN)


def inventory(url: str, place: Store) -> JobManifest:
    """Return the manifest that an S3 Inventory in CSV is. `place` holds its manifest.json, at `url`.

    Raises UsageError for an inventory in another format. https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
    """
    name = url.rpartition("/")[2]
    reader = place.open(name)
    if reader is None:
        raise UsageError(f"--inventory: there is no {url}")
    with closing(reader):
        try:
            told = json.loads(reader.read(0, reader.size))
            kind = told["fileFormat"]
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"--inventory: expected the manifest.json of an S3 Inventory, found {url}") from None
    if kind != "CSV":
        raise UsageError(f"--inventory: expected an inventory in CSV, found {kind}")
    return JobManifest(f"arn:aws:s3:::{url.removeprefix('s3://')}", reader.info.etag, _INVENTORY)


@dataclass(frozen=True, slots=True)
class BatchJobs:
    """S3's jobs of one account. Every method raises StoreError."""

    s3control: Any
    means: JobResources

    def create(self, manifest: JobManifest, report_prefix: str, token: str | None = None) -> str:
        """Create a job that waits to be confirmed; return its id."""
        lambda_ = {"FunctionArn": self.means.function, "InvocationSchemaVersion": "2.0"}
        with clients.translate_aws_errors("S3 Batch Operations"):
            answer = self.s3control.create_job(
                AccountId=self.means.account,
                ConfirmationRequired=True,
                Operation={"LambdaInvoke": lambda_},
                Report={
                    "Bucket": f"arn:aws:s3:::{self.means.bucket}",
                    "Format": "Report_CSV_20180820",
                    "Enabled": True,
                    "Prefix": report_prefix,
                    "ReportScope": "AllTasks",
                },
                ClientRequestToken=token or secrets.token_hex(16),
                Manifest={"Spec": manifest.spec, "Location": {"ObjectArn": manifest.arn, "ETag": manifest.etag}},
                Description="thumbsmith sync",
                Priority=PRIORITY,
                RoleArn=self.means.role,
            )
        return str(answer["JobId"])

    def look(self, job: str) -> Progress:
        """Return how far a job is."""
        with clients.translate_aws_errors(f"job {job}"):
            told = self.s3control.describe_job(AccountId=self.means.account, JobId=job)["Job"]
        counts = told.get("ProgressSummary", {})
        return Progress(
            status=told["Status"],
            total=counts.get("TotalNumberOfTasks", 0),
            succeeded=counts.get("NumberOfTasksSucceeded", 0),
            failed=counts.get("NumberOfTasksFailed", 0),
            reasons=tuple(each.get("FailureReason", "") for each in told.get("FailureReasons", ())),
        )

    def decide(self, job: str, *, go: bool) -> None:
        """Let a job that waits begin, or cancel it."""
        with clients.translate_aws_errors(f"job {job}"):
            self.s3control.update_job_status(
                AccountId=self.means.account, JobId=job, RequestedJobStatus="Ready" if go else "Cancelled"
            )

    def follow(
        self, job: str, pause: Callable[[], None], stop: Callable[[], bool], until: frozenset[str] = ENDED
    ) -> Iterator[Progress]:
        """Yield how far a job is, again and again until it has such a status, or has ended, or `stop` says True."""
        while True:
            progress = self.look(job)
            yield progress
            if progress.status in until | ENDED or stop():
                return
            pause()


def read_report(place: Store, prefix: str, job: str, samples: int = 10) -> Report:
    """Return what a job's report says. `place` is the bucket it is in. Raises StoreError where there is none.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-reports.html
    """
    report = Report()
    told = json.loads(_content(place, f"{prefix}/job-{job}/manifest.json"))
    for result in told["Results"]:
        text = io.StringIO(_content(place, result["Key"]).decode())
        for row in csv.reader(text):
            key, status, said = unquote_plus(row[1]), row[3], row[6]
            report.outcomes[said if status == "succeeded" else "failed"] += 1
            if status != "succeeded" and len(report.failed) < samples:
                report.failed.append((key, said))
    return report


def _content(place: Store, key: str) -> bytes:
    reader = place.open(key)
    if reader is None:
        raise StoreError(f"{place.url}: there is no {key}", transient=True)
    with closing(reader):
        return reader.read(0, reader.size)
