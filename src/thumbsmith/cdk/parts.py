"""A queue of events with a queue for those that keep failing.

Buckets that are made here.

What cdk-nag's rules for AWS Solutions find here on purpose, each with its reason.

What the owner of an imported bucket, topic or key has to add: CDK cannot change what the app does not make.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from aws_cdk import Acknowledgment, Annotations, CfnOutput, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct, IConstruct

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


def bucket(
    scope: Construct,
    id: str,
    *,
    removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    expires: Duration | None = None,
    key: kms.IKey | None = None,
) -> s3.Bucket:
    """Return a new bucket: encrypted, by the key where one is given, private, reached by TLS alone.

    Uploads in parts that are not finished are removed after a week; objects after the time `expires`, if any.
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
    )


RUNTIME: Final = "The version of Python is a prop, and its default one that has been in Lambda for long."
ACCESS_LOGS: Final = "Who wants a log of every access names a bucket for it, or turns on CloudTrail's data events."
CDKS_OWN: Final = "CDK's own function, by which it tells a bucket what to notify: its role is not ours to write."
PUBLIC: Final = "Everybody may look at thumbnails where that was said."
EVERYWHERE: Final = "Thumbnails are for everybody; who wants them kept from some countries says so by a prop."
FIREWALL: Final = "Nothing but files can be asked for; who wants a firewall before them names it by a prop."
EDGE_TLS: Final = "Without a domain's certificate CloudFront's own holds, of which it alone sets the versions of TLS."
WILDCARDS: Final = (
    "Any key may come, so permissions on objects end in '*' behind their prefix, and those on logs behind their group;"
    " AWS scopes no action on network interfaces, and none on traces, to what is known beforehand."
)
OF_A_RULE: Final = "It is the queue for failed messages itself, of a rule of EventBridge."
BASIC: Final = "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]"
EVERYTHING: Final = "IAM5[Resource::*]"


def acknowledge(construct: IConstruct, reasons: dict[str, str]) -> None:
    """Acknowledge rules of AWS Solutions, named as L1 is, for the construct and all in it."""
    rules = [Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason) for rule, reason in reasons.items()]
    Validations.of(construct).acknowledge(*rules)


def acknowledge_wildcards(construct: IConstruct, statements: Iterable[iam.PolicyStatement]) -> None:
    """Acknowledge exactly those wildcards that the statements hold, and the traces' one."""
    stack = Stack.of(construct)
    resources = {_text(stack.resolve(each)) for statement in statements for each in statement.resources}
    rules = [EVERYTHING, *(f"IAM5[Resource::{each}]" for each in sorted(resources) if each.endswith(("*", ".json")))]
    acknowledge(construct, dict.fromkeys(rules, WILDCARDS))


def acknowledge_cdks_own(stack: Stack) -> None:
    """Acknowledge what is found in the function by which CDK sets the notifications of buckets."""
    for child in stack.node.children:
        if child.node.id.startswith("BucketNotificationsHandler"):
            acknowledge(child, {BASIC: CDKS_OWN, EVERYTHING: CDKS_OWN})


def _text(value: Any) -> str:
    """Return a value of a template as cdk-nag spells it: <LogicalId.Attribute> for what deployment will know."""
    match value:
        case {"Fn::Join": ["", parts]}:
            return "".join(map(_text, parts))
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
    return str(value)


def ask_owner(scope: Construct, id: str, what: str, document: dict[str, Any]) -> None:
    """Warn at synthesis that something has to be added by hand, and output it as JSON under the construct's `id`."""
    Annotations.of(scope).add_warning_v2(
        f"@thumbsmith/{id}", f"{what} CDK cannot do it here: add the JSON of the stack's output {id} to what is there."
    )
    CfnOutput(scope, id, value=Stack.of(scope).to_json_string(document), description=what)


def ask_for_policy(scope: Construct, id: str, what: str, statements: Sequence[iam.PolicyStatement]) -> None:
    """Warn at synthesis that a resource's policy lacks these statements, and output them as a policy."""
    document = {"Version": "2012-10-17", "Statement": [each.to_statement_json() for each in statements]}
    ask_owner(scope, id, what, document)
