"""Where requests to S3 go, where the environment alone says so."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

# Variables that say nothing about requests to S3, or are understood here. With any other one whose name begins with
# AWS_, or with a proxy, botocore is asked, which knows what it means.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html (what Lambda sets)
# https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html (what AWS's tools understand)
_UNDERSTOOD: Final = re.compile(
    r"AWS_(?:ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|ENDPOINT_URL|CA_BUNDLE|REGION|DEFAULT_REGION"
    r"|ACCESS_KEY|SECRET_KEY|ACCOUNT_ID|CONFIG_FILE|SHARED_CREDENTIALS_FILE|DEFAULT_OUTPUT|PAGER|EXECUTION_ENV"
    r"|(?:LAMBDA|XRAY|EC2_METADATA|METADATA_SERVICE|CONTAINER|CDK)_\w+|ENDPOINT_URL_(?!S3)\w+)"
)

# The regions of AWS itself; China's, the governments' and others have other addresses.
# botocore/data/partitions.json, "regionRegex" of the partition "aws"
_REGION: Final = re.compile(r"(?:us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d+")

# Directory buckets want sessions, and buckets on Outposts have other addresses.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_SPECIAL: Final = re.compile(r".*--[a-z0-9]+-s3")

# Names that can be a part of a host's name under one certificate: those with dots cannot.
_HOST: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")

# What RFC 3986 calls unreserved stands as it is in a path, and the slash.
_PLAIN: Final = "/-_.~"


@dataclass(frozen=True, slots=True)
class Site:
    """One S3: AWS's in `region`, or the server at `endpoint`, scheme and host, which is then signed for `region`.

    `authorities` is the file of those that its certificate is checked against, None for AWS's tools' own.
    """

    region: str
    endpoint: str | None = None
    authorities: str | None = None

    @property
    def url(self) -> str:
        """Return the address without any bucket: https://s3.eu-west-1.amazonaws.com."""
        return self.endpoint or f"https://s3.{self.region}.amazonaws.com"

    @property
    def secure(self) -> bool:
        """Return whether connections are by TLS."""
        return self.url.startswith("https:")

    def place(self, bucket: str, key: str | None) -> tuple[str, str]:
        """Return host and path of an object, of the bucket for None. The path holds the key as it is, encoded once."""
        host = self.url.partition("://")[2]
        path = "/" if key is None else "/" + quote(key, safe=_PLAIN)
        if self.endpoint or not _HOST.fullmatch(bucket):
            return host, f"/{bucket}" if key is None else f"/{bucket}{path}"
        return f"{bucket}.{host}", path


def is_region(name: str) -> bool:
    """Return whether this is how AWS itself names regions."""
    return _REGION.fullmatch(name) is not None


def site(bucket: str, region: str | None, settings: Mapping[str, str]) -> Site | None:
    """Return where requests for a bucket go by these variables; None where more than they has to be known.

    `settings` are the variables of the environment that say something to AWS's tools. None is the answer too where
    they hold no credentials. On macOS a proxy need not stand in the environment.
    """
    keys = settings.get("AWS_ACCESS_KEY_ID") and settings.get("AWS_SECRET_ACCESS_KEY")
    plain = all(
        _UNDERSTOOD.fullmatch(name) and value.isascii() and value.isprintable() for name, value in settings.items()
    )
    if not keys or not plain or not region or _SPECIAL.fullmatch(bucket):
        return None
    endpoint, authorities = settings.get("AWS_ENDPOINT_URL"), settings.get("AWS_CA_BUNDLE") or None
    if endpoint:
        return Site(region, endpoint.rstrip("/"), authorities) if _is_plain(endpoint) else None
    return Site(region, None, authorities) if is_region(region) and sys.platform != "darwin" else None


def _is_plain(endpoint: str) -> bool:
    """Return whether an address is a scheme and a host and nothing else, and not AWS's own."""
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    more = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    return parts.scheme in {"http", "https"} and bool(host) and not more and "amazonaws." not in (host or "")
