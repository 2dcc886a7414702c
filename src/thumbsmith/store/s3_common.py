"""What all requests to S3 share: the endpoint, limits of time and size, and the meaning of errors."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit

from thumbsmith.errors import S3Error, StoreError
from thumbsmith.store.base import printable_key

# Variables that do not affect requests to S3, or that this module understands. With any other variable whose name
# begins with AWS_, or with a proxy, botocore sends the requests.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html (the variables of Lambda)
# https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html (the variables of the tools of AWS)
_UNDERSTOOD: Final = re.compile(
    r"AWS_(?:ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|ENDPOINT_URL|CA_BUNDLE|REGION|DEFAULT_REGION"
    r"|ACCESS_KEY|SECRET_KEY|ACCOUNT_ID|CONFIG_FILE|SHARED_CREDENTIALS_FILE|DEFAULT_OUTPUT|PAGER|EXECUTION_ENV"
    r"|(?:LAMBDA|XRAY|EC2_METADATA|METADATA_SERVICE|CONTAINER|CDK)_\w+|ENDPOINT_URL_(?!S3)\w+)"
)

# The regions of the partition "aws"; those of China, governments and others have other addresses.
# botocore/data/partitions.json, "regionRegex" of the partition "aws"
_REGION: Final = re.compile(r"(?:us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d+")

# Directory buckets need sessions, and buckets on Outposts have other addresses.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_SPECIAL_BUCKET: Final = re.compile(r".*--[a-z0-9]+-s3")

# Names of buckets that can be part of a host name under one certificate. Names with dots cannot.
_HOST_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")

# The unreserved characters of RFC 3986 and the slash are not encoded in a path.
_UNENCODED: Final = "/-_.~"


@dataclass(frozen=True, slots=True)
class S3Endpoint:
    """S3 of AWS in `region`, or the server at `endpoint` (scheme and host), with requests signed for `region`.

    `authorities` is the file of certificate authorities, None for those of botocore.
    """

    region: str
    endpoint: str | None = None
    authorities: str | None = None

    @property
    def url(self) -> str:
        """Return the address without a bucket: https://s3.eu-west-1.amazonaws.com."""
        return self.endpoint or f"https://s3.{self.region}.amazonaws.com"

    @property
    def secure(self) -> bool:
        """Return whether connections use TLS."""
        return self.url.startswith("https:")

    def host_and_path(self, bucket: str, key: str | None) -> tuple[str, str]:
        """Return host and path of an object, or of the bucket where the key is None. The key is encoded once."""
        host = self.url.partition("://")[2]
        path = "/" if key is None else "/" + quote(key, safe=_UNENCODED)
        if self.endpoint or not _HOST_LABEL.fullmatch(bucket):
            return host, f"/{bucket}" if key is None else f"/{bucket}{path}"
        return f"{bucket}.{host}", path


def is_region(name: str) -> bool:
    """Return whether this is a name of a region of the partition "aws"."""
    return _REGION.fullmatch(name) is not None


def direct_endpoint(bucket: str, region: str | None, settings: Mapping[str, str]) -> S3Endpoint | None:
    """Return the endpoint for a bucket by these environment variables alone; None where botocore must find it.

    `settings` are the variables that the tools of AWS read. None is returned too where they contain no credentials. On
    macOS a proxy need not be in the environment.
    """
    keys = settings.get("AWS_ACCESS_KEY_ID") and settings.get("AWS_SECRET_ACCESS_KEY")
    plain = all(
        _UNDERSTOOD.fullmatch(name) and value.isascii() and value.isprintable() for name, value in settings.items()
    )
    if not keys or not plain or not region or _SPECIAL_BUCKET.fullmatch(bucket):
        return None
    endpoint, authorities = settings.get("AWS_ENDPOINT_URL"), settings.get("AWS_CA_BUNDLE") or None
    if endpoint:
        return S3Endpoint(region, endpoint.rstrip("/"), authorities) if _is_host_only(endpoint) else None
    return S3Endpoint(region, None, authorities) if is_region(region) and sys.platform != "darwin" else None


def _is_host_only(endpoint: str) -> bool:
    """Return whether an address is only a scheme and a host, and not one of AWS."""
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    more = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    return parts.scheme in {"http", "https"} and bool(host) and not more and "amazonaws." not in (host or "")


# A request fails after this many attempts. The pause before each is a random share of a time that doubles. No attempt
# begins later than RETRY_WINDOW_SECONDS after the first.
MAX_ATTEMPTS: Final = 5
FIRST_PAUSE_SECONDS: Final = 0.1
RETRY_WINDOW_SECONDS: Final = 30.0

# Seconds for making a connection, and for waiting until bytes are sent or received.
CONNECT_TIMEOUT_SECONDS: Final = 5.0
READ_TIMEOUT_SECONDS: Final = 30.0

# Seconds for one request, from the lookup of the host name to the last byte of the response, and one more for every
# MIN_BYTES_PER_SECOND bytes that were sent or received. 16 KiB a second is a very slow mobile connection.
REQUEST_TIMEOUT_SECONDS: Final = 30.0
MIN_BYTES_PER_SECOND: Final = 16 << 10

# Idle connections that stay open for each host: as many as a process makes requests at once.
MAX_CONNECTIONS: Final = 64

# Limits of a response body: of a request without a range, and of an error. A page of 1,000 keys of 1,024 bytes, all
# percent-encoded, is about 4 MB.
MAX_BODY_BYTES: Final = 8 << 20
MAX_ERROR_BYTES: Final = 64 << 10

# Limit of a response without its body: http.client accepts 100 headers of 64 KiB each, S3 sends 8 KiB at most.
MAX_HEAD_BYTES: Final = 256 << 10


# Codes that S3 sends with a status of 400 to 499 although a retry may help.
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_TRANSIENT_CODES: Final = frozenset(
    {"BadDigest", "IncompleteBody", "RequestTimeout", "Throttling", "ThrottlingException"}
)

# The action that an IAM policy must allow for an operation.
_ACTIONS: Final = {
    "head_object": "s3:GetObject",
    "get_object": "s3:GetObject",
    "get_object_tagging": "s3:GetObjectTagging",
    "put_object": "s3:PutObject",
    "delete_object": "s3:DeleteObject",
    "list_objects_v2": "s3:ListBucket",
}

# Text of a server is cut off after this number of characters.
_MAX_TEXT_CHARS: Final = 300

_ADVICE: Final = {
    "NoSuchBucket": "there is no such bucket",
    "PermanentRedirect": "the bucket is in another region: set AWS_REGION to it",
    "AuthorizationHeaderMalformed": "the bucket is in another region: set AWS_REGION to it",
    "InvalidAccessKeyId": "the access key is unknown: check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the signature does not match: check AWS_SECRET_ACCESS_KEY",
    "InvalidToken": "the session token is not valid: check AWS_SESSION_TOKEN",
    "ExpiredToken": "the credentials have expired: get new ones",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
}


def s3_error(
    subject: str, operation: str, *, status: int, code: str, message: str, owner: str | None = None
) -> S3Error:
    """Return the error for an answer of S3 to an operation (by its name in botocore) on `subject`.

    `owner` is the account that the bucket must belong to, if the request named one.
    """
    code, message = server_text(code), server_text(message)
    answer = str(status) if code == str(status) else f"{status} {code}"
    full_answer = f"{answer}: {message}" if message else answer
    if code in _ADVICE:
        sentence = f"{_ADVICE[code]} ({answer})"
    elif status == 403:
        whose = f"; the bucket has to belong to account {owner} (?owner=)" if owner else ""
        sentence = f"{_forbidden(operation)}{whose} ({full_answer})"
    elif (status, operation) == (400, "head_object"):  # the answer to HEAD has no body; S3 sends 400 only for SSE-C
        sentence = f"it is encrypted with a customer's key (SSE-C), and S3 serves it only with that key ({answer})"
    else:
        sentence = full_answer
    transient = status in {408, 409, 429} or status >= 500 or code in _TRANSIENT_CODES
    return S3Error(f"{subject}: {sentence}", status=status, code=code, transient=transient)


def connection_broken(subject: str, problem: Exception) -> StoreError:
    """Return the error for a connection that breaks off, or a response that is too slow or too long."""
    reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    return StoreError(
        f"{subject}: the connection broke off: {server_text(reason) or type(problem).__name__}", transient=True
    )


def connection_failed(subject: str, endpoint: str, problem: Exception) -> StoreError:
    """Return the error where no connection can be made."""
    return StoreError(f"{subject}: Could not connect to {endpoint}: {server_text(str(problem))}", transient=True)


def server_text(text: str) -> str:
    """Return text of a server as one printable line of a limited length."""
    line = " ".join(text.split())
    return printable_key(line if len(line) <= _MAX_TEXT_CHARS else f"{line[:_MAX_TEXT_CHARS]}...")


def _forbidden(operation: str) -> str:
    action = _ACTIONS[operation]
    if action != "s3:GetObject":
        return f"access denied: grant {action}"
    return (
        "access denied: grant s3:GetObject, and s3:ListBucket on the bucket, "
        "without which S3 answers so for an object that is not there too"
    )


def modified_seconds(answer: Mapping[str, Any]) -> float | None:
    """Return `LastModified` of an answer in seconds since 1970, or None if it is missing or invalid.

    botocore parses it. In a listing it is an ISO 8601 date, and in a header an HTTP date.
    """
    value = answer.get("LastModified")
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value) if value[:4].isdigit() else parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
    return value.timestamp() if isinstance(value, datetime) else None
