"""Requests to S3 with retries, over one of two transports: direct, or botocore."""

from __future__ import annotations

import contextlib
import random
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from thumbsmith.environment import aws_region, aws_settings, has_aws_files
from thumbsmith.errors import StoreError
from thumbsmith.lifetime import lifetime
from thumbsmith.store.s3_common import (
    FIRST_PAUSE_SECONDS,
    MAX_ATTEMPTS,
    RETRY_WINDOW_SECONDS,
    S3Endpoint,
    direct_endpoint,
    modified_seconds,
)

if TYPE_CHECKING:
    from thumbsmith.store.s3_botocore import BotocoreTransport

# Seconds between two attempts during an outage: a random number in this range.
_OUTAGE_PAUSE_SECONDS: Final = (0.5, 2.0)

# RFC 9110, section 14.4
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class ObjectRange:
    """Some bytes of an object, its etag as S3 sent it, and the number of bytes of the whole object.

    `metadata` is its user metadata, and `tags` its number of tags. `modified` is when it was written, in seconds since
    1970, or None if the answer has no such time.
    """

    data: bytes
    etag: str
    size: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: int = 0
    modified: float | None = None


class Transport(Protocol):
    """A way to send a request, once."""

    @property
    def endpoint(self) -> str:
        """Return the address of the server, without a bucket."""
        ...

    def send(self, operation: str, subject: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to an operation, with the names of botocore. The body of an object is a reader to close.

        Raises StoreError, also when the body is read; S3Error where S3 refuses it.
        """
        ...


@dataclass(frozen=True, slots=True)
class S3Client:
    """Requests to one S3 with one set of credentials, for all threads.

    A transient error is retried, each time after a longer random pause. `outage_seconds` is for how long, once the
    server has answered any request: long for a run over a whole bucket, short for a function that is billed by the
    second. Nothing is retried after the end of the current lifetime.
    """

    transport: Transport
    outage_seconds: float = 0.0
    _answered: threading.Event = field(default_factory=threading.Event)

    @property
    def endpoint(self) -> str:
        """Return the address of the server, without a bucket."""
        return self.transport.endpoint

    def request(self, operation: str, subject: str, **parameters: Any) -> dict[str, Any]:
        """Return the answer to an operation, by its name in botocore. Raises StoreError; S3Error where S3 refuses it.

        `subject` is the address with which the message of an error begins.
        """
        began, attempt = time.monotonic(), 1
        while True:
            try:
                answer = self.transport.send(operation, subject, parameters)
            except StoreError as error:
                if not error.transient:
                    raise
                spent = time.monotonic() - began
                if attempt < MAX_ATTEMPTS and spent < RETRY_WINDOW_SECONDS:
                    pause = random.uniform(0, FIRST_PAUSE_SECONDS * 2**attempt)  # noqa: S311 - a pause is no secret
                elif self._answered.is_set() and spent < self.outage_seconds:
                    pause = random.uniform(*_OUTAGE_PAUSE_SECONDS)  # noqa: S311 - as above
                else:
                    raise
            else:
                self._answered.set()
                return answer
            lifetime().sleep(pause)
            attempt += 1

    def presigned(self, operation: str, subject: str, parameters: Mapping[str, Any], seconds: int) -> str:
        """Return a URL with which a client without credentials can make this one request for `seconds`.

        Headers are signed too, and the client must send them unchanged. Raises StoreError.
        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
        """
        return _signer(aws_region(), aws_settings()).presigned(operation, subject, parameters, seconds)

    def read(self, subject: str, first: int, last: int, **parameters: Any) -> ObjectRange:
        """Return the bytes of an object from the `first` to the `last`, fewer where it ends.

        A request whose body breaks off is made again: `request` retries only until the body begins. Raises StoreError;
        S3Error with status 416 where the object ends before the first byte.
        """
        began, attempt = time.monotonic(), 0
        problem: StoreError | None = None
        while attempt < MAX_ATTEMPTS and (not attempt or time.monotonic() - began < RETRY_WINDOW_SECONDS):
            if attempt:
                lifetime().sleep(random.uniform(0, FIRST_PAUSE_SECONDS * 2**attempt))  # noqa: S311 - a pause is no secret
            attempt += 1
            answer = self.request("get_object", subject, Range=f"bytes={first}-{last}", **parameters)
            with contextlib.closing(answer["Body"]):
                try:
                    piece = _piece(answer, first, last)
                except StoreError as error:
                    problem = error
                    continue
            if piece:
                return piece
            problem = None
        why = str(problem).removeprefix(f"{subject}: ") if problem else "the last one was for other bytes"
        raise StoreError(
            f"{subject}: {attempt} answers to GET broke off or were for other bytes: {why}", transient=True
        )


def connected_client(
    bucket: str, region: str | None, settings: frozenset[tuple[str, str]], outage_seconds: float = 0.0
) -> S3Client:
    """Return the client for a bucket and these environment variables: one for the process while they are the same.

    Where the variables are sufficient, requests are sent directly, else by botocore. With AWS_ENDPOINT_URL the bucket
    is the first component of the path, else part of the host name. Raises StoreError where the configuration cannot be
    used.
    """
    endpoint = None if has_aws_files() else direct_endpoint(bucket, region, dict(settings))
    return _client(endpoint, region, settings, outage_seconds)


@cache
def _client(
    endpoint: S3Endpoint | None, region: str | None, settings: frozenset[tuple[str, str]], outage_seconds: float
) -> S3Client:
    if endpoint is None:
        from thumbsmith.store.s3_botocore import BotocoreTransport  # noqa: PLC0415 - slow to load

        return S3Client(BotocoreTransport.connected(region), outage_seconds)
    from thumbsmith.store.s3_direct import DirectTransport  # noqa: PLC0415 - loaded only where it is used

    return S3Client(DirectTransport.connected(endpoint, dict(settings)), outage_seconds)


@cache
def _signer(region: str | None, settings: frozenset[tuple[str, str]]) -> BotocoreTransport:
    """Return the transport that signs requests for clients: botocore, once for the process and its environment."""
    from thumbsmith.store.s3_botocore import BotocoreTransport  # noqa: PLC0415 - as above

    del settings  # botocore reads the environment itself
    return BotocoreTransport.connected(region)


def _piece(answer: dict[str, Any], first: int, last: int) -> ObjectRange | None:
    """Return the requested bytes; None where the answer is for other bytes.

    A server without ranges answers with the whole object, which is accepted if that is all that was requested. Raises
    StoreError where the answer breaks off.
    """
    span = _CONTENT_RANGE.fullmatch(answer.get("ContentRange", ""))
    size = int(span[3]) if span else answer.get("ContentLength", 0)
    expected = min(last + 1, size) - first
    if (int(span[1]) if span else 0) != first or answer.get("ContentLength", expected) != expected:
        return None
    data = answer["Body"].read()
    if len(data) != expected:
        return None
    marks = answer.get("Metadata", {}), answer.get("TagCount", 0)
    return ObjectRange(data, answer.get("ETag", ""), size, *marks, modified_seconds(answer))
