"""S3 Batch Operations as a service in memory: jobs over a manifest, run by a function, with a report.

It follows the documentation of jobs. A job waits for confirmation, and gives its tasks to the function in groups, in
any order, some of them twice. TemporaryFailure is retried. A job of a thousand tasks or more fails when more than half
of them have failed. Calls go through botocore's client and model, which validate requests and responses.
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
    """The jobs of one account. `function` is called as S3 calls it; `bucket` stores manifests and reports."""

    function: Callable[[dict[str, Any]], dict[str, Any]]
    bucket: Store
    duplicates: int = 0
    status: str = "New"
    request: dict[str, Any] = field(default_factory=dict)
    tasks: list[tuple[str, str]] = field(default_factory=list)
    results: dict[int, tuple[str, str]] = field(default_factory=dict)
    tries: Counter[int] = field(default_factory=Counter)

    def create_job(self, **request: Any) -> dict[str, Any]:
        """Create a job from its manifest."""
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
        """Start or cancel a job."""
        assert self.status == "Suspended"
        if request["RequestedJobStatus"] == "Cancelled":
            self.status = "Cancelled"
        else:
            self._carry_out()
        return {"JobId": request["JobId"], "Status": request["RequestedJobStatus"]}

    def describe_job(self, **request: Any) -> dict[str, Any]:
        """Return the progress of a job."""
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
            for number, (code, text) in self._call(group).items():
                self.tries[number] += 1
                if code == "TemporaryFailure" and self.tries[number] < TRIES:
                    waiting.append(number)
                else:
                    self.results[number] = ("PermanentFailure" if code == "TemporaryFailure" else code, text)
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
        payload = {"invocationSchemaVersion": version, "invocationId": "i", "job": job, "tasks": tasks}
        answer = self.function(payload)
        assert answer["invocationSchemaVersion"] == version
        assert {each["taskId"] for each in answer["results"]} == {str(n) for n in group}
        return {int(each["taskId"]): (each["resultCode"], each["resultString"]) for each in answer["results"]}

    def _report(self) -> None:
        out, prefix = io.StringIO(), f"{self.request['Report']['Prefix']}/job-job-1"
        rows = csv.writer(out)
        for number, (bucket, key) in enumerate(self.tasks):
            code, text = self.results[number]
            status, error = ("succeeded", "") if code == "Succeeded" else ("failed", "PermanentFailure")
            rows.writerow([bucket, key, "", status, error, "200", text])
        headers = Headers(content_type="text/csv")
        self.bucket.put(f"{prefix}/results/one.csv", out.getvalue().encode(), headers)
        payload = {"Format": "Report_CSV_20180820", "Results": [{"Key": f"{prefix}/results/one.csv"}]}
        self.bucket.put(f"{prefix}/manifest.json", json.dumps(payload).encode(), headers)


class Client:
    """A botocore client that validates each call by its model and gets the response from a service."""

    def __init__(self, service: Service) -> None:
        """Use this service."""
        self._service = service
        self._client = get_session().create_client("s3control", region_name="us-east-1")

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        def call(**request: Any) -> dict[str, Any]:
            with Stubber(self._client) as stub:
                stub.add_response(operation, getattr(self._service, operation)(**request), request)
                return getattr(self._client, operation)(**request)

        return call
