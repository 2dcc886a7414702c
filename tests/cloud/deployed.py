"""A deployed stack, used from outside."""

import json
from operator import itemgetter
from typing import Any

from tests.cloud.emulator import Cloud, eventually

MAX_LINES = 10_000  # that CloudWatch Logs returns at once


class Deployed:
    """A deployed stack."""

    def __init__(self, where: Cloud, outputs: dict[str, str]) -> None:
        """Read the names from the stack's outputs."""
        self.cloud, self.outputs = where, outputs
        self.s3, self.sqs = where.client("s3"), where.client("sqs")
        self.source, self.destination = outputs["SourceBucket"], outputs["DestinationBucket"]

    def put(self, key: str, data: bytes) -> str:
        """Put an image; return its etag."""
        return self.s3.put_object(Bucket=self.source, Key=key, Body=data)["ETag"]

    def delete(self, key: str) -> None:
        """Delete an image."""
        self.s3.delete_object(Bucket=self.source, Key=key)

    def names(self, key: str) -> set[str]:
        """Return the names of the objects directly under the key in the destination."""
        listed = self.s3.list_objects_v2(Bucket=self.destination, Prefix=f"{key}/", Delimiter="/").get("Contents", [])
        return {each["Key"][len(key) + 1 :] for each in listed}

    def made(self, key: str) -> dict[str, bytes]:
        """Return the content of the objects directly under the key in the destination, by name."""
        return {name: self.read(f"{key}/{name}") for name in self.names(key)}

    def read(self, key: str) -> bytes:
        """Return the content of an object in the destination."""
        return self.s3.get_object(Bucket=self.destination, Key=key)["Body"].read()

    def manifest(self, key: str, etag: str) -> dict[str, Any]:
        """Wait for the manifest of this version of the key; return it."""

        def look() -> dict[str, Any] | None:
            there = "manifest.json" in self.names(key)
            manifest = json.loads(self.read(f"{key}/manifest.json")) if there else None
            return manifest if manifest and manifest["source"]["etag"].strip('"') == etag.strip('"') else None

        return eventually(look)

    def waiting(self, queue: str) -> int:
        """Return the number of messages in a queue, including those in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.outputs[queue], AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of the function's log, decoded from JSON and sorted by time.

        Each request names a few streams, because the emulator has a limit of lines and no pages.
        """
        function = self.cloud.client("lambda").get_function_configuration(FunctionName=self.outputs["Function"])
        group, logs = function["LoggingConfig"]["LogGroup"], self.cloud.client("logs")
        events: list[dict[str, Any]] = []
        for page in logs.get_paginator("describe_log_streams").paginate(logGroupName=group):
            names = [each["logStreamName"] for each in page["logStreams"]]
            found = logs.filter_log_events(logGroupName=group, logStreamNames=names)["events"] if names else []
            assert len(found) < MAX_LINES
            events += found
        messages = [each["message"] for each in sorted(events, key=itemgetter("timestamp"))]
        return [json.loads(message) for message in messages if message[:1] == "{"]

    def outcomes(self, key: str) -> list[tuple[str, int]]:
        """Return outcome and number of written renditions of each log line about the key."""
        return [(line["outcome"], line["written"]) for line in self.lines() if line.get("key") == key]
