"""Requests to S3 through botocore: how it is set up, and its errors turned into ours."""

from __future__ import annotations

import contextlib
import random
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from thumbsmith.errors import StoreError
from thumbsmith.store.failures import shown
from thumbsmith.store.s3_failures import refused

# How often a request is made in all before it has failed; botocore waits longer each time, by a random share.
ATTEMPTS: Final = 5
_FIRST_PAUSE: Final = 0.1

# Seconds between two looks at whether an outage is over.
_OUTAGE_PAUSE: Final = (0.5, 2.0)

# Connections kept open for the threads: as many requests at once as a process makes.
_CONNECTIONS: Final = 64

_CONFIG: Final = Config(
    user_agent_extra="thumbsmith",
    signature_version="s3v4",
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    connect_timeout=5,
    read_timeout=30,
    tcp_keepalive=True,
    max_pool_connections=_CONNECTIONS,
    # What is sent is signed with its SHA-256 anyway; checksums on top are not known to every server that speaks S3.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)

# What botocore says about an answer that it cannot read has all of the answer in it: so many characters tell enough.
_MAX_WORDS: Final = 300

# RFC 9110, section 14.4
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")

# Failures that pass: no connection, none in time, one that broke off, an answer that cannot be read, credentials that
# could not be fetched just now.
_PASSING: Final = (NoConnectionError, HTTPClientError, ResponseParserError, CredentialRetrievalError)

# What reading a body raises when the connection breaks off.
_BROKEN_OFF: Final = (HTTPClientError, IncompleteReadError, HTTPError, OSError)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of an object, its etag as S3 wrote it, and the number of bytes in the whole."""

    data: bytes
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class Client:
    """Requests to one S3 with one set of credentials, for all threads.

    `s3` is botocore's client; `patience` the seconds that a failure which passes is waited out, on top of botocore's
    own attempts, once anything was answered at all: what a run over a whole bucket wants, and a function that is paid
    by the second does not.
    """

    s3: Any
    patience: float = 0.0
    _heard: threading.Event = field(default_factory=threading.Event)

    @property
    def endpoint(self) -> str:
        """Return the address that requests go to; AWS's own have the bucket's name put before it."""
        return str(self.s3.meta.endpoint_url)

    def request(self, operation: str, subject: str, **parameters: Any) -> dict[str, Any]:
        """Return the answer to an operation, by botocore's name of its method. Raises StoreError: Refused if S3 did.

        `subject` is the address that the error's sentence begins with.
        """
        patient_until = time.monotonic() + self.patience
        while True:
            try:
                with _failing(operation, subject):
                    answer: dict[str, Any] = getattr(self.s3, operation)(**parameters)
            except StoreError as error:
                if not error.transient or not self._heard.is_set() or time.monotonic() >= patient_until:
                    raise
            else:
                self._heard.set()
                return answer
            time.sleep(random.uniform(*_OUTAGE_PAUSE))  # noqa: S311 - a pause is no secret

    def presigned(self, operation: str, subject: str, parameters: Mapping[str, Any], seconds: int) -> str:
        """Return a URL with which anybody can make this one request for so many seconds.

        What goes into headers is signed too and has to be sent as it is. Raises StoreError.
        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
        """
        with _failing(operation, subject):
            return str(self.s3.generate_presigned_url(operation, Params=dict(parameters), ExpiresIn=seconds))

    def read(self, subject: str, first: int, last: int, **parameters: Any) -> Piece:
        """Return the bytes of an object from the `first` to the `last`, fewer where it ends.

        An answer that breaks off is asked for again: botocore tries again only until the body begins. Raises
        StoreError; Refused with status 416 where the object ends before the first byte.
        """
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(random.uniform(0, _FIRST_PAUSE * 2**attempt))  # noqa: S311 - a pause is no secret
            answer = self.request("get_object", subject, Range=f"bytes={first}-{last}", **parameters)
            with contextlib.closing(answer["Body"]):
                piece = _piece(answer, first, last)
            if piece:
                return piece
        raise StoreError(f"{subject}: {ATTEMPTS} answers to GET broke off or were for other bytes", transient=True)


@cache
def connect(region: str | None, settings: frozenset[tuple[str, str]], patience: float = 0.0) -> Client:
    """Return the client for these AWS environment variables: one for the process as long as they are the same.

    The region is given apart: botocore reads AWS_DEFAULT_REGION alone. With an endpoint of its own (AWS_ENDPOINT_URL)
    a bucket is the path's first component, else part of the host's name. Raises StoreError where the configuration
    cannot be used.
    """
    del settings  # botocore reads the environment itself
    try:
        session = botocore.session.Session()
        # Nothing here needs times as objects, and making them takes two thirds of the time of a listing.
        session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=str)
        return Client(session.create_client("s3", region_name=region, config=_CONFIG), patience)
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
        raise StoreError(f"AWS configuration: {error}", transient=False) from error


@contextlib.contextmanager
def _failing(operation: str, subject: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        said = error.response.get("Error", {})
        code, message = str(said.get("Code", status)), str(said.get("Message", ""))
        raise refused(subject, operation, status=status, code=code, message=message) from error
    except NoCredentialsError as error:
        sentence = "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        raise StoreError(f"{subject}: {sentence}", transient=False) from error
    except (BotoCoreError, ResponseParserError) as error:
        words = " ".join(str(error).split())[:_MAX_WORDS]
        raise StoreError(f"{subject}: {shown(words)}", transient=isinstance(error, _PASSING)) from error


def _piece(answer: dict[str, Any], first: int, last: int) -> Piece | None:
    """Return the bytes that were asked for; None where the answer breaks off, or is for other bytes.

    A server that knows no ranges answers with the whole object: that is taken where it is no more than was wanted.
    """
    span = _CONTENT_RANGE.fullmatch(answer.get("ContentRange", ""))
    size = int(span[3]) if span else answer.get("ContentLength", 0)
    expected = min(last + 1, size) - first
    if (int(span[1]) if span else 0) != first or answer.get("ContentLength", expected) != expected:
        return None
    try:
        data = answer["Body"].read()
    except _BROKEN_OFF:
        return None
    return Piece(data, answer.get("ETag", ""), size) if len(data) == expected else None
