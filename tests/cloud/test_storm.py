"""A hundred messages a second, repeated and out of order, while S3 refuses requests and functions freeze."""

import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.session import get_session

from tests.cloud.bucket import BUCKET, SOURCES, client
from tests.cloud.sandbox import HANDLER, Sandbox, sandbox, why_no_sandbox
from tests.faults.proxy import Proxy, running
from tests.pictures import picture
from tests.servers.fixtures import needs_servers
from tests.servers.processes import KEYS
from thumbsmith import Recipe, open_store
from thumbsmith.backfill.send import remaining
from thumbsmith.bulk.scan import Scope

REASON = why_no_sandbox()
pytestmark = [needs_servers, pytest.mark.deep, pytest.mark.skipif(bool(REASON), reason=str(REASON))]

PER_SECOND = 100
CHANGES = 400
NAMES = 60
FUNCTIONS = 2
TIMEOUT, VISIBILITY = 10, 30  # seconds
FAULTS = ("slow_down", "throttled", "reset", "lost_answer")


class Storm:
    """A source that changes, the queue of its events, and functions that handle them."""

    def __init__(self, address: str, chance: random.Random) -> None:
        """Make the queue."""
        self.s3, self.chance = client(address), chance
        keys = {"aws_access_key_id": KEYS["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"]}
        self.sqs = get_session().create_client("sqs", region_name="us-east-1", endpoint_url=address, **keys)
        visibility = {"VisibilityTimeout": str(VISIBILITY)}
        self.queue = self.sqs.create_queue(QueueName="storm", Attributes=visibility)["QueueUrl"]
        self.sent, self.handled, self.returned = 0, 0, 0
        self.over = threading.Event()

    def blow(self) -> None:
        """Change the source, and send the events: a third of them twice, each up to a second late."""
        start, late = time.monotonic(), []
        for number in range(CHANGES):
            due = start + number / PER_SECOND
            time.sleep(max(0, due - time.monotonic()))
            body = self._change()
            late += [(due + self.chance.random(), body) for _ in range(self.chance.choice((1, 1, 2)))]
            for each in [each for each in late if each[0] < time.monotonic()]:
                late.remove(each)
                self._send(each[1])
        self.chance.shuffle(late)
        for _, body in late:
            self._send(body)
        self.over.set()

    def _change(self) -> str:
        """Replace or delete a picture; return the message of S3."""
        key, name = f"{SOURCES}{self.chance.randrange(NAMES)}.jpg", "ObjectCreated:Put"
        if self.chance.random() < 0.2:
            self.s3.delete_object(Bucket=BUCKET, Key=key)
            name = "ObjectRemoved:Delete"
        else:
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=picture(f"#{self.chance.randrange(1 << 24):06x}"))
        record = {"eventVersion": "2.1", "eventName": name, "eventTime": datetime.now(UTC).isoformat()}
        return json.dumps({"Records": [record | {"s3": {"bucket": {"name": BUCKET}, "object": {"key": key}}}]})

    def _send(self, body: str) -> None:
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=body)
        self.sent += 1

    def feed(self, function: Sandbox) -> None:
        """Call a function with batches, as Lambda's event source does, until all messages were handled."""
        while not self.over.is_set() or self.waiting():
            received = self.sqs.receive_message(
                QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageSystemAttributeNames=["All"]
            )
            if records := [_record(each) for each in received.get("Messages", ())]:
                answer, _ = function.invoke({"Records": records})
                failed = _failed(answer, records)
                self.returned += len(failed)
                for each in records:
                    if each["messageId"] not in failed:
                        self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=each["receiptHandle"])
                        self.handled += 1

    def waiting(self) -> int:
        """Return the number of messages in the queue, also of those in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)


def _record(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message as a function gets it."""
    names = {"messageId": "MessageId", "receiptHandle": "ReceiptHandle", "body": "Body", "attributes": "Attributes"}
    return {name: message[theirs] for name, theirs in names.items()} | {"eventSource": "aws:sqs"}


def _failed(answer: dict[str, Any], records: list[dict[str, Any]]) -> set[str]:
    """Return the messages to deliver again: those that the function names, or all if the invocation failed."""
    if "batchItemFailures" not in answer:
        return {each["messageId"] for each in records}
    return {each["itemIdentifier"] for each in answer["batchItemFailures"]}


@pytest.fixture
def throttling(environment: dict[str, str]) -> Iterator[Proxy]:
    """Give a proxy before S3 that refuses or breaks one of twelve requests."""
    with running(Proxy(environment["AWS_ENDPOINT_URL"], share=1 / 12, kinds=FAULTS)) as proxy:
        yield proxy


def test_nothing_is_lost_in_a_storm(code: Path, environment: dict[str, str], throttling: Proxy, tmp_path: Path):
    """At the end no thumbnail is missing, stale or left over, whatever the order and number of the messages."""
    storm = Storm(environment["AWS_ENDPOINT_URL"], random.Random(7))
    variables = environment | {"AWS_ENDPOINT_URL": throttling.address, "AWS_LAMBDA_FUNCTION_TIMEOUT": str(TIMEOUT)}
    with ExitStack() as stack, ThreadPoolExecutor(FUNCTIONS + 1) as threads:
        functions = [
            stack.enter_context(sandbox(code, HANDLER, 1024, variables, tmp_path / f"log{number}"))
            for number in range(FUNCTIONS)
        ]
        for each in [threads.submit(storm.blow), *(threads.submit(storm.feed, each) for each in functions)]:
            each.result()
        starts = [function.starts for function in functions]
    assert storm.handled >= storm.sent > CHANGES
    assert throttling.faults["slow_down"] > 0
    assert throttling.faults["throttled"] > 0
    assert starts == [1] * FUNCTIONS
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        source = open_store(environment["THUMBSMITH_SOURCE"])
        destination = open_store(environment["THUMBSMITH_DESTINATION"])
        found = remaining(Scope(source=source, destination=destination, recipe=Recipe.default()), lambda: False)
    assert found.first == []
    assert (found.keys, found.totals.orphaned, found.totals.failed) == (0, 0, 0)
    assert found.totals.sources["fresh"] == sum(found.totals.sources.values()) > NAMES // 2
