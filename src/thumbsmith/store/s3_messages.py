"""The six operations as HTTP: what is asked, and what is answered, under the names that botocore has for both.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote_plus
from xml.etree import ElementTree as Xml

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


def headers(parameters: Mapping[str, Any]) -> dict[str, str]:
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


def answer(fields: Mapping[str, str]) -> dict[str, Any]:
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
