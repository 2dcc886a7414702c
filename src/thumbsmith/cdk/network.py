"""A network without a way to the internet: S3 and DynamoDB are reached by endpoints that cost nothing."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct


class IsolatedNetwork(Construct):
    """`vpc` with isolated subnets alone, from which the named buckets can be reached, and nothing else.

    The queue is polled, and logs are written, by Lambda itself, from outside:
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc-internet.html
    """

    def __init__(
        self, scope: Construct, id: str, *, buckets: Sequence[s3.IBucket], max_azs: int = 2, dynamodb: bool = False
    ) -> None:
        """Make the network; with `dynamodb`, tables of this account and region can be reached too, for a catalogue."""
        super().__init__(scope, id)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=max_azs,
            nat_gateways=0,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="Isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24)
            ],
            flow_logs={"Rejects": ec2.FlowLogOptions(traffic_type=ec2.FlowLogTrafficType.REJECT)},
        )
        self.s3 = self.vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        self.s3.add_to_policy(_anyone(["s3:ListBucket"], [bucket.bucket_arn for bucket in buckets]))
        objects = ["s3:GetObject", "s3:GetObjectTagging", "s3:PutObject", "s3:DeleteObject"]
        self.s3.add_to_policy(_anyone(objects, [bucket.arn_for_objects("*") for bucket in buckets]))
        if dynamodb:
            tables = Stack.of(self).format_arn(service="dynamodb", resource="table", resource_name="*")
            self.dynamodb = self.vpc.add_gateway_endpoint("Tables", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
            self.dynamodb.add_to_policy(_anyone(["dynamodb:PutItem", "dynamodb:DeleteItem"], [tables]))


def _anyone(actions: list[str], resources: list[str]) -> iam.PolicyStatement:
    """Return what may pass: whose it is, is decided by roles and buckets."""
    return iam.PolicyStatement(principals=[iam.AnyPrincipal()], actions=actions, resources=resources)
