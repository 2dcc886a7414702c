"""Where sources are and thumbnails go: a bucket and a prefix, checked when the app is synthesized.

A network without a way to the internet: services are reached by endpoints.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from thumbsmith.cdk import props
from thumbsmith.errors import UsageError

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
KEY_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket and a prefix within it: empty, or ending in "/"."""

    bucket: s3.IBucket
    prefix: str

    @property
    def objects_arn(self) -> str:
        """Return the ARN of all objects in it."""
        return self.bucket.arn_for_objects(f"{self.prefix}*")

    @property
    def url(self) -> str:
        """Return its address as the function opens it, on the condition that the bucket belongs to its account.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
        """
        return f"s3://{self.bucket.bucket_name}/{self.prefix}?owner={self.bucket.env.account}"


def place(bucket: s3.IBucket, prefix: str, what: str) -> Place:
    """Return the place. Raises UsageError for what is no bucket, and for a prefix that is no folder of keys."""
    props.bucket(what, bucket)
    if not isinstance(prefix, str):
        raise UsageError(f"{what}_prefix: expected a text that ends in '/', found {prefix!r}")
    if len(prefix.encode()) > KEY_BYTES:
        raise UsageError(f"{what}_prefix: expected at most {KEY_BYTES} bytes, as a key of S3 holds, found more")
    if prefix and not prefix.endswith("/"):
        raise UsageError(f"{what}_prefix: expected nothing, or a prefix that ends in '/', found {prefix!r}")
    if "*" in prefix or "?" in prefix or "$" in prefix:  # they mean something in a policy
        raise UsageError(f"{what}_prefix: expected a prefix without '*', '?' and '$', found {prefix!r}")
    return Place(bucket, prefix)


def keep_apart(source: Place, destination: Place) -> None:
    """Raise UsageError where one place lies in the other: each thumbnail would be a source of further ones."""
    if overlap(source, destination):
        raise UsageError(
            "source and destination overlap: expected two buckets, or two prefixes of one bucket of which neither lies"
            f" in the other, found {source.prefix or 'the whole bucket'!r} and"
            f" {destination.prefix or 'the whole bucket'!r} of one bucket"
        )


def overlap(one: Place, other: Place) -> bool:
    """Return whether both are in one bucket, and one prefix holds the other."""
    nested = one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
    return nested and same(one.bucket, other.bucket)


def same(one: s3.IBucket, other: s3.IBucket) -> bool:
    """Return whether both are one bucket: a name that is not known before deployment is one text for one bucket."""
    return one.bucket_arn == other.bucket_arn or not _names(one).isdisjoint(_names(other))


def _names(bucket: s3.IBucket) -> set[str]:
    """Return the bucket's name as the app speaks of it and, of a bucket that the app makes, as it was given."""
    made = bucket.node.default_child
    given = made.bucket_name if isinstance(made, s3.CfnBucket) else None
    return {bucket.bucket_name} | ({given} if given else set())


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

        Raises UsageError for what is no list of buckets, and for a value that AWS would refuse.
        """
        super().__init__(scope, id)
        self.buckets = [props.bucket("buckets", each) for each in props.several("buckets", buckets, "photos, thumbs")]
        if not self.buckets:
            raise UsageError("buckets: expected at least one, else nothing can be reached")
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
    """Raise UsageError where a network that the app makes has no endpoint for a service. No imported one is judged.

    An endpoint has to be made before the construct that needs it.
    """
    if not isinstance(vpc, ec2.Vpc):
        return
    every = (each for each in vpc.node.root.node.find_all() if isinstance(each, ec2.CfnVPCEndpoint))
    names = [each.service_name or "" for each in every if each.vpc_id == vpc.vpc_id]
    for service in services:
        if not any(re.search(rf"\.{re.escape(service)}(?![a-z0-9-])", name) for name in names):
            prop = f" (IsolatedNetwork: {service}=True)" if service in {"dynamodb", "sqs"} else ""
            raise UsageError(f"vpc: expected an endpoint for {service}{prop} in a network without a way out: {why}")


def require_buckets(vpc: ec2.IVpc, buckets: Sequence[s3.IBucket]) -> None:
    """Raise UsageError where an IsolatedNetwork lets through other buckets than these."""
    if not isinstance(vpc, ec2.Vpc) or not isinstance(vpc.node.scope, IsolatedNetwork):
        return
    for each in buckets:
        if not any(same(each, known) for known in vpc.node.scope.buckets):
            raise UsageError("vpc: expected source and destination among the buckets of its IsolatedNetwork")


def _anyone(actions: list[str], resources: list[str]) -> iam.PolicyStatement:
    """Return what may pass the endpoint. Roles and bucket policies decide on who may do it."""
    return iam.PolicyStatement(principals=[iam.AnyPrincipal()], actions=actions, resources=resources)
