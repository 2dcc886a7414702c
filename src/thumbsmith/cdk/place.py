"""Where sources are and thumbnails go: a bucket and a prefix, checked when the app is synthesized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aws_cdk import aws_s3 as s3

from thumbsmith.cdk import props
from thumbsmith.errors import RecipeError

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
    """Return the place. Raises RecipeError for what is no bucket, and for a prefix that is no folder of keys."""
    props.bucket(what, bucket)
    if not isinstance(prefix, str):
        raise RecipeError(f"{what}_prefix: expected a text that ends in '/', found {prefix!r}")
    if len(prefix.encode()) > KEY_BYTES:
        raise RecipeError(f"{what}_prefix: expected at most {KEY_BYTES} bytes, as a key of S3 holds, found more")
    if prefix and not prefix.endswith("/"):
        raise RecipeError(f"{what}_prefix: expected nothing, or a prefix that ends in '/', found {prefix!r}")
    if "*" in prefix or "?" in prefix or "$" in prefix:  # they mean something in a policy
        raise RecipeError(f"{what}_prefix: expected a prefix without '*', '?' and '$', found {prefix!r}")
    return Place(bucket, prefix)


def keep_apart(source: Place, destination: Place) -> None:
    """Raise RecipeError where one place lies in the other: each thumbnail would be a source of further ones."""
    if overlap(source, destination):
        raise RecipeError(
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
