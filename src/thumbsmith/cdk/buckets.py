"""Buckets that are made here."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_s3 as s3
from constructs import Construct


def bucket(scope: Construct, id: str, *, keep: bool = True, expires: Duration | None = None) -> s3.Bucket:
    """Return a new bucket: encrypted, private, reached by TLS alone; it stays when its stack goes, if it is to be kept.

    Uploads in parts that nobody finished go after a week; what is put into it after a time, if it `expires`.
    """
    return s3.Bucket(
        scope,
        id,
        encryption=s3.BucketEncryption.S3_MANAGED,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        lifecycle_rules=[
            s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(7), expiration=expires),
        ],
        removal_policy=RemovalPolicy.RETAIN if keep else RemovalPolicy.DESTROY,
    )
