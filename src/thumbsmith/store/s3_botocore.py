"""Requests to S3 through botocore, which finds credentials and addresses in all places that the tools of AWS use.

botocore finds them, signs, and parses responses. The bytes go over our own connections, with the limits that direct
requests have: botocore has no limit for a whole request, reads bodies of any length, and its requests cannot be ended
from another thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self
from urllib.parse import urlsplit

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
    CONNECT_TIMEOUT_SECONDS,
    MAX_CONNECTIONS,
    READ_TIMEOUT_SECONDS,
    connection_broken,
    connection_failed,
    s3_error,
    server_text,
)
from thumbsmith.store.s3_connections import CONNECTION_ERRORS, ConnectFailed, ConnectionPool, Proxy, Request, Response

# Requests of one call: the call, the lookup of the region of its bucket, and the call again there.
_MAX_REQUESTS = 6
_REQUESTS_LEFT: ContextVar[list[int] | None] = ContextVar("requests", default=None)

# Headers that the pool adds itself, or that it does not use: waiting for "100 Continue" takes a round trip.
_POOL_HEADERS = frozenset({"content-length", "expect", "transfer-encoding"})

_CONFIG: Final = Config(
    user_agent_extra="thumbsmith",
    signature_version="s3v4",
    retries={"mode": "standard", "total_max_attempts": 1},  # the caller retries
    connect_timeout=CONNECT_TIMEOUT_SECONDS,
    read_timeout=READ_TIMEOUT_SECONDS,
    max_pool_connections=MAX_CONNECTIONS,
    # Content is signed with its SHA-256. Not every compatible server knows the additional checksums.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)

# At AWS the bucket and the region are part of the host name. Other servers have the bucket in the path.
_AWS_CONFIG: Final = Config(s3={"addressing_style": "virtual"})

# Transient errors: no connection, a timeout, a connection that broke off, an invalid response, credentials that could
# not be fetched.
_TRANSIENT: Final = (NoConnectionError, HTTPClientError, ResponseParserError, CredentialRetrievalError)

# The errors of a body that breaks off, or is longer than requested.
_BODY_ERRORS: Final = (HTTPClientError, IncompleteReadError, HTTPError, *CONNECTION_ERRORS)


@dataclass(frozen=True, slots=True)
class BotocoreTransport:
    """The transport that sends requests by `s3`, a client of botocore."""

    s3: Any

    @classmethod
    def connected(cls, region: str | None) -> Self:
        """Return the transport for the current environment and the files that it names.

        The region is a parameter, because botocore reads only AWS_DEFAULT_REGION. At AWS the host name contains the
        region: the host without a region does not know a new bucket for hours. Raises StoreError where the
        configuration cannot be used.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html#VirtualHostingBackwardsCompatibility
        """
        try:
            session = botocore.session.Session()
            # Times stay text: to parse them takes two thirds of the time of a listing.
            session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=str)
            client = session.create_client("s3", region_name=region, config=_CONFIG)
            if "amazonaws." in client.meta.endpoint_url:
                client = session.create_client("s3", region_name=region, config=_CONFIG.merge(_AWS_CONFIG))
            client.meta.events.register("before-parse.s3.ListObjectsV2", _check_listing)
            send_over_pool(client, session)
            return cls(client)
        except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
            raise StoreError(f"AWS configuration: {error}", transient=False) from error

    @property
    def endpoint(self) -> str:
        """Return the address of the server, without a bucket."""
        return str(self.s3.meta.endpoint_url)

    def send(self, operation: str, subject: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to an operation. Raises StoreError; S3Error where S3 refuses it."""
        with _translate_aws_errors(operation, subject, parameters.get("ExpectedBucketOwner")), limited_requests():
            answer: dict[str, Any] = getattr(self.s3, operation)(**parameters)
        if "Body" in answer:
            answer["Body"] = Body(subject, answer["Body"])
        if "Metadata" in answer:  # header names are the same in any case, and servers differ
            answer["Metadata"] = {name.lower(): value for name, value in answer["Metadata"].items()}
        return answer

    def presigned(self, operation: str, subject: str, parameters: Mapping[str, Any], seconds: int) -> str:
        """Return a URL with which a client without credentials can make this one request. Raises StoreError."""
        with _translate_aws_errors(operation, subject):
            return str(self.s3.generate_presigned_url(operation, Params=dict(parameters), ExpiresIn=seconds))


@dataclass(frozen=True, slots=True)
class Body:
    """The body of an object, not read yet."""

    _subject: str
    _stream: Any

    def read(self) -> bytes:
        """Return all of them. Raises StoreError, transient, where the connection breaks off."""
        try:
            content: bytes = self._stream.read()
        except _BODY_ERRORS as problem:
            raise connection_broken(self._subject, problem) from problem
        return content

    def close(self) -> None:
        """Close the response. May be repeated."""
        self._stream.close()


def _check_listing(response_dict: Mapping[str, Any], **_: object) -> None:
    """Raise ValueError where a server answers a listing with another document: botocore would read an empty listing.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html#API_ListObjectsV2_ResponseSyntax
    """
    if response_dict["status_code"] < 300 and b"<ListBucketResult" not in response_dict["body"]:
        raise ValueError("expected a listing, found nothing of one")


@contextlib.contextmanager
def _translate_aws_errors(operation: str, subject: str, owner: str | None = None) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        fields = error.response.get("Error", {})
        code, message = str(fields.get("Code", status)), str(fields.get("Message", ""))
        raise s3_error(subject, operation, status=status, code=code, message=message, owner=owner) from error
    except NoCredentialsError as error:
        sentence = "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        raise StoreError(f"{subject}: {sentence}", transient=False) from error
    except EndpointConnectionError as error:
        problem: Exception = error.kwargs.get("error") or error
        raise connection_failed(subject, str(error.kwargs["endpoint_url"]), problem) from error
    except ConnectionClosedError as error:
        raise connection_broken(subject, error.kwargs.get("error") or error) from error
    except TooManyRedirects as error:
        raise StoreError(f"{subject}: redirected from region to region again and again", transient=False) from error
    except CONNECTION_ERRORS as error:
        raise connection_broken(subject, error) from error
    except (BotoCoreError, ResponseParserError) as error:
        raise StoreError(f"{subject}: {server_text(str(error))}", transient=isinstance(error, _TRANSIENT)) from error
    except ValueError as error:  # an invalid number in a header
        raise StoreError(f"{subject}: an invalid answer: {server_text(str(error))}", transient=True) from error


def send_over_pool(client: Any, session: Any) -> None:
    """Have a client of this botocore session send its requests over a pool of connections.

    With a proxy that uses TLS, or another protocol than HTTP, botocore sends them itself.
    """
    endpoint = client.meta.endpoint_url
    secure = endpoint.startswith("https:")
    address = get_environ_proxies(endpoint).get("https" if secure else "http")
    if address and not address.startswith("http://"):
        return
    authorities = session.get_config_variable("ca_bundle") or ca_bundle_setting()
    pool = ConnectionPool(secure=secure, authorities=authorities, proxy=Proxy.at(address) if address else None)
    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register(f"before-send.{service}", partial(_send, pool))


class TooManyRedirects(Exception):
    """Responses redirect from one region to another more often than any call needs."""


@contextmanager
def limited_requests() -> Iterator[None]:
    """Make one call of a client in the block. Raises TooManyRedirects for more requests than any call needs.

    botocore follows the region that a response names, and again from there, without a limit.
    """
    before = _REQUESTS_LEFT.set([_MAX_REQUESTS])
    try:
        yield
    finally:
        _REQUESTS_LEFT.reset(before)


def _send(pool: ConnectionPool, request: Any, **_: object) -> AWSResponse:
    """Return the response to a request of botocore. Raises the errors of botocore for a connection that fails.

    https://botocore.amazonaws.com/v1/documentation/api/latest/topics/events.html, "before-send"
    """
    left = _REQUESTS_LEFT.get()
    if left is not None:
        left[0] -= 1
        if left[0] < 0:
            raise TooManyRedirects
    parts = urlsplit(request.url)
    body = request.body or b""
    outgoing = Request(
        method=request.method,
        host=parts.netloc,
        path=parts.path or "/",
        query=parts.query,
        headers={},
        body=body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else body.read(),
    )
    headers = {name: _text(value) for name, value in request.headers.items() if name.lower() not in _POOL_HEADERS}
    try:
        answer = pool.send(outgoing, {"host": parts.netloc, **headers})
    except ConnectFailed as problem:
        raise EndpointConnectionError(endpoint_url=f"{parts.scheme}://{parts.netloc}", error=problem) from problem
    except CONNECTION_ERRORS as problem:
        raise ConnectionClosedError(endpoint_url=request.url, request=request, error=problem) from problem
    return AWSResponse(request.url, answer.status, answer.headers, _Raw(answer))


@dataclass(frozen=True, slots=True)
class _Raw:
    """The body of a response, as botocore reads it. Raises `CONNECTION_ERRORS`."""

    answer: Response

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


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
