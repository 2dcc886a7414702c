"""A network without a way to the internet: services are reached by endpoints."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from thumbsmith.cdk import props
from thumbsmith.cdk.place import same
from thumbsmith.errors import RecipeError


class IsolatedNetwork(Construct):
    """`vpc` with isolated subnets alone, from which the named buckets can be reached, and nothing else.

    The queue is polled, and logs are written, by Lambda itself, from outside:
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc-internet.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        buckets: Sequence[s3.IBucket],
        max_azs: int = 2,
        dynamodb: bool = False,
        sqs: bool = False,
    ) -> None:
        """Make the network.

        With `dynamodb`, tables of this account and region can be reached too: a catalogue needs that. With `sqs`,
        messages can be sent to queues of this account and region: a ThumbnailTask with `route` needs that. Endpoints
        for S3 and DynamoDB cost nothing; the one for SQS costs about $7 a month in each zone.

        Raises RecipeError for what is no list of buckets, and for a value that AWS would refuse.
        """
        super().__init__(scope, id)
        self.buckets = [props.bucket("buckets", each) for each in props.several("buckets", buckets, "photos, thumbs")]
        if not self.buckets:
            raise RecipeError("buckets: expected at least one, else nothing can be reached")
        props.whole("max_azs", max_azs, 1, 6)
        props.flags(dynamodb=dynamodb, sqs=sqs)
        rejects = logs.LogGroup(
            self, "Rejects", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
        )
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=max_azs,
            nat_gateways=0,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="Isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24)
            ],
            flow_logs={
                "Rejects": ec2.FlowLogOptions(
                    traffic_type=ec2.FlowLogTrafficType.REJECT,
                    destination=ec2.FlowLogDestination.to_cloud_watch_logs(rejects),
                )
            },
        )
        self.s3 = self.vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        self.s3.add_to_policy(_anyone(["s3:ListBucket"], [bucket.bucket_arn for bucket in self.buckets]))
        objects = ["s3:GetObject", "s3:GetObjectTagging", "s3:PutObject", "s3:DeleteObject"]
        self.s3.add_to_policy(_anyone(objects, [bucket.arn_for_objects("*") for bucket in self.buckets]))
        if dynamodb:
            tables = Stack.of(self).format_arn(service="dynamodb", resource="table", resource_name="*")
            self.dynamodb = self.vpc.add_gateway_endpoint("Tables", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
            self.dynamodb.add_to_policy(_anyone(["dynamodb:PutItem", "dynamodb:DeleteItem"], [tables]))
        if sqs:
            queues = Stack.of(self).format_arn(service="sqs", resource="*")
            self.sqs = self.vpc.add_interface_endpoint("Queues", service=ec2.InterfaceVpcEndpointAwsService.SQS)
            self.sqs.add_to_policy(_anyone(["sqs:SendMessage"], [queues]))


def require_endpoints(vpc: ec2.IVpc, services: Sequence[str], why: str) -> None:
    """Raise RecipeError where a network that the app makes has no endpoint for a service. No imported one is judged.

    An endpoint has to be made before the construct that needs it.
    """
    if not isinstance(vpc, ec2.Vpc):
        return
    every = (each for each in vpc.node.root.node.find_all() if isinstance(each, ec2.CfnVPCEndpoint))
    names = [each.service_name or "" for each in every if each.vpc_id == vpc.vpc_id]
    for service in services:
        if not any(re.search(rf"\.{re.escape(service)}(?![a-z0-9-])", name) for name in names):
            prop = f" (IsolatedNetwork: {service}=True)" if service in {"dynamodb", "sqs"} else ""
            raise RecipeError(f"vpc: expected an endpoint for {service}{prop} in a network without a way out: {why}")


def require_buckets(vpc: ec2.IVpc, buckets: Sequence[s3.IBucket]) -> None:
    """Raise RecipeError where an IsolatedNetwork lets through other buckets than these."""
    if not isinstance(vpc, ec2.Vpc) or not isinstance(vpc.node.scope, IsolatedNetwork):
        return
    for each in buckets:
        if not any(same(each, known) for known in vpc.node.scope.buckets):
            raise RecipeError("vpc: expected source and destination among the buckets of its IsolatedNetwork")


def _anyone(actions: list[str], resources: list[str]) -> iam.PolicyStatement:
    """Return what may pass the endpoint. Roles and bucket policies decide on who may do it."""
    return iam.PolicyStatement(principals=[iam.AnyPrincipal()], actions=actions, resources=resources)
