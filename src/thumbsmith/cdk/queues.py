"""A queue of events with a queue for those that keep failing."""

from __future__ import annotations

from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html: six times the function's timeout, and the
# batching window, so that a batch that is throttled is not delivered a second time meanwhile.
VISIBILITY_TIMEOUTS: Final = 6

# The longest that SQS keeps a message; the time to find a cause and redrive.
RETENTION: Final = Duration.days(14)

# An event that is larger than its queue takes is lost. S3 writes up to 64 KB, EventBridge up to 256 KB.
MESSAGE_BYTES: Final = 262_144


class EventQueue(Construct):
    """`queue`, and `dead_letters` for messages received `max_receive_count` times; encrypted, by TLS alone."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        function_timeout: Duration,
        max_receive_count: int,
        batching_window: Duration | None = None,
    ) -> None:
        super().__init__(scope, id)
        window = batching_window.to_seconds() if batching_window else 0
        self.dead_letters = dead_letters(self, "DeadLetters")
        self.queue = _queue(
            self,
            "Events",
            Duration.seconds(VISIBILITY_TIMEOUTS * function_timeout.to_seconds() + window),
            sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=max_receive_count),
        )


def dead_letters(scope: Construct, id: str) -> sqs.Queue:
    """Return a queue for messages that could not be handled."""
    return _queue(scope, id)


def _queue(
    scope: Construct, id: str, visibility: Duration | None = None, failed: sqs.DeadLetterQueue | None = None
) -> sqs.Queue:
    return sqs.Queue(
        scope,
        id,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        max_message_size_bytes=MESSAGE_BYTES,
        retention_period=RETENTION,
        visibility_timeout=visibility,
        dead_letter_queue=failed,
    )
