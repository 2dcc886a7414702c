"""Permissions: one statement for each purpose, on named resources; and the role and bucket of Batch Operations jobs."""

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

from thumbsmith.cdk.network import Location
from thumbsmith.cdk.parts import ACCESS_LOGS, acknowledge, acknowledge_wildcards, bucket

INTERFACE_ACTIONS: Final = (
    "CreateNetworkInterface",
    "DescribeNetworkInterfaces",
    "DescribeSubnets",
    "DeleteNetworkInterface",
)
ADDRESS_ACTIONS: Final = ("AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")


def role(
    scope: Construct, id: str, statements: Sequence[iam.PolicyStatement], *, service: str = "lambda.amazonaws.com"
) -> iam.Role:
    """Return a role for a service, by default Lambda, with these permissions and no others."""
    return iam.Role(
        scope,
        id,
        assumed_by=iam.ServicePrincipal(service),
        inline_policies={"Thumbsmith": iam.PolicyDocument(statements=list(statements))},
    )


def read_source(source: Location) -> list[iam.PolicyStatement]:
    """Return the permissions to read sources. Without ListBucket, S3 answers 403 for an object that does not exist.

    ListBucket has no condition on the prefix, because a request for an object has no prefix to compare.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    return [
        _allow("ReadSource", ["s3:GetObject", "s3:GetObjectTagging"], source.objects_arn),
        _allow("TellAbsentSource", ["s3:ListBucket"], source.bucket.bucket_arn),
        *_key("DecryptSource", ["kms:Decrypt"], source),
    ]


def update_destination(destination: Location) -> list[iam.PolicyStatement]:
    """Return the permissions to read, write, delete and list thumbnails. ListBucket: see `read_source`."""
    return [
        _allow("KeepDestination", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], destination.objects_arn),
        _allow("ListDestination", ["s3:ListBucket"], destination.bucket.bucket_arn),
        *_key("EncryptDestination", ["kms:GenerateDataKey", "kms:Decrypt"], destination),
    ]


def read_manifests(destination: Location) -> list[iam.PolicyStatement]:
    """Return the permissions to read manifests."""
    manifests = destination.bucket.arn_for_objects(f"{destination.prefix}*/manifest.json")
    return [
        _allow("ReadManifests", ["s3:GetObject"], manifests),
        _allow("TellAbsentManifest", ["s3:ListBucket"], destination.bucket.bucket_arn),
        *_key("DecryptManifests", ["kms:Decrypt"], destination),
    ]


def serve_api(source: Location, destination: Location) -> list[iam.PolicyStatement]:
    """Return the permissions of the API in addition to `read_source`: upload and delete sources, read thumbnails.

    A presigned upload has the permissions of the function that signed it.
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
    """Return the permission to receive from a queue."""
    return _allow(sid, ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], queue.queue_arn)


def send(sid: str, queue: sqs.IQueue) -> iam.PolicyStatement:
    """Return the permission to send to a queue."""
    return _allow(sid, ["sqs:SendMessage"], queue.queue_arn)


def write_logs(log_group: logs.ILogGroup) -> iam.PolicyStatement:
    """Return the permission to write logs."""
    return _allow("WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], f"{log_group.log_group_arn}:*")


def audit(source: Location, destination: Location) -> list[iam.PolicyStatement]:
    """Return the permissions to list both locations and to read the destination."""
    return [
        _allow("ListSource", ["s3:ListBucket"], source.bucket.bucket_arn),
        _allow("ReadDestination", ["s3:GetObject"], destination.objects_arn),
        _allow("ListDestination", ["s3:ListBucket"], destination.bucket.bucket_arn),
        *_key("DecryptDestination", ["kms:Decrypt"], destination),
    ]


def run_function(log_group: logs.ILogGroup, *, in_vpc: bool) -> list[iam.PolicyStatement]:
    """Return the permissions that each function needs: write logs and, in a VPC, manage network interfaces.

    The resource is "*", because the interfaces do not exist yet when the policy is written:
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
    """
    statements = [write_logs(log_group)]
    if in_vpc:
        statements.append(
            _allow("JoinNetwork", [f"ec2:{action}" for action in (*INTERFACE_ACTIONS, *ADDRESS_ACTIONS)], "*")
        )
    return statements


def deny_network(function: lambda_.IFunction) -> iam.PolicyStatement:
    """Return the denial of network interfaces for the code of the function: only Lambda itself manages them.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-best-practice
    """
    return iam.PolicyStatement(
        sid="LeaveNetwork",
        effect=iam.Effect.DENY,
        actions=[f"ec2:{action}" for action in (*INTERFACE_ACTIONS, "DetachNetworkInterface", *ADDRESS_ACTIONS)],
        resources=["*"],
        conditions={"ArnEquals": {"lambda:SourceFunctionArn": [function.function_arn]}},
    )


def decrypt(sid: str, bucket: s3.IBucket) -> list[iam.PolicyStatement]:
    """Return the permission to decrypt objects of the bucket; no statement if the bucket has no key."""
    return _key(sid, ["kms:Decrypt"], Location(bucket, ""))


def _key(sid: str, actions: Iterable[str], location: Location) -> list[iam.PolicyStatement]:
    """Return the permission to use the bucket's key, through S3 only; no statement if the bucket has no key."""
    key: kms.IKey | None = location.bucket.encryption_key
    if key is None:
        return []
    through = f"s3.{location.bucket.env.region}.amazonaws.com"
    return [_allow(sid, actions, key.key_arn, conditions={"StringEquals": {"kms:ViaService": through}})]


def _allow(
    sid: str, actions: Iterable[str], *resources: str, conditions: dict[str, dict[str, str]] | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, actions=list(actions), resources=list(resources), conditions=conditions)


# S3 deletes a job 90 days after its end. The report is kept as long.
REPORT_RETENTION: Final = Duration.days(90)


class BatchJobs(Construct):
    """What a job of S3 Batch Operations needs: `role`, and `bucket` for manifests and reports.

    The role may call the function, read manifests and inventories, and write reports.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-iam-role-policies.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        function: lambda_.IFunction,
        inventories: Sequence[s3.IBucket] = (),
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
        emptied: bool = False,
    ) -> None:
        super().__init__(scope, id)
        self.bucket = bucket(self, "Bucket", removal_policy=removal_policy, expires=REPORT_RETENTION, emptied=emptied)
        manifests = [self.bucket.arn_for_objects("manifests/*"), *(each.arn_for_objects("*") for each in inventories)]
        statements = [
            _allow("CallFunction", ["lambda:InvokeFunction"], function.function_arn),
            _allow("ReadManifests", ["s3:GetObject", "s3:GetObjectVersion"], *manifests),
            _allow("WriteReports", ["s3:PutObject"], self.bucket.arn_for_objects("reports/*")),
            *(
                statement
                for number, each in enumerate(inventories)
                for statement in decrypt(f"DecryptInventory{number}", each)
            ),
        ]
        self.role = role(self, "Role", statements, service="batchoperations.s3.amazonaws.com")
        acknowledge(self.bucket, {"S1": ACCESS_LOGS})
        acknowledge_wildcards(self.role, statements)
