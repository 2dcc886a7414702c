"""Buckets that are made here."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct


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
