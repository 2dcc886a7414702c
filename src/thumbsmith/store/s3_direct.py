"""Requests to S3 without botocore, which takes longer to load than a thumbnail to make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from thumbsmith.errors import StoreError
from thumbsmith.store import s3_messages as messages
from thumbsmith.store.failures import shown
from thumbsmith.store.s3_address import Site, is_region
from thumbsmith.store.s3_connections import BROKEN, Answer, Connections, Unreachable
from thumbsmith.store.s3_failures import broken_off, refused, unreachable
from thumbsmith.store.s3_signing import Keys, Request, signed

# The header by which AWS tells where a bucket is to whom asks in the wrong region.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html
_BUCKET_REGION: Final = "x-amz-bucket-region"


@dataclass(frozen=True, slots=True)
class Direct:
    """Requests to one S3 with one set of credentials, for all threads: as `Transport` wants them."""

    site: Site
    keys: Keys
    _connections: Connections
    _regions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def connected(cls, site: Site, settings: Mapping[str, str]) -> Self:
        """Return what sends to this place with the credentials that these environment variables hold."""
        token = settings.get("AWS_SESSION_TOKEN") or None
        keys = Keys(settings["AWS_ACCESS_KEY_ID"], settings["AWS_SECRET_ACCESS_KEY"], token)
        return cls(site, keys, Connections(secure=site.secure, authorities=site.authorities))

    @property
    def endpoint(self) -> str:
        """Return the address that requests go to."""
        return self.site.url

    def send(self, operation: str, subject: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to an operation. The body of an object is a reader, to be closed.

        Raises StoreError: Refused where S3 answered with an error.
        """
        bucket = parameters["Bucket"]
        region = self._regions.get(bucket, self.site.region)
        answer = self._answer(operation, subject, parameters, region)
        if answer.status >= 300:
            moved = next((value for name, value in answer.headers.items() if name.lower() == _BUCKET_REGION), region)
            if moved != region and is_region(moved):
                answer.close()
                self._regions[bucket] = moved
                answer = self._answer(operation, subject, parameters, moved)
        return _understood(operation, subject, answer, parameters.get("ExpectedBucketOwner"))

    def _answer(self, operation: str, subject: str, parameters: Mapping[str, Any], region: str) -> Answer:
        host, path = replace(self.site, region=region).place(parameters["Bucket"], parameters.get("Key"))
        try:
            request = Request(
                method=messages.method(operation),
                host=host,
                path=path,
                query=messages.query(operation, parameters),
                headers=messages.headers(parameters),
                body=parameters.get("Body", b""),
            )
        except ValueError as problem:
            raise StoreError(f"{subject}: {shown(str(problem))}", transient=False) from problem
        headers = {**signed(request, self.keys, region), "user-agent": "thumbsmith"}
        try:
            return self._connections.ask(request, headers)
        except Unreachable as problem:
            raise unreachable(subject, self.endpoint, problem) from problem
        except BROKEN as problem:
            raise broken_off(subject, problem) from problem


@dataclass(frozen=True, slots=True)
class Body:
    """The bytes of an object, still to be read."""

    _subject: str
    _answer: Answer

    def read(self) -> bytes:
        """Return all of them. Raises StoreError, transient, where the connection breaks off."""
        try:
            return self._answer.read()
        except BROKEN as problem:
            raise broken_off(self._subject, problem) from problem

    def close(self) -> None:
        """Let go of it. Safe to repeat."""
        self._answer.close()


def _understood(operation: str, subject: str, answer: Answer, owner: str | None) -> dict[str, Any]:
    """Return what an answer says. Raises StoreError."""
    body = Body(subject, answer)
    try:
        if answer.status >= 300:
            code, message = messages.error(answer.status, answer.reason, body.read())
            raise refused(subject, operation, status=answer.status, code=code, message=message, owner=owner)
        said = messages.answer(answer.headers)
        if operation == "get_object":
            return said | {"Body": body}
        content = body.read()
        if operation == "get_object_tagging":
            return messages.tagging(content)
        return messages.listing(content) if operation == "list_objects_v2" else said
    except ValueError as problem:
        answer.close()
        raise StoreError(
            f"{subject}: an answer that cannot be read: {shown(str(problem))}", transient=True
        ) from problem
    except StoreError:
        answer.close()
        raise
