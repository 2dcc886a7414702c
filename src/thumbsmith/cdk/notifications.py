"""From a change in a bucket to a message in a queue: by S3 itself, or by EventBridge.

What generators of one app may not share: each pair that would break at deployment, or later, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, cast

import jsii
from aws_cdk import Annotations, CfnResource, RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct, IConstruct

from thumbsmith.cdk.network import Place, overlap, same
from thumbsmith.errors import UsageError


class Trigger(StrEnum):
    """What tells of changes. S3 is faster and free; EventBridge crosses accounts and leaves other rules alone."""

    S3 = "s3"
    EVENTBRIDGE = "eventbridge"


# Whatever may change what the thumbnails should be. An expiry is no removal: it has its own event types.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
S3_EVENTS: Final = (
    s3.EventType.OBJECT_CREATED,
    s3.EventType.OBJECT_REMOVED,
    s3.EventType.LIFECYCLE_EXPIRATION,
    s3.EventType.OBJECT_TAGGING,
    s3.EventType.OBJECT_RESTORE_COMPLETED,
)

# The same by EventBridge's names, where an expiry is a deletion.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html
EVENTBRIDGE_EVENTS: Final = (
    "Object Created",
    "Object Deleted",
    "Object Tags Added",
    "Object Tags Deleted",
    "Object Restore Completed",
)

# Characters that stand for themselves in the filter of a notification; what it does with others is not written down.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_SAFE: Final = re.compile(r"[A-Za-z0-9!_.'()/-]*")


@jsii.implements(s3.IBucketNotificationDestination)
class FromOneBucket:
    """A queue to which one bucket of one account may send, and nobody else.

    CDK's own destination names the bucket alone: whoever takes over its name, once it is deleted, could then send too.
    """

    def __init__(self, queue: sqs.IQueue) -> None:
        self._queue = queue

    def bind(self, scope: Construct, bucket: s3.IBucket) -> s3.BucketNotificationDestinationConfig:  # noqa: ARG002
        """Let the bucket send, and return where to. Binding one bucket again changes nothing."""
        added = self._queue.add_to_resource_policy(
            iam.PolicyStatement(
                sid="LetSourceSend",
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[self._queue.queue_arn],
                conditions={
                    "ArnEquals": {"aws:SourceArn": bucket.bucket_arn},
                    "StringEquals": {"aws:SourceAccount": bucket.env.account},
                },
            )
        )
        return s3.BucketNotificationDestinationConfig(
            arn=self._queue.queue_arn,
            type=s3.BucketNotificationDestinationType.QUEUE,
            dependencies=[added.policy_dependable] if added.policy_dependable else [],
        )


def notify_by_s3(source: Place, queue: sqs.IQueue) -> None:
    """Have S3 send every change under the prefix. Raises UsageError for a prefix that no filter holds for certain.

    One filter for all types, by prefix only: S3 refuses rules that overlap, and its suffixes mind upper and lower case.
    """
    if not _SAFE.fullmatch(source.prefix):
        raise UsageError(
            f"source_prefix: expected ASCII letters, digits and !_.'()/- alone, found {source.prefix!r}: for any other"
            ' use trigger="eventbridge"'
        )
    destination = FromOneBucket(queue)
    filters = [s3.NotificationKeyFilter(prefix=source.prefix)] if source.prefix else []
    for kind in S3_EVENTS:
        source.bucket.add_event_notification(kind, destination, *filters)  # type: ignore[arg-type]


def notify_by_eventbridge(
    scope: Construct, id: str, place: Place, queue: sqs.IQueue, dead_letters: sqs.IQueue
) -> events.Rule:
    """Have EventBridge send every change under the prefix; return the rule.

    An event that EventBridge cannot send for 24 hours goes to `dead_letters`, in its own format.
    """
    keys = {"key": [{"prefix": place.prefix}]} if place.prefix else {}
    return rule(
        scope, id, place.bucket, EVENTBRIDGE_EVENTS, keys, targets.SqsQueue(queue, dead_letter_queue=dead_letters)
    )


def keep_logs_a_month(stack: Stack) -> None:
    """Give a log group to CDK's own function, which sets the notifications of buckets: its logs would never expire."""
    handlers = [each for each in stack.node.children if each.node.id.startswith("BucketNotificationsHandler")]
    for each in handlers:
        group = logs.LogGroup(
            stack, "NotificationsLogs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
        )
        made = cast("CfnResource", each.node.find_child("Resource"))
        made.add_property_override("LoggingConfig.LogGroup", group.log_group_name)


def rule(
    scope: Construct,
    id: str,
    bucket: s3.IBucket,
    kinds: tuple[str, ...],
    keys: dict[str, Any],
    target: events.IRuleTarget,
) -> events.Rule:
    """Return a rule for these events about these keys of the bucket, which from now on tells EventBridge."""
    bucket.enable_event_bridge_notification()
    return events.Rule(
        scope,
        id,
        event_pattern=events.EventPattern(
            source=["aws.s3"],
            account=[bucket.env.account],
            detail_type=list(kinds),
            detail={"bucket": {"name": [bucket.bucket_name]}, **({"object": keys} if keys else {})},
        ),
        targets=[target],
    )


@dataclass(frozen=True, slots=True)
class Work:
    """What one generator does: from where, to where, and how it hears of changes; `path` names it."""

    path: str
    source: Place
    destination: Place
    trigger: Trigger


def keep_neighbors_apart(scope: IConstruct, one: Work, others: Sequence[Work]) -> None:
    """Raise UsageError where a generator and one that the app has already cannot work together.

    Where two stacks import one bucket by its name, perhaps only one of them is deployed: that is a warning.
    """
    for other in others:
        for mine, known, sentence in _conflicts(one, other):
            if Stack.of(mine.bucket) is Stack.of(known.bucket) or _made(mine.bucket) or _made(known.bucket):
                raise UsageError(sentence)
            Annotations.of(scope).add_warning_v2("@thumbsmith/Neighbors", f"If both stacks are deployed: {sentence}")
        for mine in (one.source, one.destination):
            for known in (other.source, other.destination):
                keep_one_construct(mine.bucket, known.bucket)


def _conflicts(one: Work, other: Work) -> Iterator[tuple[Place, Place, str]]:
    """Yield each pair of places that must not overlap and does, with the sentence about it."""
    if overlap(one.destination, other.destination):
        yield (
            one.destination,
            other.destination,
            f"destination: expected one that no other generator writes to, found that of {other.path}: each would"
            " replace or remove thumbnails of the other; give each a destination_prefix of its own",
        )
    for mine, known in ((one.destination, other.source), (one.source, other.destination)):
        if overlap(mine, known):
            yield (
                mine,
                known,
                f"source and destination: expected no overlap with those of {other.path}: thumbnails of one generator"
                " would be sources of the other",
            )
    if one.trigger is other.trigger is Trigger.S3 and overlap(one.source, other.source):
        yield (
            one.source,
            other.source,
            f"source: expected a prefix that does not overlap with that of {other.path}, as S3 notifies one queue"
            ' of a change; use trigger="eventbridge" for one of them',
        )


def keep_one_construct(one: s3.IBucket, other: s3.IBucket) -> None:
    """Raise UsageError for two constructs of one bucket whose notifications CDK would write over each other's.

    Imports of one bucket by two stacks are no harm: CDK adds to what is there, and tells its own by the stack.
    """
    if _place(one) == _place(other) or not same(one, other):
        return
    if _made(one) or _made(other) or Stack.of(one) is Stack.of(other):
        raise UsageError(
            "source and destination: expected one construct for one bucket, found"
            f" {_place(one)} and {_place(other)}: CDK would write their notifications over each other"
        )


def _place(construct: IConstruct) -> str:
    return construct.node.path


def _made(bucket: s3.IBucket) -> bool:
    """Return whether the app makes the bucket."""
    return isinstance(bucket, s3.Bucket)
