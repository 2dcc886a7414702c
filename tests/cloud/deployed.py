"""A deployed stack, as those see it who put pictures into it."""

import json
from typing import Any

from tests.cloud.emulator import Cloud, eventually


class Deployed:
    """A deployed stack, and what is done to it from outside."""

    def __init__(self, where: Cloud, outputs: dict[str, str]) -> None:
        """Look at the stack with these outputs."""
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
        """Return the names that there are in the destination directly under the key."""
        listed = self.s3.list_objects_v2(Bucket=self.destination, Prefix=f"{key}/", Delimiter="/").get("Contents", [])
        return {each["Key"][len(key) + 1 :] for each in listed}

    def made(self, key: str) -> dict[str, bytes]:
        """Return what there is in the destination directly under the key, by name."""
        return {name: self.read(f"{key}/{name}") for name in self.names(key)}

    def read(self, key: str) -> bytes:
        """Return an object of the destination."""
        return self.s3.get_object(Bucket=self.destination, Key=key)["Body"].read()

    def manifest(self, key: str, etag: str) -> dict[str, Any]:
        """Return the manifest of this version of the key, once there is one."""

        def look() -> dict[str, Any] | None:
            there = "manifest.json" in self.names(key)
            manifest = json.loads(self.read(f"{key}/manifest.json")) if there else None
            return manifest if manifest and manifest["source"]["etag"].strip('"') == etag.strip('"') else None

        return eventually(look)

    def waiting(self, queue: str) -> int:
        """Return how many messages a queue holds, in hand or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self.sqs.get_queue_attributes(QueueUrl=self.outputs[queue], AttributeNames=names)["Attributes"]
        return sum(int(told[name]) for name in names)

    def lines(self) -> list[dict[str, Any]]:
        """Return what the function logged, each line as what it says."""
        function = self.cloud.client("lambda").get_function_configuration(FunctionName=self.outputs["Function"])
        logged = self.cloud.client("logs").filter_log_events(logGroupName=function["LoggingConfig"]["LogGroup"])
        return [json.loads(each["message"]) for each in logged["events"] if each["message"][:1] == "{"]

    def outcomes(self, key: str) -> list[tuple[str, int]]:
        """Return what became of the key, each time: the outcome, and how many renditions were written."""
        return [(line["outcome"], line["written"]) for line in self.lines() if line.get("key") == key]
