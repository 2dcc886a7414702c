"""A queue of events with a queue for those that keep failing."""

from __future__ import annotations

from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html: six times the function's timeout, so that
# a batch that is throttled is not delivered a second time meanwhile.
VISIBILITY_TIMEOUTS: Final = 6

# The longest that SQS keeps a message; the time to find a cause and redrive.
RETENTION: Final = Duration.days(14)

# An event that is larger than its queue takes is lost. S3 writes up to 64 KB, EventBridge up to 256 KB.
MESSAGE_BYTES: Final = 262_144


class EventQueue(Construct):
    """`queue`, encrypted and reached by TLS alone, and `dead_letters`, where a message goes after so many receives."""

    def __init__(self, scope: Construct, id: str, *, function_timeout: Duration, max_receive_count: int) -> None:
        super().__init__(scope, id)
        self.dead_letters = self._queue("DeadLetters")
        self.queue = self._queue(
            "Events",
            Duration.seconds(VISIBILITY_TIMEOUTS * function_timeout.to_seconds()),
            sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=max_receive_count),
        )

    def _queue(
        self, id: str, visibility: Duration | None = None, dead_letters: sqs.DeadLetterQueue | None = None
    ) -> sqs.Queue:
        return sqs.Queue(
            self,
            id,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            max_message_size_bytes=MESSAGE_BYTES,
            retention_period=RETENTION,
            visibility_timeout=visibility,
            dead_letter_queue=dead_letters,
        )
