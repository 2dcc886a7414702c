"""Where requests to S3 go, where the environment alone says so.

How requests to S3, and to AWS's other services, are made, whichever way: how often, how long, and how much.

What S3's refusals mean to a caller: one sentence, and whether trying again may help.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from thumbsmith.errors import S3Error, StoreError
from thumbsmith.store.base import printable

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


# How often a request is made in all before it has failed; each pause in between is a random share of a longer time.
# No further attempt is begun once WINDOW seconds have passed since the first.
ATTEMPTS: Final = 5
FIRST_PAUSE: Final = 0.1
WINDOW: Final = 30.0

# Seconds in which a connection has to be made, and for which nothing may come or go.
CONNECT_TIMEOUT: Final = 5.0
READ_TIMEOUT: Final = 30.0

# The seconds of one request, from looking up the host's name to the last byte of the answer: so many, and one more for
# every SLOWEST bytes that came or went. 16 KiB a second is a mobile connection of the slowest kind.
REQUEST_TIMEOUT: Final = 30.0
SLOWEST: Final = 16 << 10

# Connections kept open for the threads: as many requests at once as a process makes.
CONNECTIONS: Final = 64

# Bytes of a body that are read at most: of an answer to a request without a range, and of a refusal. A page of 1,000
# keys of 1,024 bytes, each of them percent-encoded, is about 4 MB.
LARGEST_BODY: Final = 8 << 20
LARGEST_ERROR: Final = 64 << 10

# Bytes of an answer besides its body: http.client takes 100 headers of 64 KiB each, S3 sends 8 KiB at most.
LARGEST_HEAD: Final = 256 << 10


# Codes that S3 sends with a status of the 400s although the request was in order.
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_PASSING: Final = frozenset({"BadDigest", "IncompleteBody", "RequestTimeout", "Throttling", "ThrottlingException"})

# What an IAM policy has to allow for an operation.
_ACTIONS: Final = {
    "head_object": "s3:GetObject",
    "get_object": "s3:GetObject",
    "get_object_tagging": "s3:GetObjectTagging",
    "put_object": "s3:PutObject",
    "delete_object": "s3:DeleteObject",
    "list_objects_v2": "s3:ListBucket",
}

# Text of a server is cut off after this number of characters.
_MAX_WORDS: Final = 300

_ADVICE: Final = {
    "NoSuchBucket": "there is no such bucket",
    "PermanentRedirect": "the bucket is in another region: set AWS_REGION to it",
    "AuthorizationHeaderMalformed": "the bucket is in another region: set AWS_REGION to it",
    "InvalidAccessKeyId": "the access key is not known: check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the signature does not match: check AWS_SECRET_ACCESS_KEY",
    "InvalidToken": "the session token is not valid: check AWS_SESSION_TOKEN",
    "ExpiredToken": "the credentials have expired: get new ones",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
}


def refused(subject: str, operation: str, *, status: int, code: str, message: str, owner: str | None = None) -> S3Error:
    """Return what S3 answered to an operation of botocore's on `subject`, as an error with one sentence.

    `owner` is the account that the bucket had to belong to, where the request said so.
    """
    code, message = words(code), words(message)
    answer = str(status) if code == str(status) else f"{status} {code}"
    told = f"{answer}: {message}" if message else answer
    if code in _ADVICE:
        sentence = f"{_ADVICE[code]} ({answer})"
    elif status == 403:
        whose = f"; the bucket has to belong to account {owner} (?owner=)" if owner else ""
        sentence = f"{_forbidden(operation)}{whose} ({told})"
    elif (status, operation) == (
        400,
        "head_object",
    ):  # an answer to HEAD has no words; S3 gives this one for nothing else
        sentence = f"it is encrypted with a customer's key (SSE-C), and S3 serves it only with that key ({answer})"
    else:
        sentence = told
    transient = status in {408, 409, 429} or status >= 500 or code in _PASSING
    return S3Error(f"{subject}: {sentence}", status=status, code=code, transient=transient)


def broken_off(subject: str, problem: Exception) -> StoreError:
    """Return what it means that a connection breaks off, or that what comes over it is too slow or too long."""
    how = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    return StoreError(f"{subject}: the connection broke off: {words(how) or type(problem).__name__}", transient=True)


def unreachable(subject: str, endpoint: str, problem: Exception) -> StoreError:
    """Return what it means that no connection can be made."""
    return StoreError(f"{subject}: Could not connect to {endpoint}: {words(str(problem))}", transient=True)


def words(text: str) -> str:
    """Return what a server said, in one line that a terminal shows and does not act on, of a bounded length."""
    line = " ".join(text.split())
    return printable(line if len(line) <= _MAX_WORDS else f"{line[:_MAX_WORDS]}...")


def _forbidden(operation: str) -> str:
    action = _ACTIONS[operation]
    if action != "s3:GetObject":
        return f"access denied: grant {action}"
    return (
        "access denied: grant s3:GetObject, and s3:ListBucket on the bucket, "
        "without which S3 answers so for an object that is not there too"
    )
