"""What a function may do: one statement a purpose, each on named resources.

What a job of S3 Batch Operations needs: a role, and a bucket for its manifests and reports.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-iam-role-policies.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from thumbsmith.cdk.network import Place
from thumbsmith.cdk.parts import ACCESS_LOGS, acknowledge, acknowledge_wildcards, bucket

INTERFACES: Final = ("CreateNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets", "DeleteNetworkInterface")
ADDRESSES: Final = ("AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")


def role(
    scope: Construct, id: str, statements: Sequence[iam.PolicyStatement], *, service: str = "lambda.amazonaws.com"
) -> iam.Role:
    """Return a role for a service, by default Lambda, that may do this and nothing else."""
    return iam.Role(
        scope,
        id,
        assumed_by=iam.ServicePrincipal(service),
        inline_policies={"Thumbsmith": iam.PolicyDocument(statements=list(statements))},
    )


def read_source(source: Place) -> list[iam.PolicyStatement]:
    """Return what looking at sources takes. Without ListBucket, S3 answers 403 for an object that is absent.

    ListBucket has no condition on the prefix: a request for an object brings no prefix that could meet it.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    return [
        _allow("ReadSource", ["s3:GetObject", "s3:GetObjectTagging"], source.objects_arn),
        _allow("TellAbsentSource", ["s3:ListBucket"], source.bucket.bucket_arn),
        *_key("DecryptSource", ["kms:Decrypt"], source),
    ]


def keep_destination(destination: Place) -> list[iam.PolicyStatement]:
    """Return what keeping thumbnails takes. No condition on a prefix: an object that is absent is told without one."""
    return [
        _allow("KeepDestination", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], destination.objects_arn),
        _allow("ListDestination", ["s3:ListBucket"], destination.bucket.bucket_arn),
        *_key("EncryptDestination", ["kms:GenerateDataKey", "kms:Decrypt"], destination),
    ]


def read_manifests(destination: Place) -> list[iam.PolicyStatement]:
    """Return what reading manifests takes."""
    manifests = destination.bucket.arn_for_objects(f"{destination.prefix}*/manifest.json")
    return [
        _allow("ReadManifests", ["s3:GetObject"], manifests),
        _allow("TellAbsentManifest", ["s3:ListBucket"], destination.bucket.bucket_arn),
        *_key("DecryptManifests", ["kms:Decrypt"], destination),
    ]


def answer(source: Place, destination: Place) -> list[iam.PolicyStatement]:
    """Return what the API takes besides looking at sources: leave to upload and to delete them, and to read thumbnails.

    Whoever uploads by a presigned request does it as the function that signed it.
    """
    return [
        _allow("TakeUploads", ["s3:PutObject"], source.objects_arn),
        _allow("DeleteSources", ["s3:DeleteObject"], source.objects_arn),
        _allow("ReadDestination", ["s3:GetObject"], destination.objects_arn),
        _allow("ListDestination", ["s3:ListBucket"], destination.bucket.bucket_arn),
        *_key("EncryptSource", ["kms:GenerateDataKey"], source),
        *_key("DecryptDestination", ["kms:Decrypt"], destination),
    ]


def receive(sid: str, queue: sqs.IQueue) -> iam.PolicyStatement:
    """Return what being fed from a queue takes."""
    return _allow(sid, ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], queue.queue_arn)


def send(sid: str, queue: sqs.IQueue) -> iam.PolicyStatement:
    """Return what feeding a queue takes."""
    return _allow(sid, ["sqs:SendMessage"], queue.queue_arn)


def write_logs(log_group: logs.ILogGroup) -> iam.PolicyStatement:
    """Return what writing logs takes."""
    return _allow("WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], f"{log_group.log_group_arn}:*")


def audit(source: Place, destination: Place) -> list[iam.PolicyStatement]:
    """Return what looking at both places takes: their listings, and what is in the destination."""
    return [
        _allow("ListSource", ["s3:ListBucket"], source.bucket.bucket_arn),
        _allow("ReadDestination", ["s3:GetObject"], destination.objects_arn),
        _allow("ListDestination", ["s3:ListBucket"], destination.bucket.bucket_arn),
        *_key("DecryptDestination", ["kms:Decrypt"], destination),
    ]


def run(log_group: logs.ILogGroup, *, in_vpc: bool) -> list[iam.PolicyStatement]:
    """Return what running takes: writing logs and, in a VPC, network interfaces.

    AWS scopes no action on network interfaces to a resource that is known beforehand, so these stand on "*":
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
    """
    statements = [write_logs(log_group)]
    if in_vpc:
        statements.append(_allow("JoinNetwork", [f"ec2:{action}" for action in (*INTERFACES, *ADDRESSES)], "*"))
    return statements


def leave_network(function: lambda_.IFunction) -> iam.PolicyStatement:
    """Return that the function's own code may do nothing with network interfaces: that is for Lambda alone.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-best-practice
    """
    return iam.PolicyStatement(
        sid="LeaveNetwork",
        effect=iam.Effect.DENY,
        actions=[f"ec2:{action}" for action in (*INTERFACES, "DetachNetworkInterface", *ADDRESSES)],
        resources=["*"],
        conditions={"ArnEquals": {"lambda:SourceFunctionArn": [function.function_arn]}},
    )


def decrypt(sid: str, bucket: s3.IBucket) -> list[iam.PolicyStatement]:
    """Return what reading a bucket with a key of its own takes; nothing where it has none."""
    return _key(sid, ["kms:Decrypt"], Place(bucket, ""))


def _key(sid: str, actions: Iterable[str], place: Place) -> list[iam.PolicyStatement]:
    """Return the use of the bucket's own key, through S3 alone; nothing where it has none."""
    key: kms.IKey | None = place.bucket.encryption_key
    if key is None:
        return []
    through = f"s3.{place.bucket.env.region}.amazonaws.com"
    return [_allow(sid, actions, key.key_arn, {"StringEquals": {"kms:ViaService": through}})]


def _allow(
    sid: str, actions: Iterable[str], resource: str, conditions: dict[str, dict[str, str]] | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, actions=list(actions), resources=[resource], conditions=conditions)


# S3 forgets a job 90 days after its end; its report is kept as long.
KEPT: Final = Duration.days(90)


class BatchJobs(Construct):
    """`role`, which lets a job call the function, read manifests and write reports; and `bucket`, for both."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        function: lambda_.IFunction,
        inventories: Sequence[s3.IBucket] = (),
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        super().__init__(scope, id)
        self.bucket = bucket(self, "Bucket", removal_policy=removal_policy, expires=KEPT)
        manifests = [self.bucket.arn_for_objects("manifests/*"), *(each.arn_for_objects("*") for each in inventories)]
        statements = [
            _allow_all("CallFunction", ["lambda:InvokeFunction"], [function.function_arn]),
            _allow_all("ReadManifests", ["s3:GetObject", "s3:GetObjectVersion"], manifests),
            _allow_all("WriteReports", ["s3:PutObject"], [self.bucket.arn_for_objects("reports/*")]),
            *(
                statement
                for number, each in enumerate(inventories)
                for statement in decrypt(f"DecryptInventory{number}", each)
            ),
        ]
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("batchoperations.s3.amazonaws.com"),
            inline_policies={"Thumbsmith": iam.PolicyDocument(statements=statements)},
        )
        acknowledge(self.bucket, {"S1": ACCESS_LOGS})
        acknowledge_wildcards(self.role, statements)


def _allow_all(sid: str, actions: Sequence[str], resources: Sequence[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, actions=list(actions), resources=list(resources))
