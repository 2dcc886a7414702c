"""A bucket, or the part of one under a prefix, as a store: in S3 or on a compatible server."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from thumbsmith.errors import Code, Rejected, S3Error, SourceChanged, StoreError
from thumbsmith.store.base import (
    MAX_KEY_BYTES,
    STRICT,
    Headers,
    ObjectInfo,
    PresignedRequest,
    Store,
    Visitor,
    opts_out,
    override,
    printable_key,
)
from thumbsmith.store.s3_common import modified_seconds, server_text

if TYPE_CHECKING:
    from thumbsmith.store.s3_client import ObjectRange, S3Client

# `open` reads this much in its one request: the header of nearly every picture, and the whole of most thumbnails and of
# every manifest.
FIRST_READ_BYTES: Final = 128 << 10

# `open_ahead` reads this much: the whole of most photographs. It is as much as a worker requests at once.
AHEAD_BYTES: Final = 4 << 20


# ETags of S3 have 70 characters at most.
_MAX_ETAG_CHARS: Final = 1024

# More bytes than any object has.
_TOO_MANY_BYTES: Final = 1 << 63

# S3 may send pages without a key: of a bucket with many delete markers, or where only common prefixes match.
_MAX_EMPTY_PAGES: Final = 1_000


@dataclass(frozen=True, slots=True)
class S3Object:
    """One version of an object. Its beginning is in memory; the rest is requested on the condition of the same etag."""

    info: ObjectInfo
    _store: S3Store
    _head: bytes

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return self.info.size

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from `offset`, `length` of them, or fewer where the object ends: one request at most.

        Raises SourceChanged when the object was replaced or deleted since it was opened, Rejected when it was archived,
        StoreError when S3 fails.
        """
        end = min(offset + length, self.size)
        start = max(offset, len(self._head))
        rest = self._store.read_version(self.info, start, end) if start < end else b""
        return self._head[offset:end] + rest

    def close(self) -> None:
        """Do nothing: no connection is open between two reads."""


@dataclass(frozen=True, slots=True)
class S3Store(Store):
    """The objects of `bucket` whose keys start with `prefix`, which is empty or ends in "/". Keys come without it.

    `owner` is the account that the bucket must belong to, if given. With `requester_pays`, each request says that its
    sender pays for it, which a bucket may require. Etags are those of S3 without the quotes. Equal bytes have equal
    etags, except after uploads in parts of other sizes.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ObjectsinRequesterPaysBuckets.html
    """

    bucket: str
    prefix: str
    client: S3Client
    owner: str | None = None
    requester_pays: bool = False

    @property
    @override
    def url(self) -> str:
        """Return s3://BUCKET/PREFIX, with ?owner= and payer=requester where they apply."""
        path = f"/{self.prefix}" if self.prefix else ""
        owner = [f"owner={self.owner}"] if self.owner else []
        options = "&".join([*owner, *(["payer=requester"] if self.requester_pays else [])])
        return f"{self.scheme}://{self.bucket}{path}" + (f"?{options}" if options else "")

    @property
    def scheme(self) -> str:
        """Return the scheme of its address."""
        return "s3"

    @property
    @override
    def max_key_bytes(self) -> int:
        return MAX_KEY_BYTES - len(self.prefix.encode())

    @property
    @override
    def etags_identify_content(self) -> bool:
        return True

    @property
    @override
    def puts_at_once(self) -> bool:
        return True

    @property
    @override
    def lists_in_order(self) -> bool:
        """Return whether this is S3 itself. Other servers do not all keep the order.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html, where directory buckets are an exception
        """
        return "amazonaws." in self.client.endpoint and not self.bucket.endswith("--x-s3")

    @property
    @override
    def s3_location(self) -> tuple[str, str] | None:
        return self.bucket, self.prefix

    @override
    def overlaps(self, other: Store) -> bool:
        """Compare endpoint, bucket and prefix. The alias of an access point counts as another bucket."""
        if not isinstance(other, S3Store):
            return False
        same = (self.bucket, self.client.endpoint) == (other.bucket, other.client.endpoint)
        return same and (self.prefix.startswith(other.prefix) or other.prefix.startswith(self.prefix))

    @override
    def head(self, key: str) -> ObjectInfo | None:
        """Return the object or None: one request for an object that exists, and one more if it has tags."""
        if not self.can_hold(key):
            return None
        try:
            answer = self._request("head_object", key, Key=self.prefix + key)
            opted_out = self._opts_out(key, answer.get("Metadata"), answer.get("TagCount"))
        except S3Error as refusal:
            if not refusal.no_such_object:
                raise
        else:
            etag, size = self._etag(answer.get("ETag"), key), self._size(answer, "ContentLength", key)
            return ObjectInfo(key, etag, size, opted_out, modified_seconds(answer))
        # The answer to HEAD has no body that says what is missing, object or bucket. The answer to GET has one.
        found = self.open(key)
        return found.info if found else None

    @override
    def open(self, key: str) -> S3Object | None:
        """Return a reader, or None. One request, which also brings the first 128 KiB, and one more if it has tags.

        Raises Rejected (archived) where the object must first be restored from an archive.
        """
        return self._open(key, FIRST_READ_BYTES)

    @override
    def open_ahead(self, key: str) -> S3Object | None:
        """Return what `open` returns, with the first 4 MiB."""
        return self._open(key, AHEAD_BYTES)

    def _open(self, key: str, first_bytes: int) -> S3Object | None:
        if not self.can_hold(key):
            return None
        try:
            piece = self._read(key, 0, first_bytes)
            opted_out = self._opts_out(key, piece.metadata, piece.tags)
        except S3Error as refusal:
            if refusal.no_such_object:
                return None
            if refusal.status == 416:  # RFC 9110, section 14.1.2: an empty object has no first byte
                return self._open_empty(key)
            raise
        info = ObjectInfo(key, self._etag(piece.etag, key), piece.size, opted_out, piece.modified)
        return S3Object(info, self, piece.data)

    def read_version(self, info: ObjectInfo, start: int, end: int) -> bytes:
        """Return the bytes from `start` to before `end` of the version that has this etag.

        Raises SourceChanged where the object was replaced or deleted.
        """
        try:
            piece = self._read(info.key, start, end, IfMatch=f'"{info.etag}"')
        except S3Error as refusal:
            if not refusal.changed:
                raise
        else:
            if self._etag(piece.etag, info.key) == info.etag:  # some servers ignore If-Match
                return piece.data
        raise SourceChanged(f"{self._address(info.key)}: replaced or removed while it was read")

    @override
    def put(self, key: str, data: bytes, headers: Headers) -> str:
        """Store the object, with a checksum: a bucket that locks its objects by default requires one.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
        """
        return self._put(key, data, headers)

    @override
    def create(self, key: str, data: bytes, headers: Headers) -> bool:
        """Store the object with `If-None-Match: *`, which S3 checks and stores in one step.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        try:
            self._put(key, data, headers, IfNoneMatch="*")
        except S3Error as refusal:
            if refusal.status != 412:
                raise
            return self._has_bytes(key, data)  # an attempt whose answer was lost may have stored it
        return True

    @override
    def delete(self, key: str) -> None:
        """Remove exactly this object; in a versioned bucket a delete marker hides it."""
        if self.can_hold(key):
            self._request("delete_object", key, Key=self.prefix + key)

    @override
    def list(
        self,
        prefix: str = "",
        *,
        after: str = "",
        visitor: Visitor = STRICT,  # noqa: ARG002 - no folder to enter
    ) -> Iterator[ObjectInfo]:
        """Yield the objects as the contract says: one request for 1,000 of them."""
        start = {"StartAfter": self.prefix + after} if after and self.lists_in_order else {}
        return (info for info in self._list_keys(prefix, **start) if info.key > after)

    @override
    def children(self, key: str) -> Iterator[ObjectInfo]:
        """Yield the objects directly under the key: one request for 1,000 of them and of deeper prefixes."""
        start = f"{key}/"
        found = self._list_keys(start, Delimiter="/") if self.can_hold(start) else iter(())
        return (info for info in found if "/" not in info.key[len(start) :])

    @override
    def check_reachable(self) -> None:
        """Raise StoreError where the bucket does not exist, belongs to another account, or may not be listed."""
        self._request("list_objects_v2", "", Prefix=self.prefix, MaxKeys=1)

    @override
    def presigned_put(
        self, key: str, content_type: str, size: int, *, replace: bool, seconds: int
    ) -> PresignedRequest | None:
        """Return the request. Type and length are signed, and so is `If-None-Match: *`, with which S3 answers 412.

        Raises StoreError where there are no credentials to sign it with.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        parameters = {"Key": self.prefix + key, **self._place, "ContentType": content_type, "ContentLength": size}
        headers = {"Content-Type": content_type}
        if not replace:
            parameters["IfNoneMatch"] = headers["If-None-Match"] = "*"
        if self.owner:
            headers["x-amz-expected-bucket-owner"] = self.owner
        if self.requester_pays:
            headers["x-amz-request-payer"] = "requester"
        return PresignedRequest(self.client.presigned("put_object", self._address(key), parameters, seconds), headers)

    @override
    def presigned_get(self, key: str, seconds: int) -> str | None:
        """Return the URL. A client that follows a redirect to it sends no headers, so the owner is not checked.

        Raises StoreError where there are no credentials to sign it with.
        """
        parameters = {"Bucket": self.bucket, "Key": self.prefix + key}
        parameters |= {"RequestPayer": "requester"} if self.requester_pays else {}
        return self.client.presigned("get_object", self._address(key), parameters, seconds)

    @property
    @override
    def upload_origins(self) -> tuple[str, ...]:
        endpoint = urlsplit(self.client.endpoint)
        hosts = (endpoint.netloc, f"{self.bucket}.{endpoint.netloc}")
        return tuple(f"{endpoint.scheme}://{host}" for host in hosts)

    def _has_bytes(self, key: str, data: bytes) -> bool:
        """Return whether the object has these bytes, as far as its etag says: that of most objects is their MD5."""
        import hashlib  # noqa: PLC0415 - it loads OpenSSL, and few requests end here

        found = self.head(key)
        return found is not None and found.etag == hashlib.md5(data, usedforsecurity=False).hexdigest()

    def _put(self, key: str, data: bytes, headers: Headers, **condition: str) -> str:
        """Store the object, and return its etag."""
        if not self.can_hold(key):
            raise StoreError(f"{self._address(key)}: no object can have this key", transient=False)
        answer = self._request(
            "put_object",
            key,
            Key=self.prefix + key,
            Body=data,
            ContentType=headers.content_type,
            CacheControl=headers.cache_control,
            ChecksumCRC32=base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode(),
            Metadata=dict(headers.metadata or {}),
            **condition,
        )
        return self._etag(answer.get("ETag"), key)

    def _request(self, operation: str, key: str, **parameters: Any) -> dict[str, Any]:
        return self.client.request(operation, self._address(key), **self._place, **parameters)

    def _read(self, key: str, start: int, end: int, **parameters: Any) -> ObjectRange:
        place = {"Key": self.prefix + key, **self._place}
        try:
            return self.client.read(self._address(key), start, end - 1, **place, **parameters)
        except S3Error as refusal:
            if refusal.archived:
                raise Rejected(Code.ARCHIVED, "in an archive: it can be read once it is restored") from refusal
            raise

    def _open_empty(self, key: str) -> S3Object | None:
        info = self.head(key)
        if info and info.size:
            raise SourceChanged(f"{self._address(key)}: replaced while it was opened")
        return S3Object(info, self, b"") if info else None

    def _opts_out(self, key: str, metadata: Mapping[str, str] | None, tags: int | None) -> bool:
        return opts_out(metadata) or (bool(tags) and opts_out(self._tags(key)))

    def _tags(self, key: str) -> dict[str, str]:
        answer = self._request("get_object_tagging", key, Key=self.prefix + key)
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def _list_keys(self, prefix: str, **parameters: Any) -> Iterator[ObjectInfo]:
        full_prefix = self.prefix + prefix
        progress = _Progress(self.lists_in_order)
        while True:
            page = self._request("list_objects_v2", prefix, Prefix=full_prefix, **parameters)
            keys = [each["Key"] for each in page.get("Contents", ())]
            token = page.get("NextContinuationToken", "") if page.get("IsTruncated") else None
            if not progress.advances(keys, token):
                raise StoreError(
                    f"{self._address(prefix)}: the listing does not advance: its pages repeat, or are"
                    " empty or out of order",
                    transient=False,
                )
            for each in page.get("Contents", ()):
                key = each["Key"][len(self.prefix) :]
                # Left out: the "folder" object of the prefix itself, and keys without the prefix, as some servers send.
                if key and each["Key"].startswith(full_prefix):
                    etag, size = self._etag(each.get("ETag"), key), self._size(each, "Size", key)
                    yield ObjectInfo(key, etag, size, modified=modified_seconds(each))
            if token is None:
                return
            parameters["ContinuationToken"] = token

    @property
    def _place(self) -> dict[str, str]:
        owner = {"ExpectedBucketOwner": self.owner} if self.owner else {}
        return {"Bucket": self.bucket, **owner, **({"RequestPayer": "requester"} if self.requester_pays else {})}

    def _address(self, key: str) -> str:
        return printable_key(f"{self.scheme}://{self.bucket}/{self.prefix}{key}")

    def _etag(self, written: str | None, key: str) -> str:
        etag = (written or "").strip('"')
        if not etag:
            raise StoreError(f"{self._address(key)}: answered without an ETag", transient=False)
        if not (etag.isascii() and etag.isprintable() and len(etag) <= _MAX_ETAG_CHARS):
            raise StoreError(
                f"{self._address(key)}: answered with an invalid ETag: {server_text(etag)}", transient=False
            )
        return etag

    def _size(self, answer: dict[str, Any], name: str, key: str) -> int:
        size = answer.get(name)
        if not isinstance(size, int) or not 0 <= size < _TOO_MANY_BYTES:
            raise StoreError(f"{self._address(key)}: answered with an invalid size", transient=False)
        return size


class _Progress:
    """Checks that a listing advances from page to page, so that it ends.

    In a listing with guaranteed order, each key must be greater than the one before. In others no two pages may begin
    with the same key or follow from the same token.
    """

    def __init__(self, lists_in_order: bool) -> None:
        self._in_order = lists_in_order
        self._last = ""
        self._empty = 0
        self._seen: set[int] = set()

    def advances(self, keys: Sequence[str], token: str | None) -> bool:
        """Return whether a page with these keys is progress; `token` is that of the next page, if any."""
        self._empty = 0 if keys else self._empty + 1
        if self._empty > _MAX_EMPTY_PAGES or token == "":
            return False
        if self._in_order:
            for key in keys:
                if key <= self._last:
                    return False
                self._last = key
        marks = {hash(("key", key)) for key in keys[:1]} | {hash(("token", token)) for _ in range(token is not None)}
        if marks & self._seen:
            return False
        self._seen |= marks
        return True
