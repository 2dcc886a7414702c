"""Requests to S3: which way they are sent, how long a failure is waited out, and how an object is read in pieces."""

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
from thumbsmith.store.s3_common import ATTEMPTS, FIRST_PAUSE, WINDOW, Site, site

if TYPE_CHECKING:
    from thumbsmith.store.s3_botocore import Botocore

# Seconds between two looks at whether an outage is over.
_OUTAGE_PAUSE: Final = (0.5, 2.0)

# RFC 9110, section 14.4
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of an object, its etag as S3 wrote it, and the number of bytes in the whole."""

    data: bytes
    etag: str
    size: int


class Transport(Protocol):
    """Who sends a request, once."""

    @property
    def endpoint(self) -> str:
        """Return the address that requests go to; AWS's own have the bucket's name put before it."""
        ...

    def send(self, operation: str, subject: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to an operation, all by botocore's names; the body of an object as a reader.

        Raises StoreError, also when the body is read: S3Error where S3 answered with an error.
        """
        ...


@dataclass(frozen=True, slots=True)
class Client:
    """Requests to one S3 with one set of credentials, for all threads.

    What passes is tried again, each time after a longer pause by chance. `patience` is the seconds for which that goes
    on, once anything was answered at all: what a run over a whole bucket wants, and a function that is paid by the
    second does not. Nothing is tried again once the lifetime that applies is over.
    """

    transport: Transport
    patience: float = 0.0
    _heard: threading.Event = field(default_factory=threading.Event)

    @property
    def endpoint(self) -> str:
        """Return the address that requests go to; AWS's own have the bucket's name put before it."""
        return self.transport.endpoint

    def request(self, operation: str, subject: str, **parameters: Any) -> dict[str, Any]:
        """Return the answer to an operation, by botocore's name of its method. Raises StoreError: S3Error if S3 did.

        `subject` is the address that the error's sentence begins with.
        """
        began, attempt = time.monotonic(), 1
        while True:
            try:
                answer = self.transport.send(operation, subject, parameters)
            except StoreError as error:
                if not error.transient:
                    raise
                spent = time.monotonic() - began
                if attempt < ATTEMPTS and spent < WINDOW:
                    pause = random.uniform(0, FIRST_PAUSE * 2**attempt)  # noqa: S311 - a pause is no secret
                elif self._heard.is_set() and spent < self.patience:
                    pause = random.uniform(*_OUTAGE_PAUSE)  # noqa: S311 - as above
                else:
                    raise
            else:
                self._heard.set()
                return answer
            lifetime().sleep(pause)
            attempt += 1

    def presigned(self, operation: str, subject: str, parameters: Mapping[str, Any], seconds: int) -> str:
        """Return a URL with which anybody can make this one request for so many seconds.

        What goes into headers is signed too and has to be sent as it is. Raises StoreError.
        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
        """
        return _signer(aws_region(), aws_settings()).presigned(operation, subject, parameters, seconds)

    def read(self, subject: str, first: int, last: int, **parameters: Any) -> Piece:
        """Return the bytes of an object from the `first` to the `last`, fewer where it ends.

        An answer that breaks off is asked for again: transports try again only until the body begins. Raises
        StoreError; S3Error with status 416 where the object ends before the first byte.
        """
        began, attempt = time.monotonic(), 0
        problem: StoreError | None = None
        while attempt < ATTEMPTS and (not attempt or time.monotonic() - began < WINDOW):
            if attempt:
                lifetime().sleep(random.uniform(0, FIRST_PAUSE * 2**attempt))  # noqa: S311 - a pause is no secret
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


def connect(bucket: str, region: str | None, settings: frozenset[tuple[str, str]], patience: float = 0.0) -> Client:
    """Return the client for a bucket and these environment variables: one for the process as long as they are the same.

    Where the variables say all that has to be known, requests are sent directly, else by botocore. With an endpoint of
    its own (AWS_ENDPOINT_URL) a bucket is the path's first component, else part of the host's name. Raises StoreError
    where the configuration cannot be used.
    """
    direct = None if has_aws_files() else site(bucket, region, dict(settings))
    return _client(direct, region, settings, patience)


@cache
def _client(direct: Site | None, region: str | None, settings: frozenset[tuple[str, str]], patience: float) -> Client:
    if direct is None:
        from thumbsmith.store.s3_botocore import Botocore  # noqa: PLC0415 - it takes longer to load than all the rest

        return Client(Botocore.connected(region), patience)
    from thumbsmith.store.s3_direct import Direct  # noqa: PLC0415 - what is not used is not loaded

    return Client(Direct.connected(direct, dict(settings)), patience)


@cache
def _signer(region: str | None, settings: frozenset[tuple[str, str]]) -> Botocore:
    """Return who signs requests that others send: whichever way ours go, once for the process and its environment."""
    from thumbsmith.store.s3_botocore import Botocore  # noqa: PLC0415 - as above

    del settings  # botocore reads the environment itself
    return Botocore.connected(region)


def _piece(answer: dict[str, Any], first: int, last: int) -> Piece | None:
    """Return the bytes that were asked for; None where the answer is for other bytes.

    A server that knows no ranges answers with the whole object: that is taken where it is no more than was wanted.
    Raises StoreError where the answer breaks off.
    """
    span = _CONTENT_RANGE.fullmatch(answer.get("ContentRange", ""))
    size = int(span[3]) if span else answer.get("ContentLength", 0)
    expected = min(last + 1, size) - first
    if (int(span[1]) if span else 0) != first or answer.get("ContentLength", expected) != expected:
        return None
    data = answer["Body"].read()
    return Piece(data, answer.get("ETag", ""), size) if len(data) == expected else None
