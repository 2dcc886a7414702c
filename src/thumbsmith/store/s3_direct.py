"""Requests to S3 without botocore, which takes longer to load than a thumbnail takes to make.

The six operations are written as HTTP, with the names that botocore has for parameters and results:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self
from urllib.parse import quote, unquote_plus
from xml.etree import ElementTree as Xml

from thumbsmith.errors import StoreError
from thumbsmith.store.base import printable_key
from thumbsmith.store.s3_common import S3Endpoint, connection_broken, connection_failed, is_region, s3_error
from thumbsmith.store.s3_connections import (
    CONNECTION_ERRORS,
    ConnectFailed,
    ConnectionPool,
    Request,
    Response,
    SigningKeys,
    sign_request,
)

_METHODS: Final = {
    "head_object": "HEAD",
    "get_object": "GET",
    "get_object_tagging": "GET",
    "put_object": "PUT",
    "delete_object": "DELETE",
    "list_objects_v2": "GET",
}

_HEADERS: Final = {
    "Range": "range",
    "IfMatch": "if-match",
    "IfNoneMatch": "if-none-match",
    "ContentType": "content-type",
    "CacheControl": "cache-control",
    "ExpectedBucketOwner": "x-amz-expected-bucket-owner",
    "ChecksumCRC32": "x-amz-checksum-crc32",
    "RequestPayer": "x-amz-request-payer",
}

_QUERY: Final = {
    "Prefix": "prefix",
    "Delimiter": "delimiter",
    "MaxKeys": "max-keys",
    "ContinuationToken": "continuation-token",
    "StartAfter": "start-after",
}

# Headers of a response: the name of the result, and whether it is a number.
_RESULT_HEADERS: Final = {
    "etag": ("ETag", False),
    "content-length": ("ContentLength", True),
    "content-range": ("ContentRange", False),
    "content-type": ("ContentType", False),
    "cache-control": ("CacheControl", False),
    "last-modified": ("LastModified", False),
    "x-amz-tagging-count": ("TagCount", True),
}
_METADATA_PREFIX: Final = "x-amz-meta-"

# A number with this many digits fits into 64 bits.
_MAX_DIGITS: Final = 18

# The header in which AWS sends the region of a bucket to a client that asked in another region.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html
_BUCKET_REGION: Final = "x-amz-bucket-region"


@dataclass(frozen=True, slots=True)
class DirectTransport:
    """The transport that sends requests itself, to one endpoint with one set of credentials, for all threads."""

    s3: S3Endpoint
    credentials: SigningKeys
    _pool: ConnectionPool
    _regions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def connected(cls, s3: S3Endpoint, settings: Mapping[str, str]) -> Self:
        """Return the transport for this endpoint with the credentials in these environment variables."""
        token = settings.get("AWS_SESSION_TOKEN") or None
        credentials = SigningKeys(settings["AWS_ACCESS_KEY_ID"], settings["AWS_SECRET_ACCESS_KEY"], token)
        return cls(s3, credentials, ConnectionPool(secure=s3.secure, authorities=s3.authorities))

    @property
    def endpoint(self) -> str:
        """Return the address of the server, without a bucket."""
        return self.s3.url

    def send(self, operation: str, subject: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to an operation. The body of an object is a reader, to be closed.

        Raises StoreError; S3Error where S3 refuses it.
        """
        bucket = parameters["Bucket"]
        region = self._regions.get(bucket, self.s3.region)
        answer = self._request(operation, subject, parameters, region)
        if answer.status >= 300:
            moved = next((value for name, value in answer.headers.items() if name.lower() == _BUCKET_REGION), region)
            if moved != region and is_region(moved):
                answer.close()
                self._regions[bucket] = moved
                answer = self._request(operation, subject, parameters, moved)
        return _result(operation, subject, answer, parameters.get("ExpectedBucketOwner"))

    def _request(self, operation: str, subject: str, parameters: Mapping[str, Any], region: str) -> Response:
        host, path = replace(self.s3, region=region).host_and_path(parameters["Bucket"], parameters.get("Key"))
        try:
            request = Request(
                method=method(operation),
                host=host,
                path=path,
                query=query(operation, parameters),
                headers=request_headers(parameters),
                body=parameters.get("Body", b""),
            )
        except ValueError as problem:
            raise StoreError(f"{subject}: {printable_key(str(problem))}", transient=False) from problem
        headers = {**sign_request(request, self.credentials, region), "user-agent": "thumbsmith"}
        try:
            return self._pool.send(request, headers)
        except ConnectFailed as problem:
            raise connection_failed(subject, self.endpoint, problem) from problem
        except CONNECTION_ERRORS as problem:
            raise connection_broken(subject, problem) from problem


@dataclass(frozen=True, slots=True)
class Body:
    """The body of an object, not read yet."""

    _subject: str
    _answer: Response

    def read(self) -> bytes:
        """Return all of them. Raises StoreError, transient, where the connection breaks off."""
        try:
            return self._answer.read()
        except CONNECTION_ERRORS as problem:
            raise connection_broken(self._subject, problem) from problem

    def close(self) -> None:
        """Close the response. May be repeated."""
        self._answer.close()


def _result(operation: str, subject: str, answer: Response, owner: str | None) -> dict[str, Any]:
    """Return the result in a response. Raises StoreError."""
    body = Body(subject, answer)
    try:
        if answer.status >= 300:
            code, message = error(answer.status, answer.reason, body.read())
            raise s3_error(subject, operation, status=answer.status, code=code, message=message, owner=owner)
        result = result_fields(answer.headers)
        if operation == "get_object":
            return result | {"Body": body}
        content = body.read()
        if operation == "get_object_tagging":
            return tagging(content)
        return listing(content) if operation == "list_objects_v2" else result
    except ValueError as problem:
        answer.close()
        raise StoreError(f"{subject}: an invalid answer: {printable_key(str(problem))}", transient=True) from problem
    except StoreError:
        answer.close()
        raise


def method(operation: str) -> str:
    """Return the HTTP method of an operation."""
    return _METHODS[operation]


def request_headers(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers for these parameters. Raises ValueError where one cannot be a header."""
    found = {_HEADERS[name]: str(value) for name, value in parameters.items() if name in _HEADERS}
    found |= {_METADATA_PREFIX + name.lower(): value for name, value in parameters.get("Metadata", {}).items()}
    for name, value in found.items():
        if not (name + value).isascii() or not (name + value).isprintable():
            raise ValueError(f"{name}: Non ascii characters cannot be sent in a header: {value!a}")
    return found


def query(operation: str, parameters: Mapping[str, Any]) -> str:
    """Return the query for these parameters, in the order in which it is signed."""
    if operation != "list_objects_v2":
        return "tagging=" if operation == "get_object_tagging" else ""
    found = {_QUERY[name]: str(value) for name, value in parameters.items() if name in _QUERY}
    found |= {"list-type": "2", "encoding-type": "url"}  # XML cannot contain every character of a key
    return "&".join(f"{name}={quote(found[name], safe='-_.~')}" for name in sorted(found))


def result_fields(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the results in the headers of a response. Raises ValueError for an invalid number."""
    result: dict[str, Any] = {"Metadata": {}}
    for name, value in fields.items():
        if (small := name.lower()).startswith(_METADATA_PREFIX):
            result["Metadata"][small[len(_METADATA_PREFIX) :]] = value
        elif small in _RESULT_HEADERS:
            key, number = _RESULT_HEADERS[small]
            result[key] = parsed_number(value) if number else value
    return result


def listing(body: bytes) -> dict[str, Any]:
    """Return a page of a listing, its keys decoded. Raises ValueError for any other document."""
    page = parsed_xml(body)
    if local_name(page) != "ListBucketResult":
        raise ValueError(f"<{local_name(page)}> instead of a listing")
    fields = {local_name(each): each.text or "" for each in page}
    encoded = fields.get("EncodingType") == "url"
    contents = []
    for each in page:
        if local_name(each) == "Contents":
            found = {local_name(part): part.text or "" for part in each}
            key = found.get("Key", "")
            size = parsed_number(found.get("Size", ""))
            name = unquote_plus(key) if encoded else key
            times = {"LastModified": found.get("LastModified")}
            contents.append({"Key": name, "ETag": found.get("ETag"), "Size": size, **times})
    more = {name: fields[name] for name in ("NextContinuationToken",) if name in fields}
    return {"Contents": contents, "IsTruncated": fields.get("IsTruncated") == "true", **more}


def tagging(body: bytes) -> dict[str, Any]:
    """Return the tags of an object, in S3 or Azure. Raises ValueError for any other document."""
    page = parsed_xml(body)
    if local_name(page) not in {"Tagging", "Tags"}:
        raise ValueError(f"<{local_name(page)}> instead of tags")
    tags = [{local_name(part): part.text or "" for part in tag} for tag in page.iter() if local_name(tag) == "Tag"]
    return {"TagSet": [{"Key": tag.get("Key", ""), "Value": tag.get("Value", "")} for tag in tags]}


def error(status: int, reason: str, body: bytes) -> tuple[str, str]:
    """Return code and message of an error: the HTTP status and reason where the body cannot be read."""
    try:
        fields = {local_name(each): each.text or "" for each in parsed_xml(body)}
    except ValueError:
        fields = {}
    return fields.get("Code") or str(status), fields.get("Message", reason)


def parsed_number(text: str) -> int:
    """Return a number of bytes or of tags. Raises ValueError for an invalid number, or more than any object has."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        raise ValueError(f"expected a number, found {text[:40]!a}")
    return int(text)


def parsed_xml(body: bytes) -> Xml.Element:
    """Return the root of a document, always decoded as UTF-8. Raises ValueError."""
    try:
        return Xml.fromstring(body, Xml.XMLParser(encoding="utf-8"))  # noqa: S314 - expat limits entities
    except Xml.ParseError as problem:
        raise ValueError(f"no XML: {problem}") from problem


def local_name(element: Xml.Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]
