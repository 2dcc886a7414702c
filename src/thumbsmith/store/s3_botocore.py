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
from thumbsmith.store.s3_attempts import ATTEMPTS, CONNECT_TIMEOUT, CONNECTIONS, READ_TIMEOUT
from thumbsmith.store.s3_failures import refused

_CONFIG: Final = Config(
    user_agent_extra="thumbsmith",
    signature_version="s3v4",
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    connect_timeout=CONNECT_TIMEOUT,
    read_timeout=READ_TIMEOUT,
    tcp_keepalive=True,
    max_pool_connections=CONNECTIONS,
    # What is sent is signed with its SHA-256 anyway; checksums on top are not known to every server that speaks S3.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)

# What botocore says about an answer that it cannot read has all of the answer in it: so many characters tell enough.
_MAX_WORDS: Final = 300

# Failures that pass: no connection, none in time, one that broke off, an answer that cannot be read, credentials that
# could not be fetched just now.
_PASSING: Final = (NoConnectionError, HTTPClientError, ResponseParserError, CredentialRetrievalError)

# What reading a body raises when the connection breaks off.
_BROKEN_OFF: Final = (HTTPClientError, IncompleteReadError, HTTPError, OSError)


@dataclass(frozen=True, slots=True)
class Botocore:
    """Requests by a client of botocore's, `s3`: as `Transport` wants them."""

    s3: Any

    @classmethod
    def connected(cls, region: str | None) -> Self:
        """Return the client for the present environment and the files that it names.

        The region is given apart: botocore reads AWS_DEFAULT_REGION alone. Raises StoreError where the configuration
        cannot be used.
        """
        try:
            session = botocore.session.Session()
            # Nothing here needs times as objects, and making them takes two thirds of the time of a listing.
            session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=str)
            return cls(session.create_client("s3", region_name=region, config=_CONFIG))
        except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
            raise StoreError(f"AWS configuration: {error}", transient=False) from error

    @property
    def endpoint(self) -> str:
        """Return the address that requests go to."""
        return str(self.s3.meta.endpoint_url)

    def send(self, operation: str, subject: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to an operation. Raises StoreError: Refused where S3 answered with an error."""
        with _failing(operation, subject):
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
            raise StoreError(f"{self._subject}: the connection broke off", transient=True) from problem
        return content

    def close(self) -> None:
        """Let go of it. Safe to repeat."""
        self._stream.close()


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
