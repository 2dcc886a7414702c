"""Azure Blob Storage: the operations that a store needs, as requests of its REST API.

A container is the bucket of an address az://CONTAINER/PREFIX. Parameters and results have the names of S3.
https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-rest-api
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import quote, unquote
from xml.etree import ElementTree as Xml

from thumbsmith.environment import cloud_settings
from thumbsmith.errors import S3Error, StoreError
from thumbsmith.store.azure_account import AzureAccount
from thumbsmith.store.base import Store, override, printable_key
from thumbsmith.store.cloud import CloudStore, advised, connection_pool
from thumbsmith.store.s3_client import S3Client
from thumbsmith.store.s3_common import connection_broken, connection_failed, server_text
from thumbsmith.store.s3_connections import CONNECTION_ERRORS, ConnectFailed, ConnectionPool, Request, Response
from thumbsmith.store.s3_direct import (
    Body,
    error,
    local_name,
    method,
    parsed_number,
    parsed_xml,
    result_fields,
    tagging,
)

# The version of the API: with it, listings encode names that XML cannot hold, and name directories.
# https://learn.microsoft.com/en-us/rest/api/storageservices/versioning-for-the-azure-storage-services
VERSION: Final = "2021-12-02"

# Path segments of a name: https://learn.microsoft.com/en-us/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
MAX_SEGMENTS: Final = 254

_HEADERS: Final = {
    "Range": "range",
    "IfMatch": "if-match",
    "IfNoneMatch": "if-none-match",
    "ContentType": "x-ms-blob-content-type",
    "CacheControl": "x-ms-blob-cache-control",
}
_METADATA: Final = "x-ms-meta-"
_LISTING: Final = {"Prefix": "prefix", "Delimiter": "delimiter", "MaxKeys": "maxresults", "ContinuationToken": "marker"}

# Codes of Azure, and the code of S3 with the same meaning.
# https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-error-codes
_CODES: Final = {"ContainerNotFound": "NoSuchBucket", "BlobArchived": "InvalidObjectState"}

_ADVICE: Final = {
    "NoSuchBucket": "there is no such container",
    "AuthenticationFailed": "the signature does not match, or the token has expired: check the key or the token",
    "403": "access denied: check the key, or the token, which must allow to read, write, delete and list blobs",
}

# RFC 9110, section 15.5.13
PRECONDITION_FAILED: Final = 412

# Control characters, which a URL of Azure cannot have, and the backslash, which becomes a slash.
_NOT_HELD: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\\]")


@dataclass(frozen=True, slots=True)
class AzureStore(CloudStore):
    """A container, or the part of one under a prefix, in Azure Blob Storage. Every write gives a new etag."""

    @property
    @override
    def scheme(self) -> str:
        return "az"

    @property
    @override
    def etags_identify_content(self) -> bool:
        return False

    @override
    def can_hold(self, key: str) -> bool:
        """Return whether a blob can have this key: no control character, no backslash, no part "." or "..".

        Servers resolve "." and ".." in a URL, also where they are encoded: https://url.spec.whatwg.org/#path-state
        """
        parts = (self.prefix + key).split("/")
        plain = not _NOT_HELD.search(key) and not {".", ".."} & set(parts) and len(parts) <= MAX_SEGMENTS
        return plain and Store.can_hold(self, key)

    @override
    def _has_bytes(self, key: str, data: bytes) -> bool:
        """Read them: an etag of Azure does not depend on the bytes."""
        found = self.open(key)
        return found is not None and found.size == len(data) and found.read(0, len(data)) == data


@dataclass(frozen=True, slots=True)
class AzureTransport:
    """The transport to one storage account, for all threads."""

    account: AzureAccount
    _pool: ConnectionPool

    @property
    def endpoint(self) -> str:
        """Return the address of the account."""
        return self.account.endpoint

    def send(self, operation: str, subject: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to an operation. Raises StoreError; S3Error where Azure refuses it."""
        answer = self._request(operation, subject, parameters)
        body = Body(subject, answer)
        try:
            if answer.status >= 300:
                refused = _refusal(subject, answer, body.read())
                if operation == "delete_object" and refused.no_such_object:
                    return {}
                raise refused
            result = result_fields({_plain_name(name): value for name, value in answer.headers.items()})
            if operation == "get_object":
                return result | {"Body": body}
            content = body.read()
            if operation == "get_object_tagging":
                return tagging(content)
            return _listing(content) if operation == "list_objects_v2" else result
        except ValueError as problem:
            answer.close()
            raise StoreError(f"{subject}: an invalid answer: {server_text(str(problem))}", transient=True) from problem
        except StoreError:
            answer.close()
            raise

    def _request(self, operation: str, subject: str, parameters: Mapping[str, Any]) -> Response:
        path = "/" + quote(parameters["Bucket"], safe="")
        if "Key" in parameters:
            path += "/" + quote(parameters["Key"], safe="/-_.~")
        try:
            headers = _request_headers(operation, parameters)
        except ValueError as problem:
            raise StoreError(f"{subject}: {printable_key(str(problem))}", transient=False) from problem
        request = Request(
            method=method(operation),
            host=self.account.host,
            path=self.account.path + path,
            query="",
            headers=headers | {"x-ms-version": VERSION},
            body=parameters.get("Body", b""),
        )
        request, signed = self.account.authorize(request, _query(operation, parameters))
        try:
            return self._pool.send(request, {**signed, "host": request.host, "user-agent": "thumbsmith"})
        except ConnectFailed as problem:
            raise connection_failed(subject, self.endpoint, problem) from problem
        except CONNECTION_ERRORS as problem:
            raise connection_broken(subject, problem) from problem


def azure_store(container: str, prefix: str, outage_seconds: float) -> AzureStore:
    """Return the store for a container of the account that the environment names. Raises StoreError without one."""
    return AzureStore(container, prefix, _client(cloud_settings(), outage_seconds))


@cache
def _client(settings: frozenset[tuple[str, str]], outage_seconds: float) -> S3Client:
    account = AzureAccount.of(dict(settings))
    return S3Client(AzureTransport(account, connection_pool(account.endpoint)), outage_seconds)


def _request_headers(operation: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers for these parameters. Raises ValueError where one cannot be a header.

    The name of a metadata entry is an identifier, so that a hyphen becomes an underscore:
    https://learn.microsoft.com/en-us/rest/api/storageservices/setting-and-retrieving-properties-and-metadata-for-blob-resources
    """
    found = {_HEADERS[name]: str(value) for name, value in parameters.items() if name in _HEADERS}
    metadata = parameters.get("Metadata", {})
    found |= {_METADATA + name.lower().replace("-", "_"): value for name, value in metadata.items()}
    if operation == "put_object":
        digest = hashlib.md5(parameters["Body"], usedforsecurity=False).digest()
        found |= {"x-ms-blob-type": "BlockBlob", "content-md5": base64.b64encode(digest).decode()}
    for name, value in found.items():
        if not (name + value).isascii() or not (name + value).isprintable():
            raise ValueError(f"{name}: Non ascii characters cannot be sent in a header: {value!a}")
    return found


def _query(operation: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    if operation == "get_object_tagging":
        return {"comp": "tags"}
    if operation != "list_objects_v2":
        return {}
    found = {_LISTING[name]: str(value) for name, value in parameters.items() if name in _LISTING and value}
    return {"restype": "container", "comp": "list"} | found


def _plain_name(header: str) -> str:
    """Return the name that S3 has for a header of a response."""
    small = header.lower()
    if small == "x-ms-tag-count":
        return "x-amz-tagging-count"
    return f"x-amz-meta-{small[len(_METADATA) :]}" if small.startswith(_METADATA) else small


def _refusal(subject: str, answer: Response, body: bytes) -> S3Error:
    """Return the error in a response. One to HEAD has no body, and its code in a header."""
    code, message = error(answer.status, answer.reason, body)
    headers = {name.lower(): value for name, value in answer.headers.items()}
    code = server_text(headers.get("x-ms-error-code") or code)
    status = PRECONDITION_FAILED if code == "BlobAlreadyExists" else answer.status  # what S3 answers to If-None-Match
    transient = status in {408, 409, 429} or status >= 500
    sentence = server_text(message.partition("\n")[0])  # the identifier of the request and the time follow
    plain = S3Error(
        f"{subject}: {answer.status} {code}: {sentence}",
        status=status,
        code=_CODES.get(code, code),
        transient=transient,
    )
    return advised(plain, subject, _ADVICE)


def _listing(body: bytes) -> dict[str, Any]:
    """Return a page of a listing, without directories. Raises ValueError for any other document.

    https://learn.microsoft.com/en-us/rest/api/storageservices/list-blobs
    """
    page = parsed_xml(body)
    if local_name(page) != "EnumerationResults":
        raise ValueError(f"<{local_name(page)}> instead of a listing")
    marker = page.findtext("NextMarker") or ""
    more = {"NextContinuationToken": marker} if marker else {}
    return {"Contents": list(_blobs(page)), "IsTruncated": bool(marker), **more}


def _blobs(page: Xml.Element) -> Iterator[dict[str, Any]]:
    for blob in page.iterfind("Blobs/Blob"):
        properties = {each.tag: each.text or "" for each in blob.iterfind("Properties/*")}
        name = blob.find("Name")
        if name is None:
            raise ValueError("a blob without a name")
        if properties.get("ResourceType") == "directory":
            continue
        key = name.text or ""
        yield {
            "Key": unquote(key) if name.get("Encoded") == "true" else key,
            "ETag": properties.get("Etag"),
            "Size": parsed_number(properties.get("Content-Length", "")),
            "LastModified": properties.get("Last-Modified"),
        }
