"""Requests to S3 through botocore, which finds credentials and addresses wherever AWS's tools keep them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import botocore.session
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
from urllib3.exceptions import HTTPError

from thumbsmith.errors import StoreError
from thumbsmith.store.s3_attempts import CONNECT_TIMEOUT, CONNECTIONS, READ_TIMEOUT
from thumbsmith.store.s3_connections import BROKEN
from thumbsmith.store.s3_failures import broken_off, refused, unreachable, words
from thumbsmith.store.s3_sending import Redirected, one_call, send_by_ours

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
        """Return the answer to an operation. Raises StoreError: Refused where S3 answered with an error."""
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
