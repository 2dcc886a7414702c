"""Requests that somebody without credentials can make to S3, for a while: signed here, sent there.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from thumbsmith.store.s3 import S3Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Leave to upload one file: under this key, of this media type and so many bytes, until a time of the clock."""

    key: str
    type: str
    bytes: int
    replace: bool
    until: float


@dataclass(frozen=True, slots=True)
class Presigned:
    """A request: its URL, and the headers that it has to have."""

    url: str
    headers: Mapping[str, str]


def presigned_put(store: S3Store, grant: Grant, seconds: int) -> Presigned:
    """Return a request that uploads one file, once. Raises StoreError where there are no credentials to sign it with.

    `If-None-Match: *` lets S3 refuse where there is an object (412); that, the length and the type are signed.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    parameters: dict[str, Any] = {
        **_place(store, grant.key),
        "ContentType": grant.type,
        "ContentLength": grant.bytes,
        **({} if grant.replace else {"IfNoneMatch": "*"}),
    }
    url = store.client.presigned("put_object", f"{store.url}/{grant.key}", parameters, seconds)
    once = {} if grant.replace else {"If-None-Match": "*"}
    return Presigned(url, {"Content-Type": grant.type, **once, **_owner(store)})


def presigned_get(store: S3Store, key: str, seconds: int) -> str:
    """Return the URL of a request that reads one object. Raises StoreError as above.

    Whoever follows a redirect there sends no headers of S3's: that the bucket is its owner's is not asked.
    """
    parameters = {"Bucket": store.bucket, "Key": store.prefix + key}
    return store.client.presigned("get_object", f"{store.url}/{key}", parameters, seconds)


def _place(store: S3Store, key: str) -> dict[str, str]:
    owner = {"ExpectedBucketOwner": store.owner} if store.owner else {}
    return {"Bucket": store.bucket, "Key": store.prefix + key, **owner}


def _owner(store: S3Store) -> dict[str, str]:
    return {"x-amz-expected-bucket-owner": store.owner} if store.owner else {}
