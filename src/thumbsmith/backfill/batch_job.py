"""A job of S3 Batch Operations: its manifest of objects, the job itself, and its report.

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

# The formats of a job's manifest. Ours has a line with bucket and key for each object, with percent-encoded keys.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-create-job.html#specify-batchjob-manifest
_KEYS_FORMAT: Final = {"Format": "S3BatchOperations_CSV_20180820", "Fields": ["Bucket", "Key"]}
_INVENTORY_FORMAT: Final = {"Format": "S3InventoryReport_CSV_20161130"}

# S3 runs the job with the highest number first. Nothing urgent uses jobs, so any number will do.
PRIORITY: Final = 10

# The statuses of a job that is over: https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-job-status.html
ENDED: Final = frozenset({"Complete", "Cancelled", "Failed"})

# A manifest is written from memory. This is enough for some four million keys; an inventory has no limit here.
MAX_MANIFEST_BYTES: Final = 256 << 20

_CSV: Final = Headers(content_type="text/csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResources:
    """What a job uses: the ARN of the function, the ARN of its role, and the bucket for manifest and report."""

    account: str
    function: str
    role: str
    bucket: str

    @classmethod
    def of_stack(cls, stack: str) -> JobResources:
        """Return the resources of a deployed stack. Raises StoreError if the stack was deployed without them."""
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
    """A list of objects that is stored in a bucket: its ARN, its etag, and its format."""

    arn: str
    etag: str
    spec: dict[str, Any]


def manifest_lines(bucket: str, keys: Iterable[str]) -> Iterator[bytes]:
    """Yield the lines of a job's manifest. A percent-encoded key contains no character that is special in CSV."""
    for key in keys:
        yield f"{bucket},{quote(key, safe='/')}\n".encode()


def write_manifest(store: Store, bucket: str, name: str, lines: Iterable[bytes]) -> JobManifest:
    """Write a manifest with these lines to `store`, which is `bucket`; return it. Raises StoreError, UsageError."""
    content = io.BytesIO()
    for line in lines:
        content.write(line)
        if content.tell() > MAX_MANIFEST_BYTES:
            raise UsageError("--via batch: too many keys for one manifest: use an inventory, or parts with --prefix")
    etag = store.put(name, content.getvalue(), _CSV)
    return JobManifest(f"arn:aws:s3:::{bucket}/{name}", etag, _KEYS_FORMAT)


def inventory_manifest(url: str, store: Store) -> JobManifest:
    """Return the manifest for the S3 Inventory whose manifest.json is at `url`, in `store`.

    Raises UsageError if there is none, or if it is not in CSV.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
    """
    reader = store.open(url.rpartition("/")[2])
    if reader is None:
        raise UsageError(f"--inventory: there is no {url}")
    with closing(reader):
        try:
            kind = json.loads(reader.read(0, reader.size))["fileFormat"]
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"--inventory: expected the manifest.json of an S3 Inventory, found {url}") from None
    if kind != "CSV":
        raise UsageError(f"--inventory: expected an inventory in CSV, found {kind}")
    return JobManifest(f"arn:aws:s3:::{url.removeprefix('s3://')}", reader.info.etag, _INVENTORY_FORMAT)


@dataclass(frozen=True, slots=True)
class JobProgress:
    """The status of a job, its numbers of tasks, and the reasons if it failed."""

    status: str
    total: int
    succeeded: int
    failed: int
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchJobs:
    """The jobs of one account. Every method raises StoreError."""

    s3control: Any
    resources: JobResources

    def create(self, manifest: JobManifest, report_prefix: str, token: str | None = None) -> str:
        """Create a job that waits for confirmation; return its identifier."""
        function = {"FunctionArn": self.resources.function, "InvocationSchemaVersion": "2.0"}
        with clients.translate_aws_errors("S3 Batch Operations"):
            answer = self.s3control.create_job(
                AccountId=self.resources.account,
                ConfirmationRequired=True,
                Operation={"LambdaInvoke": function},
                Report={
                    "Bucket": f"arn:aws:s3:::{self.resources.bucket}",
                    "Format": "Report_CSV_20180820",
                    "Enabled": True,
                    "Prefix": report_prefix,
                    "ReportScope": "AllTasks",
                },
                ClientRequestToken=token or secrets.token_hex(16),
                Manifest={"Spec": manifest.spec, "Location": {"ObjectArn": manifest.arn, "ETag": manifest.etag}},
                Description="thumbsmith sync",
                Priority=PRIORITY,
                RoleArn=self.resources.role,
            )
        return str(answer["JobId"])

    def progress(self, job: str) -> JobProgress:
        """Return the progress of a job."""
        with clients.translate_aws_errors(f"job {job}"):
            description = self.s3control.describe_job(AccountId=self.resources.account, JobId=job)["Job"]
        counts = description.get("ProgressSummary", {})
        return JobProgress(
            status=description["Status"],
            total=counts.get("TotalNumberOfTasks", 0),
            succeeded=counts.get("NumberOfTasksSucceeded", 0),
            failed=counts.get("NumberOfTasksFailed", 0),
            reasons=tuple(each.get("FailureReason", "") for each in description.get("FailureReasons", ())),
        )

    def confirm(self, job: str) -> None:
        """Start a job that waits for confirmation."""
        self._set_status(job, "Ready")

    def cancel(self, job: str) -> None:
        """Cancel a job that waits for confirmation."""
        self._set_status(job, "Cancelled")

    def _set_status(self, job: str, status: str) -> None:
        with clients.translate_aws_errors(f"job {job}"):
            self.s3control.update_job_status(AccountId=self.resources.account, JobId=job, RequestedJobStatus=status)

    def follow(
        self, job: str, pause: Callable[[], None], stop: Callable[[], bool], until: frozenset[str] = ENDED
    ) -> Iterator[JobProgress]:
        """Yield the progress of a job until its status is in `until`, or it has ended, or `stop` returns True."""
        while True:
            progress = self.progress(job)
            yield progress
            if progress.status in until | ENDED or stop():
                return
            pause()


@dataclass(slots=True)
class JobReport:
    """The number of tasks by outcome (`made`, `rejected:corrupt`), and key and reason of the first failures."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[str, str]] = field(default_factory=list)


def read_report(store: Store, prefix: str, job: str, samples: int = 10) -> JobReport:
    """Return the report of a job, with up to `samples` failures. Raises StoreError if there is no report.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-examples-reports.html
    """
    report = JobReport()
    manifest = json.loads(_content(store, f"{prefix}/job-{job}/manifest.json"))
    for result in manifest["Results"]:
        text = io.StringIO(_content(store, result["Key"]).decode())
        for row in csv.reader(text):
            key, status, outcome = unquote_plus(row[1]), row[3], row[6]
            report.outcomes[outcome if status == "succeeded" else "failed"] += 1
            if status != "succeeded" and len(report.failed) < samples:
                report.failed.append((key, outcome))
    return report


def _content(store: Store, key: str) -> bytes:
    reader = store.open(key)
    if reader is None:
        raise StoreError(f"{store.url}: there is no {key}", transient=True)
    with closing(reader):
        return reader.read(0, reader.size)
