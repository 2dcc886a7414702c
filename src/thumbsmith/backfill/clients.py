"""Clients for AWS services other than S3, and the SQS queue. botocore is imported when the first client is made."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Final

from thumbsmith.environment import aws_region, aws_settings
from thumbsmith.errors import StoreError, UsageError
from thumbsmith.store.s3_common import connection_broken, server_text
from thumbsmith.store.s3_connections import CONNECTION_ERRORS

# The number of times that a call is made before it has failed.
MAX_ATTEMPTS: Final = 8

# Connections kept open: as many calls as one process makes at once.
MAX_CONNECTIONS: Final = 32

# Error codes that are transient, in addition to each status of 500 and above.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
_TRANSIENT_CODES: Final = frozenset({"ThrottlingException", "RequestThrottled", "TooManyRequestsException", "SlowDown"})


def client(service: str, attempts: int = MAX_ATTEMPTS) -> Any:
    """Return the botocore client of a service for the current environment. All threads share one.

    A call with a transient error is made up to `attempts` times, with pauses of up to 20 seconds. Each attempt obeys
    the limits of requests to S3, and the current lifetime. Raises StoreError for a configuration that cannot be used.
    """
    return _client(service, aws_region(), aws_settings(), attempts)


@cache
def _client(service: str, region: str | None, settings: frozenset[tuple[str, str]], attempts: int) -> Any:
    del settings  # a key of the cache only: botocore reads the environment itself
    from botocore.config import Config  # noqa: PLC0415 - loading it takes 0.2 s
    from botocore.session import get_session  # noqa: PLC0415 - likewise

    from thumbsmith.store.s3_botocore import send_over_pool  # noqa: PLC0415 - it imports botocore

    with translate_aws_errors(service):
        config = Config(
            max_pool_connections=MAX_CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": attempts},
            parameter_validation=False,  # it takes a tenth of the time of a batch of messages
        )
        session = get_session()
        made = session.create_client(service, region_name=region, config=config)
        send_over_pool(made, session)
        return made


@contextmanager
def translate_aws_errors(subject: str) -> Iterator[None]:
    """Raise StoreError for an error of botocore in the block. Its message begins with `subject`.

    It is transient if there was no response, or if the response says so.
    """
    from botocore import exceptions  # noqa: PLC0415 - as above

    try:
        yield
    except exceptions.ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        details = error.response.get("Error", {})
        transient = status >= 500 or status == 429 or details.get("Code") in _TRANSIENT_CODES
        code, message = str(details.get("Code", status)), str(details.get("Message", ""))
        raise StoreError(f"{subject}: {server_text(code)}: {server_text(message)}", transient=transient) from error
    except CONNECTION_ERRORS as error:
        raise connection_broken(subject, error) from error
    except (exceptions.BotoCoreError, ValueError) as error:
        no_response = isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError)
        raise StoreError(f"{subject}: {server_text(str(error))}", transient=no_response) from error


def stack_outputs(stack: str) -> dict[str, str]:
    """Return the outputs of a CloudFormation stack by name. Raises StoreError, not transient, without such a stack."""
    try:
        with translate_aws_errors(f"stack {stack}"):
            (found,) = client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except StoreError as error:
        raise StoreError(str(error), transient=False) from error
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())}


# Messages in one call: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
MAX_BATCH_MESSAGES: Final = 10

# SQS may accept a part of a batch. The rest is sent again, up to this number of sends.
_MAX_SENDS: Final = 3

_COUNTS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)

# sqs://NAME, sqs://ACCOUNT/NAME. The rules for a name:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
_QUEUE_ADDRESS: Final = re.compile(r"sqs://(?:([0-9]{12})/)?([A-Za-z0-9_-]{1,80})")


def is_queue(address: str) -> bool:
    """Return whether an address is that of a queue: sqs://NAME, sqs://ACCOUNT/NAME, or its URL."""
    return address.startswith(("sqs://", "https://", "http://"))


def open_queue(address: str, attempts: int = MAX_ATTEMPTS) -> Queue:
    """Return the queue at sqs://NAME, sqs://ACCOUNT/NAME, or its URL.

    A call with a transient error is made up to `attempts` times. Raises UsageError for another address, StoreError if
    there is no such queue.
    """
    named = _QUEUE_ADDRESS.fullmatch(address)
    sqs = client("sqs", attempts)
    if not named:
        if not address.startswith(("https://", "http://")):
            raise UsageError(f"{address}: expected sqs://NAME or a queue's URL")
        return Queue(address, sqs)
    owner = {"QueueOwnerAWSAccountId": named[1]} if named[1] else {}
    with translate_aws_errors(address):
        return Queue(str(sqs.get_queue_url(QueueName=named[2], **owner)["QueueUrl"]), sqs)


@dataclass(frozen=True, slots=True)
class Message:
    """A received message. `receipt` is what deletes it.

    `receives` is how often it was received, this time included; 0 if the queue does not count. `sent` is the time when
    it was sent, in epoch seconds; None if it is not known.
    """

    id: str
    body: str
    receipt: Any
    receives: int
    sent: float | None = None


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """The approximate number of messages that wait, and of those that a receiver has not acknowledged yet."""

    waiting: int
    in_flight: int

    @property
    def total(self) -> int:
        """Return the number of all messages."""
        return self.waiting + self.in_flight


@dataclass(frozen=True, slots=True)
class Queue:
    """An SQS queue, for use by all threads. Every method raises StoreError, transient if a retry may help."""

    url: str
    sqs: Any

    @property
    def name(self) -> str:
        """Return the name, the last part of the URL."""
        return self.url.rstrip("/").rpartition("/")[2]

    def send(self, bodies: Sequence[str]) -> None:
        """Send up to ten messages. Messages that SQS did not accept are sent again."""
        remaining = {str(number): body for number, body in enumerate(bodies)}
        for _ in range(_MAX_SENDS):
            entries = [{"Id": name, "MessageBody": body} for name, body in remaining.items()]
            with translate_aws_errors(self.url):
                answer = self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)
            remaining = {each["Id"]: remaining[each["Id"]] for each in answer.get("Failed", ())}
            if not remaining:
                return
        refused = answer["Failed"][0]
        sentence = f"{self.url}: {len(remaining)} messages were not accepted: {refused.get('Code')}"
        raise StoreError(sentence, transient=not refused.get("SenderFault", False))

    def clock_lead(self) -> float:
        """Return by how many seconds the clock of this machine is ahead of the queue's: 0 if the queue does not say."""
        with translate_aws_errors(self.url):
            answer = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        stated = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        return time.time() - parsedate_to_datetime(stated).timestamp() if stated else 0.0

    def depth(self) -> QueueDepth:
        """Return the number of messages. Very recent sends and deletions may not be counted yet."""
        waiting, in_flight, delayed = (int(self.attributes(_COUNTS).get(name, 0)) for name in _COUNTS)
        return QueueDepth(waiting + delayed, in_flight)

    def attributes(self, names: Sequence[str]) -> dict[str, str]:
        """Return those of the queue's attributes that exist, by name."""
        with translate_aws_errors(self.url):
            return dict(self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(names))["Attributes"])

    def receive(self, seconds: int = 1, hidden_seconds: int | None = None) -> list[Message]:
        """Return up to ten messages. Waits up to `seconds` for the first one.

        Other receivers do not see them for `hidden_seconds`; None is the queue's own visibility timeout.
        """
        given = {} if hidden_seconds is None else {"VisibilityTimeout": hidden_seconds}
        with translate_aws_errors(self.url):
            answer = self.sqs.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=MAX_BATCH_MESSAGES,
                WaitTimeSeconds=seconds,
                MessageSystemAttributeNames=["All"],
                **given,
            )
        return [_message(each) for each in answer.get("Messages", ())]

    def hidden_seconds(self) -> float:
        """Return how long a received message is hidden from other receivers: the queue's visibility timeout."""
        return float(self.attributes(["VisibilityTimeout"]).get("VisibilityTimeout", 30))

    def receive_all(self, hidden_seconds: int, limit: int) -> Iterator[Message]:
        """Yield up to `limit` messages, until the queue gives no new one. No message is yielded twice."""
        seen: set[str] = set()
        while len(seen) < limit:
            batch = [each for each in self.receive(hidden_seconds=hidden_seconds) if each.id not in seen]
            if not batch:
                return
            for message in batch[: limit - len(seen)]:
                seen.add(message.id)
                yield message

    def delete(self, message: Message) -> None:
        """Delete a received message."""
        with translate_aws_errors(self.url):
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message.receipt)

    def hide(self, message: Message, seconds: int) -> None:
        """Hide a received message from other receivers for this time from now. 0 makes it visible at once."""
        with translate_aws_errors(self.url):
            self.sqs.change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
            )

    def purge(self) -> None:
        """Delete all waiting messages. SQS allows this once in a minute."""
        with translate_aws_errors(self.url):
            self.sqs.purge_queue(QueueUrl=self.url)

    def source_queues(self) -> list[Queue]:
        """Return the queues that have this one as their dead-letter queue."""
        with translate_aws_errors(self.url):
            answer = self.sqs.list_dead_letter_source_queues(QueueUrl=self.url)
        return [Queue(url, self.sqs) for url in answer.get("queueUrls", ())]


def _message(found: Mapping[str, Any]) -> Message:
    attributes = found.get("Attributes", {})
    sent = str(attributes.get("SentTimestamp", ""))
    return Message(
        id=found["MessageId"],
        body=found["Body"],
        receipt=found["ReceiptHandle"],
        receives=int(attributes.get("ApproximateReceiveCount", 0)),
        sent=int(sent) / 1000 if sent.isdecimal() else None,
    )
