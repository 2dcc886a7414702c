"""Notifications: a change in a bucket becomes a message in a queue, through S3 itself or through EventBridge.

Generators of one app must not share certain locations. Each pair that would fail at deployment, or later, is refused.
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

from thumbsmith.cdk.network import Location, overlaps, same_bucket
from thumbsmith.errors import UsageError


class Trigger(StrEnum):
    """The service that reports changes. S3 is faster and free. EventBridge crosses accounts and allows other rules."""

    S3 = "s3"
    EVENTBRIDGE = "eventbridge"


# Each event after which other thumbnails may be needed. S3 has separate event types for removal and for expiry.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
S3_EVENTS: Final = (
    s3.EventType.OBJECT_CREATED,
    s3.EventType.OBJECT_REMOVED,
    s3.EventType.LIFECYCLE_EXPIRATION,
    s3.EventType.OBJECT_TAGGING,
    s3.EventType.OBJECT_RESTORE_COMPLETED,
)

# The same events under EventBridge's names. An expiry is a deletion there.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html
EVENTBRIDGE_EVENTS: Final = (
    "Object Created",
    "Object Deleted",
    "Object Tags Added",
    "Object Tags Deleted",
    "Object Restore Completed",
)

# Characters that the filter of a notification takes literally. AWS does not document its treatment of others.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_SAFE_PREFIX: Final = re.compile(r"[A-Za-z0-9!_.'()/-]*")


@jsii.implements(s3.IBucketNotificationDestination)
class OneBucketDestination:
    """A queue to which one bucket of one account may send, and no other.

    CDK's own destination names the bucket only: after the bucket is deleted, another account could take its name and
    send.
    """

    def __init__(self, queue: sqs.IQueue) -> None:
        self._queue = queue

    def bind(
        self,
        scope: Construct,  # noqa: ARG002 - CDK passes it
        bucket: s3.IBucket,
    ) -> s3.BucketNotificationDestinationConfig:
        """Allow the bucket to send; return the address of the queue. A second call for one bucket changes nothing."""
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


def notify_by_s3(source: Location, queue: sqs.IQueue) -> None:
    """Let S3 send each change below the prefix. Raises UsageError for a prefix that filters may not take literally.

    One filter for all types, by prefix only: S3 refuses rules that overlap, and its suffixes are case-sensitive.
    """
    if not _SAFE_PREFIX.fullmatch(source.prefix):
        raise UsageError(
            f"source_prefix: expected ASCII letters, digits and !_.'()/- alone, found {source.prefix!r}: with other"
            ' characters, use trigger="eventbridge"'
        )
    destination = OneBucketDestination(queue)
    filters = [s3.NotificationKeyFilter(prefix=source.prefix)] if source.prefix else []
    for kind in S3_EVENTS:
        source.bucket.add_event_notification(kind, destination, *filters)  # type: ignore[arg-type]


def notify_by_eventbridge(
    scope: Construct, id: str, source: Location, queue: sqs.IQueue, dead_letters: sqs.IQueue
) -> events.Rule:
    """Let EventBridge send each change below the prefix; return the rule.

    If EventBridge cannot deliver an event for 24 hours, it sends the event to `dead_letters` in its own format.
    """
    keys = {"key": [{"prefix": source.prefix}]} if source.prefix else {}
    return rule(
        scope, id, source.bucket, EVENTBRIDGE_EVENTS, keys, targets.SqsQueue(queue, dead_letter_queue=dead_letters)
    )


# CDK's own functions in a stack, by the beginning of their names, and the part of each that is the function.
_CDK_HANDLERS: Final = {"BucketNotificationsHandler": "Resource", "Custom::S3AutoDeleteObjects": "Handler"}


def expire_handler_logs(stack: Stack) -> None:
    """Give a log group to CDK's own functions, which set notifications of buckets and empty them. Safe to repeat.

    Else their logs would never expire, and stay after the stack.
    """
    for beginning, part in _CDK_HANDLERS.items():
        for each in (each for each in stack.node.children if each.node.id.startswith(beginning)):
            group = stack.node.try_find_child("NotificationsLogs") or logs.LogGroup(
                stack, "NotificationsLogs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
            )
            function = cast("CfnResource", each.node.find_child(part))
            function.add_property_override("LoggingConfig.LogGroup", cast("logs.LogGroup", group).log_group_name)


def rule(
    scope: Construct,
    id: str,
    bucket: s3.IBucket,
    kinds: tuple[str, ...],
    keys: dict[str, Any],
    target: events.IRuleTarget,
) -> events.Rule:
    """Return a rule for these events of these keys. The bucket sends its events to EventBridge from now on."""
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
class Claim:
    """The locations and the trigger that one generator uses. `path` is the path of its construct."""

    path: str
    source: Location
    destination: Location
    trigger: Trigger


def require_compatible(scope: IConstruct, one: Claim, others: Sequence[Claim]) -> None:
    """Raise UsageError if a generator conflicts with another one of the app.

    If two stacks import one bucket by its name, there is only a warning: perhaps just one of the stacks is deployed.
    """
    for other in others:
        for mine, known, sentence in _conflicts(one, other):
            if Stack.of(mine.bucket) is Stack.of(known.bucket) or _is_created(mine.bucket) or _is_created(known.bucket):
                raise UsageError(sentence)
            Annotations.of(scope).add_warning_v2("@thumbsmith/Neighbors", f"If both stacks are deployed: {sentence}")
        for mine in (one.source, one.destination):
            for known in (other.source, other.destination):
                require_one_construct(mine.bucket, known.bucket)


def _conflicts(one: Claim, other: Claim) -> Iterator[tuple[Location, Location, str]]:
    """Yield each pair of locations that must not overlap but do, with the message."""
    if overlaps(one.destination, other.destination):
        yield (
            one.destination,
            other.destination,
            f"destination: expected one that no other generator writes to, found that of {other.path}: each would"
            " replace or delete thumbnails of the other; give each its own destination_prefix",
        )
    for mine, known in ((one.destination, other.source), (one.source, other.destination)):
        if overlaps(mine, known):
            yield (
                mine,
                known,
                f"source and destination: expected no overlap with those of {other.path}: thumbnails of one generator"
                " would be sources of the other",
            )
    if one.trigger is other.trigger is Trigger.S3 and overlaps(one.source, other.source):
        yield (
            one.source,
            other.source,
            f"source: expected a prefix that does not overlap with that of {other.path}, as S3 notifies only one"
            ' queue; use trigger="eventbridge" for one of them',
        )


def require_one_construct(one: s3.IBucket, other: s3.IBucket) -> None:
    """Raise UsageError for two constructs of one bucket if CDK would overwrite the notifications of one of them.

    Two stacks may import one bucket: CDK adds to the existing notifications, and identifies its own by the stack.
    """
    if one.node.path == other.node.path or not same_bucket(one, other):
        return
    if _is_created(one) or _is_created(other) or Stack.of(one) is Stack.of(other):
        raise UsageError(
            "source and destination: expected one construct for one bucket, found"
            f" {one.node.path} and {other.node.path}: CDK would overwrite the notifications of one of them"
        )


def _is_created(bucket: s3.IBucket) -> bool:
    """Return whether the app creates the bucket."""
    return isinstance(bucket, s3.Bucket)
