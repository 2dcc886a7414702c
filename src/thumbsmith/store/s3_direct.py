"""The six operations as HTTP: what is asked, and what is answered, under the names that botocore has for both.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html

Requests to S3 without botocore, which takes longer to load than a thumbnail to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self
from urllib.parse import quote, unquote_plus
from xml.etree import ElementTree as Xml

from thumbsmith.errors import StoreError
from thumbsmith.store.base import printable
from thumbsmith.store.s3_common import Site, broken_off, is_region, refused, unreachable
from thumbsmith.store.s3_connections import BROKEN, Answer, Connections, Keys, Request, Unreachable, signed

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
    "ContentType": "content-type",
    "CacheControl": "cache-control",
    "ExpectedBucketOwner": "x-amz-expected-bucket-owner",
    "ChecksumCRC32": "x-amz-checksum-crc32",
}

_QUERY: Final = {
    "Prefix": "prefix",
    "Delimiter": "delimiter",
    "MaxKeys": "max-keys",
    "ContinuationToken": "continuation-token",
    "StartAfter": "start-after",
}

# Headers of an answer: their names, and whether a number stands there.
_ANSWERED: Final = {
    "etag": ("ETag", False),
    "content-length": ("ContentLength", True),
    "content-range": ("ContentRange", False),
    "content-type": ("ContentType", False),
    "cache-control": ("CacheControl", False),
    "x-amz-tagging-count": ("TagCount", True),
}
_META: Final = "x-amz-meta-"

# What has no more digits fits into 64 bits.
_MAX_DIGITS: Final = 18


def method(operation: str) -> str:
    """Return the HTTP method of an operation."""
    return _METHODS[operation]


def request_headers(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that say these parameters. Raises ValueError where one cannot be a header."""
    found = {_HEADERS[name]: str(value) for name, value in parameters.items() if name in _HEADERS}
    found |= {_META + name.lower(): value for name, value in parameters.get("Metadata", {}).items()}
    for name, value in found.items():
        if not (name + value).isascii() or not (name + value).isprintable():
            raise ValueError(f"{name}: Non ascii characters cannot be sent in a header: {value!a}")
    return found


def query(operation: str, parameters: Mapping[str, Any]) -> str:
    """Return the query that says these parameters, in the order in which it is signed."""
    if operation != "list_objects_v2":
        return "tagging=" if operation == "get_object_tagging" else ""
    said = {_QUERY[name]: str(value) for name, value in parameters.items() if name in _QUERY}
    said |= {"list-type": "2", "encoding-type": "url"}  # not every character of a key can stand in XML
    return "&".join(f"{name}={quote(said[name], safe='-_.~')}" for name in sorted(said))


def answer_fields(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return what the headers of an answer say. Raises ValueError where there is something else than a number."""
    said: dict[str, Any] = {"Metadata": {}}
    for name, value in fields.items():
        if (small := name.lower()).startswith(_META):
            said["Metadata"][small[len(_META) :]] = value
        elif small in _ANSWERED:
            key, number = _ANSWERED[small]
            said[key] = _number(value) if number else value
    return said


def listing(body: bytes) -> dict[str, Any]:
    """Return a page of a listing, its keys decoded. Raises ValueError where it is none."""
    page = _parsed(body)
    if _name(page) != "ListBucketResult":
        raise ValueError(f"<{_name(page)}> instead of a listing")
    said = {_name(each): each.text or "" for each in page}
    encoded = said.get("EncodingType") == "url"
    contents = []
    for each in page:
        if _name(each) == "Contents":
            found = {_name(part): part.text or "" for part in each}
            key = found.get("Key", "")
            size = _number(found.get("Size", ""))
            contents.append({"Key": unquote_plus(key) if encoded else key, "ETag": found.get("ETag"), "Size": size})
    more = {name: said[name] for name in ("NextContinuationToken",) if name in said}
    return {"Contents": contents, "IsTruncated": said.get("IsTruncated") == "true", **more}


def tagging(body: bytes) -> dict[str, Any]:
    """Return an object's tags. Raises ValueError where it is no such answer."""
    page = _parsed(body)
    if _name(page) != "Tagging":
        raise ValueError(f"<{_name(page)}> instead of tags")
    tags = [{_name(part): part.text or "" for part in tag} for tag in page.iter() if _name(tag) == "Tag"]
    return {"TagSet": [{"Key": tag.get("Key", ""), "Value": tag.get("Value", "")} for tag in tags]}


def error(status: int, reason: str, body: bytes) -> tuple[str, str]:
    """Return code and message of a refusal: the status and its words where there is no body that can be read."""
    try:
        said = {_name(each): each.text or "" for each in _parsed(body)}
    except ValueError:
        said = {}
    return said.get("Code") or str(status), said.get("Message", reason)


def _number(text: str) -> int:
    """Return a number of bytes or of tags. Raises ValueError for what is none, or more than any object has."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        raise ValueError(f"expected a number, found {text[:40]!a}")
    return int(text)


def _parsed(body: bytes) -> Xml.Element:
    """Return the root of an answer, which is in UTF-8 whatever its first line declares. Raises ValueError."""
    try:
        return Xml.fromstring(body, Xml.XMLParser(encoding="utf-8"))  # noqa: S314 - expat limits entities
    except Xml.ParseError as problem:
        raise ValueError(f"no XML: {problem}") from problem


def _name(element: Xml.Element) -> str:
    return element.tag.rpartition("}")[2]


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

        Raises StoreError: S3Error where S3 answered with an error.
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
                method=method(operation),
                host=host,
                path=path,
                query=query(operation, parameters),
                headers=request_headers(parameters),
                body=parameters.get("Body", b""),
            )
        except ValueError as problem:
            raise StoreError(f"{subject}: {printable(str(problem))}", transient=False) from problem
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
            code, message = error(answer.status, answer.reason, body.read())
            raise refused(subject, operation, status=answer.status, code=code, message=message, owner=owner)
        said = answer_fields(answer.headers)
        if operation == "get_object":
            return said | {"Body": body}
        content = body.read()
        if operation == "get_object_tagging":
            return tagging(content)
        return listing(content) if operation == "list_objects_v2" else said
    except ValueError as problem:
        answer.close()
        raise StoreError(
            f"{subject}: an answer that cannot be read: {printable(str(problem))}", transient=True
        ) from problem
    except StoreError:
        answer.close()
        raise
