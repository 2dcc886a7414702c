"""S3 Batch Operations as a service in memory: jobs over a manifest in a store, done by a function, with a report.

It does what the documentation of jobs says: it waits to be confirmed, hands tasks on in any order and in groups, some
of them twice, tries TemporaryFailure again, fails where more than half of a thousand tasks or more have failed, and
writes its report. Calls to it go through botocore's client and model: requests and answers are both validated.
"""

import csv
import gzip
import io
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.session import get_session
from botocore.stub import Stubber

from thumbsmith.store import Headers, Store

TRIES = 5
GROUP = 20


@dataclass
class Service:
    """One account's jobs. `function` is called as S3 would call it; `bucket` holds manifests and reports."""

    function: Callable[[dict[str, Any]], dict[str, Any]]
    bucket: Store
    duplicates: int = 0
    status: str = "New"
    request: dict[str, Any] = field(default_factory=dict)
    tasks: list[tuple[str, str]] = field(default_factory=list)
    results: dict[int, tuple[str, str]] = field(default_factory=dict)
    tries: Counter[int] = field(default_factory=Counter)

    def create_job(self, **request: Any) -> dict[str, Any]:
        """Take a job; read its manifest as S3 does."""
        self.request = request
        location = request["Manifest"]["Location"]
        key = location["ObjectArn"].partition(":::")[2].partition("/")[2]
        reader = self.bucket.open(key)
        assert reader
        assert reader.info.etag == location["ETag"]
        content = reader.read(0, reader.size)
        if "Inventory" in request["Manifest"]["Spec"]["Format"]:
            content = b"".join(gzip.decompress(self._read(each["key"])) for each in json.loads(content)["files"])
        self.tasks = [(row[0], row[1]) for row in csv.reader(io.StringIO(content.decode()))]
        self.status = "Suspended" if request["ConfirmationRequired"] else "Ready"
        return {"JobId": "job-1"}

    def update_job_status(self, **request: Any) -> dict[str, Any]:
        """Begin, or cancel."""
        assert self.status == "Suspended"
        if request["RequestedJobStatus"] == "Cancelled":
            self.status = "Cancelled"
        else:
            self._carry_out()
        return {"JobId": request["JobId"], "Status": request["RequestedJobStatus"]}

    def describe_job(self, **request: Any) -> dict[str, Any]:
        """Tell how far the job is."""
        codes = Counter(code for code, _ in self.results.values())
        summary = {
            "TotalNumberOfTasks": len(self.tasks),
            "NumberOfTasksSucceeded": codes["Succeeded"],
            "NumberOfTasksFailed": codes["PermanentFailure"],
        }
        reasons = [{"FailureCode": "x", "FailureReason": "too many tasks failed"}] if self.status == "Failed" else []
        return {
            "Job": {
                "JobId": request["JobId"],
                "Status": self.status,
                "ProgressSummary": summary,
                "FailureReasons": reasons,
            }
        }

    def _read(self, key: str) -> bytes:
        reader = self.bucket.open(key)
        assert reader, key
        return reader.read(0, reader.size)

    def _carry_out(self) -> None:
        chance = random.Random(7)
        waiting = [*range(len(self.tasks)), *chance.sample(range(len(self.tasks)), self.duplicates)]
        chance.shuffle(waiting)
        while waiting:
            group, waiting = list(dict.fromkeys(waiting[:GROUP])), waiting[GROUP:]
            for number, (code, said) in self._call(group).items():
                self.tries[number] += 1
                if code == "TemporaryFailure" and self.tries[number] < TRIES:
                    waiting.append(number)
                else:
                    self.results[number] = ("PermanentFailure" if code == "TemporaryFailure" else code, said)
        failed = sum(code != "Succeeded" for code, _ in self.results.values())
        self.status = "Failed" if len(self.tasks) >= 1000 and 2 * failed > len(self.tasks) else "Complete"
        self._report()

    def _call(self, group: list[int]) -> dict[int, tuple[str, str]]:
        version = self.request["Operation"]["LambdaInvoke"]["InvocationSchemaVersion"]
        tasks = [
            {"taskId": str(n), "s3Bucket": self.tasks[n][0], "s3Key": self.tasks[n][1], "s3VersionId": None}
            for n in group
        ]
        job = {"id": "job-1", "userArguments": {}}
        told = {"invocationSchemaVersion": version, "invocationId": "i", "job": job, "tasks": tasks}
        answer = self.function(told)
        assert answer["invocationSchemaVersion"] == version
        assert {each["taskId"] for each in answer["results"]} == {str(n) for n in group}
        return {int(each["taskId"]): (each["resultCode"], each["resultString"]) for each in answer["results"]}

    def _report(self) -> None:
        out, prefix = io.StringIO(), f"{self.request['Report']['Prefix']}/job-job-1"
        rows = csv.writer(out)
        for number, (bucket, key) in enumerate(self.tasks):
            code, said = self.results[number]
            status, error = ("succeeded", "") if code == "Succeeded" else ("failed", "PermanentFailure")
            rows.writerow([bucket, key, "", status, error, "200", said])
        headers = Headers(content_type="text/csv")
        self.bucket.put(f"{prefix}/results/one.csv", out.getvalue().encode(), headers)
        told = {"Format": "Report_CSV_20180820", "Results": [{"Key": f"{prefix}/results/one.csv"}]}
        self.bucket.put(f"{prefix}/manifest.json", json.dumps(told).encode(), headers)


class Client:
    """A client of botocore's whose every call is validated by its model, both ways, and answered by a service."""

    def __init__(self, service: Service) -> None:
        """Answer by this service."""
        self._service = service
        self._client = get_session().create_client("s3control", region_name="us-east-1")

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        def call(**request: Any) -> dict[str, Any]:
            with Stubber(self._client) as stub:
                stub.add_response(operation, getattr(self._service, operation)(**request), request)
                return getattr(self._client, operation)(**request)

        return call
