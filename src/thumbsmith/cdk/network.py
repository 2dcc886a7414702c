"""Locations in buckets, and networks without access to the internet.

Both are checked at synthesis: locations must not overlap, and a network must reach the services that a function needs.
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
from thumbsmith.events import not_a_bucket

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
MAX_KEY_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class Location:
    """A bucket and a prefix in it, which is empty or ends in "/". With `requester_pays`, the function pays requests."""

    bucket: s3.IBucket
    prefix: str
    requester_pays: bool = False

    @property
    def objects_arn(self) -> str:
        """Return the ARN of all objects of the location."""
        return self.bucket.arn_for_objects(f"{self.prefix}*")

    @property
    def url(self) -> str:
        """Return the address that the function opens. Requests require that the bucket belongs to its account.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
        """
        payer = "&payer=requester" if self.requester_pays else ""
        return f"s3://{self.bucket.bucket_name}/{self.prefix}?owner={self.bucket.env.account}{payer}"


def location(bucket: s3.IBucket, prefix: str, name: str) -> Location:
    """Return the location. `name` is the prop. Raises UsageError for a value that is no bucket, and for a bad prefix.

    A prefix must be empty or end in "/", and must not contain characters with a meaning in policies.
    """
    props.bucket(name, bucket)
    if isinstance(bucket.bucket_name, str) and (kind := not_a_bucket(bucket.bucket_name)):
        raise UsageError(f"{name}: expected a bucket, found {kind}: name the bucket itself")
    if not isinstance(prefix, str):
        raise UsageError(f"{name}_prefix: expected a text that ends in '/', found {prefix!r}")
    if len(prefix.encode()) > MAX_KEY_BYTES:
        raise UsageError(f"{name}_prefix: expected at most {MAX_KEY_BYTES} bytes, as a key of S3 may have, found more")
    if prefix and not prefix.endswith("/"):
        raise UsageError(f"{name}_prefix: expected nothing, or a prefix that ends in '/', found {prefix!r}")
    if "*" in prefix or "?" in prefix or "$" in prefix:  # these have a meaning in policies
        raise UsageError(f"{name}_prefix: expected a prefix without '*', '?' and '$', found {prefix!r}")
    return Location(bucket, prefix)


def require_disjoint(source: Location, destination: Location) -> None:
    """Raise UsageError if one location lies in the other: thumbnails would become sources of more thumbnails."""
    if overlaps(source, destination):
        raise UsageError(
            "source and destination overlap: expected two buckets, or two prefixes of one bucket of which neither lies"
            f" in the other, found {source.prefix or 'the whole bucket'!r} and"
            f" {destination.prefix or 'the whole bucket'!r} of one bucket"
        )


def overlaps(one: Location, other: Location) -> bool:
    """Return whether both are in one bucket, and one prefix begins with the other."""
    nested = one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
    return nested and same_bucket(one.bucket, other.bucket)


def same_bucket(one: s3.IBucket, other: s3.IBucket) -> bool:
    """Return whether both are one bucket. A name that only deployment knows is one token for one bucket."""
    return one.bucket_arn == other.bucket_arn or not _names(one).isdisjoint(_names(other))


def _names(bucket: s3.IBucket) -> set[str]:
    """Return the name of the bucket and, if the app creates the bucket, the name that the app gives it."""
    created = bucket.node.default_child
    given = created.bucket_name if isinstance(created, s3.CfnBucket) else None
    return {bucket.bucket_name} | ({given} if given else set())


class IsolatedNetwork(Construct):
    """A `vpc` with isolated subnets only. Functions in it reach the buckets given, and nothing else.

    Lambda itself polls the queue and writes logs, from outside the network:
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
        """Create the network.

        `max_azs`: number of availability zones. `dynamodb`: also reach tables of this account and region, as a
        catalogue requires. `sqs`: also send messages to queues of this account and region, as a ThumbnailTask with
        `route` requires. Endpoints for S3 and DynamoDB cost nothing. The endpoint for SQS costs about $7 a month in
        each zone.

        Raises UsageError for a value that is not a list of buckets, and for a value that AWS would refuse.
        """
        super().__init__(scope, id)
        self.buckets = [props.bucket("buckets", each) for each in props.sequence("buckets", buckets, "photos, thumbs")]
        if not self.buckets:
            raise UsageError("buckets: expected at least one, else the network reaches nothing")
        props.integer("max_azs", max_azs, 1, 6)
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
        self.s3.add_to_policy(_allow_all_principals(["s3:ListBucket"], [bucket.bucket_arn for bucket in self.buckets]))
        objects = ["s3:GetObject", "s3:GetObjectTagging", "s3:PutObject", "s3:DeleteObject"]
        self.s3.add_to_policy(_allow_all_principals(objects, [bucket.arn_for_objects("*") for bucket in self.buckets]))
        if dynamodb:
            tables = Stack.of(self).format_arn(service="dynamodb", resource="table", resource_name="*")
            self.dynamodb = self.vpc.add_gateway_endpoint("Tables", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
            self.dynamodb.add_to_policy(_allow_all_principals(["dynamodb:PutItem", "dynamodb:DeleteItem"], [tables]))
        if sqs:
            queues = Stack.of(self).format_arn(service="sqs", resource="*")
            self.sqs = self.vpc.add_interface_endpoint("Queues", service=ec2.InterfaceVpcEndpointAwsService.SQS)
            self.sqs.add_to_policy(_allow_all_principals(["sqs:SendMessage"], [queues]))


def require_endpoints(vpc: ec2.IVpc, services: Sequence[str], why: str) -> None:
    """Raise UsageError if a network of the app has no endpoint for a service. Imported networks are not checked.

    The app must create an endpoint before the construct that needs it.
    """
    if not isinstance(vpc, ec2.Vpc):
        return
    endpoints = (each for each in vpc.node.root.node.find_all() if isinstance(each, ec2.CfnVPCEndpoint))
    names = [each.service_name or "" for each in endpoints if each.vpc_id == vpc.vpc_id]
    for service in services:
        if not any(re.search(rf"\.{re.escape(service)}(?![a-z0-9-])", name) for name in names):
            prop = f" (IsolatedNetwork: {service}=True)" if service in {"dynamodb", "sqs"} else ""
            raise UsageError(
                f"vpc: expected an endpoint for {service}{prop} in a network without internet access: {why}"
            )


def require_buckets(vpc: ec2.IVpc, buckets: Sequence[s3.IBucket]) -> None:
    """Raise UsageError if the network is an IsolatedNetwork that does not reach all of these buckets."""
    if not isinstance(vpc, ec2.Vpc) or not isinstance(vpc.node.scope, IsolatedNetwork):
        return
    for each in buckets:
        if not any(same_bucket(each, known) for known in vpc.node.scope.buckets):
            raise UsageError("vpc: expected source and destination among the buckets of its IsolatedNetwork")


def _allow_all_principals(actions: list[str], resources: list[str]) -> iam.PolicyStatement:
    """Return what may pass the endpoint. Roles and bucket policies decide who may do it."""
    return iam.PolicyStatement(principals=[iam.AnyPrincipal()], actions=actions, resources=resources)
