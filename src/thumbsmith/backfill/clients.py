"""Calls to AWS's services other than S3, by botocore, which is loaded with the first of them.

A queue of SQS: messages sent ten at a time, how many there are, and what is received from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from thumbsmith.environment import aws_region, aws_settings
from thumbsmith.errors import StoreError, UsageError
from thumbsmith.store.s3_common import broken_off, words
from thumbsmith.store.s3_connections import BROKEN

# How often a call is made in all before it has failed.
ATTEMPTS: Final = 8

# Connections kept open: as many calls as one process makes at once.
CONNECTIONS: Final = 32

# Codes of answers that pass, beside all with a status of 500 and above.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
_PASSING: Final = frozenset({"ThrottlingException", "RequestThrottled", "TooManyRequestsException", "SlowDown"})


def client(service: str, attempts: int = ATTEMPTS) -> Any:
    """Return the client for the present environment: one for the process, and all of its threads.

    A call that fails for now is made `attempts` times in all, with pauses of up to 20 seconds in between. Each time it
    keeps to the limits of requests to S3, and to the lifetime that applies. Raises StoreError where its configuration
    cannot be used.
    """
    return _client(service, aws_region(), aws_settings(), attempts)


@cache
def _client(service: str, region: str | None, settings: frozenset[tuple[str, str]], attempts: int) -> Any:
    del settings  # botocore reads the environment itself
    from botocore.config import Config  # noqa: PLC0415 - it takes 0.2 s to load
    from botocore.session import get_session  # noqa: PLC0415 - likewise

    from thumbsmith.store.s3_botocore import send_by_ours  # noqa: PLC0415 - it loads botocore

    with translate_aws_errors(service):
        config = Config(
            max_pool_connections=CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": attempts},
            parameter_validation=False,  # a tenth of the time that a batch of messages takes
        )
        session = get_session()
        made = session.create_client(service, region_name=region, config=config)
        send_by_ours(made, session)
        return made


@contextmanager
def translate_aws_errors(subject: str) -> Iterator[None]:
    """Raise StoreError for what botocore raises in the block: transient where the answer, or none, says so."""
    from botocore import exceptions as problems  # noqa: PLC0415 - as above

    unreached = (problems.ConnectionError, problems.HTTPClientError)

    try:
        yield
    except problems.ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        said = error.response.get("Error", {})
        passing = status >= 500 or status == 429 or said.get("Code") in _PASSING
        sentence = f"{subject}: {words(str(said.get('Code', status)))}: {words(str(said.get('Message', '')))}"
        raise StoreError(sentence, transient=passing) from error
    except BROKEN as error:
        raise broken_off(subject, error) from error
    except (problems.BotoCoreError, ValueError) as error:
        raise StoreError(f"{subject}: {words(str(error))}", transient=isinstance(error, unreached)) from error


def stack_outputs(stack: str) -> dict[str, str]:
    """Return a stack's outputs by name. Raises StoreError, not transient, for one that is not there."""
    try:
        with translate_aws_errors(f"stack {stack}"):
            (found,) = client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except StoreError as error:
        raise StoreError(str(error), transient=False) from error
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())}


# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
BATCH: Final = 10

# A batch that SQS took in part: the rest is sent again, so often.
_SENDS: Final = 3

_COUNTS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)

# sqs://NAME, sqs://ACCOUNT/NAME, or the queue's URL. A queue's name:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
_NAMED: Final = re.compile(r"sqs://(?:([0-9]{12})/)?([A-Za-z0-9_-]{1,80})")


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was received: what it says, how often it was received, and by what it is deleted."""

    id: str
    body: str
    receipt: str
    receives: int


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How many messages wait, and how many are in hand: about as many, says SQS."""

    waiting: int
    in_flight: int

    @property
    def total(self) -> int:
        """Return all of them."""
        return self.waiting + self.in_flight


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue, for all threads. Every method raises StoreError, transient where trying again may help."""

    url: str
    sqs: Any

    @property
    def name(self) -> str:
        """Return its name."""
        return self.url.rstrip("/").rpartition("/")[2]

    def send(self, bodies: Sequence[str]) -> None:
        """Send up to ten messages. What SQS did not take is sent again."""
        remaining = {str(number): body for number, body in enumerate(bodies)}
        for _ in range(_SENDS):
            entries = [{"Id": name, "MessageBody": body} for name, body in remaining.items()]
            with translate_aws_errors(self.url):
                answer = self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)
            remaining = {each["Id"]: remaining[each["Id"]] for each in answer.get("Failed", ())}
            if not remaining:
                return
        refused = answer["Failed"][0]
        sentence = f"{self.url}: {len(remaining)} messages were not taken: {refused.get('Code')}"
        raise StoreError(sentence, transient=not refused.get("SenderFault", False))

    def depth(self) -> QueueDepth:
        """Return how many messages there are. What was sent or deleted a moment ago may not be counted yet."""
        waiting, in_flight, delayed = (int(self.attributes(_COUNTS).get(name, 0)) for name in _COUNTS)
        return QueueDepth(waiting + delayed, in_flight)

    def attributes(self, names: Sequence[str]) -> dict[str, str]:
        """Return attributes of the queue, as far as there are such."""
        with translate_aws_errors(self.url):
            return dict(self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(names))["Attributes"])

    def receive(self, seconds: int = 1, hidden: int | None = None) -> list[Message]:
        """Return up to ten messages, waiting for the first so long; others do not see them for `hidden` seconds."""
        given = {} if hidden is None else {"VisibilityTimeout": hidden}
        with translate_aws_errors(self.url):
            answer = self.sqs.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=seconds,
                MessageSystemAttributeNames=["All"],
                **given,
            )
        return [
            Message(
                id=each["MessageId"],
                body=each["Body"],
                receipt=each["ReceiptHandle"],
                receives=int(each.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
            )
            for each in answer.get("Messages", ())
        ]

    def delete(self, message: Message) -> None:
        """Delete a message that was received."""
        with translate_aws_errors(self.url):
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message.receipt)

    def hide(self, message: Message, seconds: int) -> None:
        """Have others not see a message that was received for so many seconds from now; 0 gives it back."""
        with translate_aws_errors(self.url):
            self.sqs.change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
            )

    def purge(self) -> None:
        """Delete all messages that wait. SQS does so once in a minute at most."""
        with translate_aws_errors(self.url):
            self.sqs.purge_queue(QueueUrl=self.url)

    def source_queues(self) -> list[Queue]:
        """Return the queues whose dead letters come here."""
        with translate_aws_errors(self.url):
            answer = self.sqs.list_dead_letter_source_queues(QueueUrl=self.url)
        return [Queue(url, self.sqs) for url in answer.get("queueUrls", ())]


def is_queue(address: str) -> bool:
    """Return whether an address is one of a queue: sqs://NAME, sqs://ACCOUNT/NAME, or its URL."""
    return address.startswith(("sqs://", "https://", "http://"))


def open_queue(address: str, attempts: int = ATTEMPTS) -> Queue:
    """Return the queue at sqs://NAME, sqs://ACCOUNT/NAME, or its URL. Raises UsageError, StoreError.

    `attempts` is how often each call is made in all, where it fails for now.
    """
    named = _NAMED.fullmatch(address)
    sqs = client("sqs", attempts)
    if not named:
        if not address.startswith(("https://", "http://")):
            raise UsageError(f"{address}: expected sqs://NAME or a queue's URL")
        return Queue(address, sqs)
    owner = {"QueueOwnerAWSAccountId": named[1]} if named[1] else {}
    with translate_aws_errors(address):
        return Queue(str(sqs.get_queue_url(QueueName=named[2], **owner)["QueueUrl"]), sqs)


def receive_all(queue: Queue, hidden: int, most: int) -> Iterator[Message]:
    """Yield up to so many messages of a queue, until none comes; none of them twice."""
    seen: set[str] = set()
    while len(seen) < most:
        batch = [each for each in queue.receive(hidden=hidden) if each.id not in seen]
        if not batch:
            return
        for message in batch[: most - len(seen)]:
            seen.add(message.id)
            yield message
