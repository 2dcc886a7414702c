"""From a change in a bucket to a message in a queue: by S3 itself, or by EventBridge."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, Final, cast

import jsii
from aws_cdk import CfnResource, RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from thumbsmith.cdk.place import Place
from thumbsmith.errors import RecipeError


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
    """Have S3 send every change under the prefix. Raises RecipeError for a prefix that no filter holds for certain.

    One filter for all types, by prefix only: S3 refuses rules that overlap, and its suffixes mind upper and lower case.
    """
    if not _SAFE.fullmatch(source.prefix):
        raise RecipeError(
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
