"""What botocore asks of AWS, sent over connections of ours: with the limits that requests without botocore have.

botocore finds credentials and addresses, signs, and understands answers. Its own way of sending has no limit for the
whole of a request, reads bodies of any length, and cannot be ended from another thread.

Requests to S3 through botocore, which finds credentials and addresses wherever AWS's tools keep them.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.parsers import ResponseParserError
from botocore.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

from thumbsmith.environment import ca_bundle_setting
from thumbsmith.errors import StoreError
from thumbsmith.store.s3_common import (
    CONNECT_TIMEOUT,
    CONNECTIONS,
    READ_TIMEOUT,
    broken_off,
    refused,
    unreachable,
    words,
)
from thumbsmith.store.s3_connections import BROKEN, Answer, Connections, Proxy, Request, Unreachable

# Requests that one call of botocore's may lead to: the call, a look for its bucket's region, and the call again there.
_MOST_REQUESTS = 6
_LEFT: ContextVar[list[int] | None] = ContextVar("requests", default=None)

# Headers that our way of sending brings itself, or that it does without: to wait for a server that agrees to a body
# takes a round trip.
_OURS = frozenset({"content-length", "expect", "transfer-encoding"})


def send_by_ours(client: Any, session: Any) -> None:
    """Have a client of this botocore session send its requests over connections of ours.

    A proxy that wants TLS, or another protocol than HTTP, is left to botocore.
    """
    endpoint = client.meta.endpoint_url
    secure = endpoint.startswith("https:")
    address = get_environ_proxies(endpoint).get("https" if secure else "http")
    if address and not address.startswith("http://"):
        return
    authorities = session.get_config_variable("ca_bundle") or ca_bundle_setting()
    connections = Connections(secure=secure, authorities=authorities, proxy=_proxy(address) if address else None)
    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register(f"before-send.{service}", partial(_sent, connections))


class Redirected(Exception):
    """Answers lead from one region to another, again and again."""


@contextmanager
def one_call() -> Iterator[None]:
    """Make one call of a client in the block. Raises Redirected where it leads to more requests than any call needs.

    botocore follows a bucket to the region that an answer names, and again from there, for as long as answers do.
    """
    before = _LEFT.set([_MOST_REQUESTS])
    try:
        yield
    finally:
        _LEFT.reset(before)


def _sent(connections: Connections, request: Any, **_: object) -> AWSResponse:
    """Return the answer to a request of botocore's. Raises what botocore takes for a connection that fails.

    https://botocore.amazonaws.com/v1/documentation/api/latest/topics/events.html, "before-send"
    """
    left = _LEFT.get()
    if left is not None:
        left[0] -= 1
        if left[0] < 0:
            raise Redirected
    parts = urlsplit(request.url)
    body = request.body or b""
    asked = Request(
        method=request.method,
        host=parts.netloc,
        path=parts.path or "/",
        query=parts.query,
        headers={},
        body=body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else body.read(),
    )
    headers = {name: _text(value) for name, value in request.headers.items() if name.lower() not in _OURS}
    try:
        answer = connections.ask(asked, {"host": parts.netloc, **headers})
    except Unreachable as problem:
        raise EndpointConnectionError(endpoint_url=f"{parts.scheme}://{parts.netloc}", error=problem) from problem
    except BROKEN as problem:
        raise ConnectionClosedError(endpoint_url=request.url, request=request, error=problem) from problem
    return AWSResponse(request.url, answer.status, answer.headers, _Raw(answer))


@dataclass(frozen=True, slots=True)
class _Raw:
    """The body of an answer, as botocore reads it. Raises what a connection raises."""

    answer: Answer

    def read(self, *_: object) -> bytes:
        return self.answer.read()

    def stream(self) -> Iterator[bytes]:
        try:
            yield self.answer.read()
        except BaseException:
            self.answer.close()
            raise

    def close(self) -> None:
        self.answer.close()


def _proxy(address: str) -> Proxy:
    parts = urlsplit(address)
    headers = {}
    if parts.username is not None:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode()}"
    return Proxy(parts.hostname or "", parts.port or 80, headers)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


_CONFIG: Final = Config(
    user_agent_extra="thumbsmith",
    signature_version="s3v4",
    retries={"mode": "standard", "total_max_attempts": 1},  # the caller tries again what may pass
    connect_timeout=CONNECT_TIMEOUT,
    read_timeout=READ_TIMEOUT,
    max_pool_connections=CONNECTIONS,
    # What is sent is signed with its SHA-256 anyway; checksums on top are not known to every server that speaks S3.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)

# The bucket is a part of the host's name, after it the region. Other servers have it in the path.
_AT_AWS: Final = Config(s3={"addressing_style": "virtual"})

# Failures that pass: no connection, none in time, one that broke off, an answer that cannot be read, credentials that
# could not be fetched just now.
_PASSING: Final = (NoConnectionError, HTTPClientError, ResponseParserError, CredentialRetrievalError)

# What reading a body raises when the connection breaks off, or more comes than was asked for.
_BROKEN_OFF: Final = (HTTPClientError, IncompleteReadError, HTTPError, *BROKEN)


@dataclass(frozen=True, slots=True)
class Botocore:
    """Requests by a client of botocore's, `s3`: as `Transport` wants them."""

    s3: Any

    @classmethod
    def connected(cls, region: str | None) -> Self:
        """Return the client for the present environment and the files that it names.

        The region is given apart: botocore reads AWS_DEFAULT_REGION alone. At AWS the host of every address names the
        region: a new bucket is not known at the host that names none, for hours. Raises StoreError where the
        configuration cannot be used.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html#VirtualHostingBackwardsCompatibility
        """
        try:
            session = botocore.session.Session()
            # Nothing here needs times as objects, and making them takes two thirds of the time of a listing.
            session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=str)
            client = session.create_client("s3", region_name=region, config=_CONFIG)
            if "amazonaws." in client.meta.endpoint_url:
                client = session.create_client("s3", region_name=region, config=_CONFIG.merge(_AT_AWS))
            client.meta.events.register("before-parse.s3.ListObjectsV2", _check_listing)
            send_by_ours(client, session)
            return cls(client)
        except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
            raise StoreError(f"AWS configuration: {error}", transient=False) from error

    @property
    def endpoint(self) -> str:
        """Return the address that requests go to."""
        return str(self.s3.meta.endpoint_url)

    def send(self, operation: str, subject: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to an operation. Raises StoreError: S3Error where S3 answered with an error."""
        with _failing(operation, subject, parameters.get("ExpectedBucketOwner")), one_call():
            answer: dict[str, Any] = getattr(self.s3, operation)(**parameters)
        if "Body" in answer:
            answer["Body"] = Body(subject, answer["Body"])
        if "Metadata" in answer:  # names of headers are the same in any case, and servers differ
            answer["Metadata"] = {name.lower(): value for name, value in answer["Metadata"].items()}
        return answer

    def presigned(self, operation: str, subject: str, parameters: Mapping[str, Any], seconds: int) -> str:
        """Return a URL with which anybody can make this one request for so many seconds. Raises StoreError."""
        with _failing(operation, subject):
            return str(self.s3.generate_presigned_url(operation, Params=dict(parameters), ExpiresIn=seconds))


@dataclass(frozen=True, slots=True)
class Body:
    """The bytes of an object, still to be read."""

    _subject: str
    _stream: Any

    def read(self) -> bytes:
        """Return all of them. Raises StoreError, transient, where the connection breaks off."""
        try:
            content: bytes = self._stream.read()
        except _BROKEN_OFF as problem:
            raise broken_off(self._subject, problem) from problem
        return content

    def close(self) -> None:
        """Let go of it. Safe to repeat."""
        self._stream.close()


def _check_listing(response_dict: Mapping[str, Any], **_: object) -> None:
    """Raise ValueError where a server answers a listing with something else: botocore would read an empty one.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html#API_ListObjectsV2_ResponseSyntax
    """
    if response_dict["status_code"] < 300 and b"<ListBucketResult" not in response_dict["body"]:
        raise ValueError("expected a listing, found nothing of one")


@contextlib.contextmanager
def _failing(operation: str, subject: str, owner: str | None = None) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        said = error.response.get("Error", {})
        code, message = str(said.get("Code", status)), str(said.get("Message", ""))
        raise refused(subject, operation, status=status, code=code, message=message, owner=owner) from error
    except NoCredentialsError as error:
        sentence = "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        raise StoreError(f"{subject}: {sentence}", transient=False) from error
    except EndpointConnectionError as error:
        problem: Exception = error.kwargs.get("error") or error
        raise unreachable(subject, str(error.kwargs["endpoint_url"]), problem) from error
    except ConnectionClosedError as error:
        raise broken_off(subject, error.kwargs.get("error") or error) from error
    except Redirected as error:
        raise StoreError(f"{subject}: redirected from region to region, again and again", transient=False) from error
    except BROKEN as error:
        raise broken_off(subject, error) from error
    except (BotoCoreError, ResponseParserError) as error:
        raise StoreError(f"{subject}: {words(str(error))}", transient=isinstance(error, _PASSING)) from error
    except ValueError as error:  # a header of the answer that is no number
        raise StoreError(f"{subject}: an answer that cannot be read: {words(str(error))}", transient=True) from error
