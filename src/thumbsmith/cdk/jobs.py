"""What a job of S3 Batch Operations needs: a role, and a bucket for its manifests and reports.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-iam-role-policies.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from constructs import Construct

from thumbsmith.cdk import permissions
from thumbsmith.cdk.acknowledgements import ACCESS_LOGS, acknowledge, acknowledge_wildcards
from thumbsmith.cdk.buckets import bucket

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
            _allow("CallFunction", ["lambda:InvokeFunction"], [function.function_arn]),
            _allow("ReadManifests", ["s3:GetObject", "s3:GetObjectVersion"], manifests),
            _allow("WriteReports", ["s3:PutObject"], [self.bucket.arn_for_objects("reports/*")]),
            *(
                statement
                for number, each in enumerate(inventories)
                for statement in permissions.decrypt(f"DecryptInventory{number}", each)
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


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, actions=list(actions), resources=list(resources))
