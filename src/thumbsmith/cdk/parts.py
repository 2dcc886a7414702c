"""Parts that several constructs use: queues, buckets, acknowledged findings of cdk-nag, and policies to add by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any, Final

from aws_cdk import Acknowledgment, Annotations, CfnOutput, Duration, RemovalPolicy, Stack, Token, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct, IConstruct

from thumbsmith.environment import FIRST_DELIVERY_SECONDS

# The visibility timeout is six times the function's timeout, plus the batching window. Otherwise SQS would deliver a
# throttled batch a second time: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
TIMEOUTS_PER_VISIBILITY: Final = 6

# The longest time that SQS keeps a message. In this time an operator can find a cause and redrive.
MESSAGE_RETENTION: Final = Duration.days(14)

# A queue loses an event that is larger than this. S3 sends up to 64 KB, EventBridge up to 256 KB.
MAX_MESSAGE_BYTES: Final = 262_144


class EventQueue(Construct):
    """`queue`, and `dead_letters` for messages received `max_receive_count` times. Encrypted; TLS only.

    A message is at least FIRST_DELIVERY_SECONDS old in the dead letters: the function relies on that.
    """

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
        receives = 1 if Token.is_unresolved(max_receive_count) else max_receive_count
        least = ceil(FIRST_DELIVERY_SECONDS / receives)  # for one delivery on the way to the dead letters
        self.dead_letters = dead_letters(self, "DeadLetters")
        self.queue = _queue(
            self,
            "Events",
            Duration.seconds(max(TIMEOUTS_PER_VISIBILITY * function_timeout.to_seconds() + window, least)),
            sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=max_receive_count),
        )


def dead_letters(scope: Construct, id: str) -> sqs.Queue:
    """Return a queue for messages that a function could not handle."""
    return _queue(scope, id)


def _queue(
    scope: Construct, id: str, visibility: Duration | None = None, failed: sqs.DeadLetterQueue | None = None
) -> sqs.Queue:
    return sqs.Queue(
        scope,
        id,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        max_message_size_bytes=MAX_MESSAGE_BYTES,
        retention_period=MESSAGE_RETENTION,
        visibility_timeout=visibility,
        dead_letter_queue=failed,
    )


def bucket(
    scope: Construct,
    id: str,
    *,
    removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    expires: Duration | None = None,
    key: kms.IKey | None = None,
    emptied: bool = False,
) -> s3.Bucket:
    """Return a new bucket: encrypted (with `key`, if given), private, TLS only.

    S3 deletes unfinished multipart uploads after a week, and objects after the time `expires`, if given. With
    `emptied`, a function of CDK's deletes all objects when the stack is deleted.
    """
    return s3.Bucket(
        scope,
        id,
        encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
        encryption_key=key,
        bucket_key_enabled=True if key else None,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        lifecycle_rules=[
            s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(7), expiration=expires),
        ],
        removal_policy=removal_policy,
        auto_delete_objects=True if emptied else None,
    )


RUNTIME: Final = "The version of Python is a prop. Its default is a version that Lambda has supported for a long time."
ACCESS_LOGS: Final = "A log of every access needs a bucket, which is a prop, or CloudTrail's data events."
CDK_HANDLER: Final = "CDK's own function for notifications of buckets, or to empty them: CDK defines its role."
PUBLIC_ROUTE: Final = "A prop makes thumbnails public."
NO_GEO_RESTRICTION: Final = "Thumbnails are public in all countries. A prop restricts them."
NO_FIREWALL: Final = "The distribution serves files only. A firewall is a prop."
EDGE_TLS: Final = "Without a certificate, CloudFront uses its own, and sets the TLS versions for it."
WILDCARDS: Final = (
    "Keys are not known in advance, so permissions on objects end in '*' after the prefix, and those on logs after the"
    " group. AWS cannot limit actions on network interfaces and traces to resources that exist in advance."
)
RULE_QUEUE: Final = "This is the dead-letter queue of a rule of EventBridge."
BASIC_EXECUTION_ROLE: Final = (
    "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]"
)
ALL_RESOURCES: Final = "IAM5[Resource::*]"


def acknowledge(construct: IConstruct, reasons: dict[str, str]) -> None:
    """Acknowledge rules of cdk-nag's AWS Solutions, such as L1, for the construct and its children."""
    rules = [Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason) for rule, reason in reasons.items()]
    Validations.of(construct).acknowledge(*rules)


def acknowledge_wildcards(construct: IConstruct, statements: Iterable[iam.PolicyStatement]) -> None:
    """Acknowledge exactly the wildcards of these statements, and the one for traces."""
    stack = Stack.of(construct)
    resources = {_nag_text(stack.resolve(each)) for statement in statements for each in statement.resources}
    rules = [ALL_RESOURCES, *(f"IAM5[Resource::{each}]" for each in sorted(resources) if each.endswith(("*", ".json")))]
    acknowledge(construct, dict.fromkeys(rules, WILDCARDS))


def acknowledge_cdk_handler(stack: Stack) -> None:
    """Acknowledge the findings in CDK's own functions that set notifications of buckets, and that empty buckets."""
    for child in stack.node.children:
        if child.node.id.startswith("BucketNotificationsHandler"):
            acknowledge(child, {BASIC_EXECUTION_ROLE: CDK_HANDLER, ALL_RESOURCES: CDK_HANDLER})
        if child.node.id.startswith("Custom::S3AutoDeleteObjects"):
            acknowledge(child, {"L1": CDK_HANDLER, BASIC_EXECUTION_ROLE: CDK_HANDLER})


def _nag_text(value: Any) -> str:
    """Return a value of a template as cdk-nag writes it: <LogicalId.Attribute> for a reference."""
    match value:
        case {"Fn::Join": ["", parts]}:
            return "".join(map(_nag_text, parts))
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
    return str(value)


def require_manual_change(scope: Construct, id: str, what: str, document: dict[str, Any]) -> None:
    """Warn at synthesis that the owner of an imported resource must change it; output the change as JSON.

    CDK cannot change a resource that the app does not create. `id` is that of the output, `what` states the change.
    """
    Annotations.of(scope).add_warning_v2(
        f"@thumbsmith/{id}", f"{what} CDK cannot change it: add the JSON of the stack's output {id} to it."
    )
    CfnOutput(scope, id, value=Stack.of(scope).to_json_string(document), description=what)


def require_policy(scope: Construct, id: str, what: str, statements: Sequence[iam.PolicyStatement]) -> None:
    """Warn at synthesis that the policy of an imported resource needs these statements; output them as a policy."""
    document = {"Version": "2012-10-17", "Statement": [each.to_statement_json() for each in statements]}
    require_manual_change(scope, id, what, document)
