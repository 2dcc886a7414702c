"""From an address to a store."""

from __future__ import annotations

import os
import re
from threading import Lock
from typing import TYPE_CHECKING, Final

from thumbsmith.errors import StoreError, UsageError
from thumbsmith.store.base import printable_key

if TYPE_CHECKING:
    from thumbsmith.store.base import Store
    from thumbsmith.store.memory import MemoryStore


# RFC 3986, section 3.1: the syntax of a scheme. "C:\photos" and "a:b" have none: "://" must follow.
_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)

# The part after s3://. The name of a bucket is checked as the tools of AWS do. The options come last: a prefix that
# itself ends like that needs a final "/".
_BUCKET: Final = re.compile(
    r"([A-Za-z0-9._-]{1,255})(?:/(.*?))?(?:\?(owner=[0-9]{12}|payer=requester|owner=[0-9]{12}&payer=requester))?",
    re.DOTALL,
)

# Beginnings of addresses with too few slashes: "s3://b/x" as a Path, or a typing error.
_MISSING_SLASHES: Final = re.compile(
    r"(?:s3[an]?|gs|gcs|az|abfss?|file|https?|ftp|memory|sqs|arn)(?::|//)", re.IGNORECASE
)

# Programs such as rsync take this for a folder of another machine. "C:/photos" is none.
_REMOTE_PATH: Final = re.compile(r"[^/]{2,}:/")

# The same in Google Cloud Storage and in Azure, without an account. https://docs.cloud.google.com/storage/docs/buckets
_CLOUD_BUCKET: Final = re.compile(r"([A-Za-z0-9$._-]{1,222})(?:/(.*?))?", re.DOTALL)

_EXPECTED: Final = (
    "a folder's path, file:///PATH, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or memory://NAME"
)

_MEMORIES: Final[dict[str, MemoryStore]] = {}
_LOCK: Final = Lock()


def open_store(url: str | os.PathLike[str], *, outage_seconds: float = 0.0) -> Store:
    """Return the store at a folder's path, file:///PATH, s3://, gs:// or az://BUCKET/PREFIX, or memory://NAME.

    A folder may be missing. If its name looks like another address, use an absolute path, or "./" before it.
    After file:// a path is percent-encoded (RFC 8089). A prefix gets a final "/" if it has none; ?owner= and twelve
    digits after it name the account that the bucket must belong to. With ?payer=requester, this account pays for
    requests to a bucket of another one. There is one memory store for each name in this
    process. `outage_seconds` is how long requests are retried once the bucket has answered any.

    Raises StoreError, not transient, for any other address, and if the settings for the cloud cannot be used. Raises
    UsageError for a value that is no address.

        photos = open_store("photos")
        print(converge("cat.jpg", photos, "thumbs").status)
    """
    if not isinstance(url, str | os.PathLike):
        raise UsageError(f"expected the address of a store, such as ./photos, found {type(url).__name__}")
    address = _ADDRESS.fullmatch(url) if isinstance(url, str) else None
    if address is None:
        return _folder(_checked_path(os.fsdecode(url)))
    scheme, rest = address[1].lower(), address[2]
    if scheme == "file":
        return _folder(_decoded_path(rest))
    if scheme == "s3":
        return _bucket(rest, outage_seconds)
    if scheme in {"gs", "az"}:
        return _cloud_bucket(scheme, rest, outage_seconds)
    if scheme == "memory":
        from thumbsmith.store.memory import MemoryStore  # noqa: PLC0415 - each store is loaded where it is used

        with _LOCK:
            return _MEMORIES.setdefault(rest, MemoryStore(rest))
    raise StoreError(f"{scheme}:// is no known store: give {_EXPECTED}", transient=False)


def as_store(place: Store | str | os.PathLike[str]) -> Store:
    """Return a store, or the store at an address. Raises as `open_store` does, and UsageError for any other value."""
    if isinstance(place, str | os.PathLike):
        return open_store(place)
    if not hasattr(place, "as_destination"):
        raise UsageError(f"expected a store, or the address of one, such as ./photos, found {type(place).__name__}")
    return place


def _checked_path(path: str) -> str:
    """Return the path of a folder. Raises StoreError where it was probably meant as another address."""
    first = path.partition("/")[0]
    if path == "-":
        found = "a dash, which means standard input or output"
    elif _MISSING_SLASHES.match(path):
        found = "an address without its ://"
    elif _REMOTE_PATH.match(path) and not os.path.isdir(first):  # noqa: PTH112 - pathlib is loaded where it is needed
        found = "a place on another machine"
    elif first.startswith("~") and not os.path.isdir(first):  # noqa: PTH112 - as above
        found = "a home folder, which only a shell resolves, and only without quotes"
    else:
        return path
    raise StoreError(f"{printable_key(path)}: expected {_EXPECTED}, found {found}", transient=False)


def _decoded_path(rest: str) -> str:
    from urllib.parse import unquote  # noqa: PLC0415 - it loads what only URLs need

    host, slash, path = rest.partition("/")
    if host not in {"", "localhost"} or not slash:
        raise StoreError(f"{printable_key('file://' + rest)}: expected file:/// and an absolute path", transient=False)
    return "/" + unquote(path, errors="surrogateescape")


def _folder(path: str) -> Store:
    if not path or "\0" in path:
        raise StoreError(f"{printable_key(path) or 'nothing'}: expected the path of a folder", transient=False)
    from thumbsmith.store.folder import FolderStore  # noqa: PLC0415 - each store is loaded where it is used

    try:
        given = path if path.startswith("/") else f"{os.getcwd()}/{path}"  # noqa: PTH109 - as above
    except OSError as error:
        raise StoreError(
            f"{printable_key(path)}: the working folder does not exist any more: give an absolute path", transient=False
        ) from error
    return FolderStore(os.path.realpath(given), given=given.rstrip("/") or "/")


def _bucket(rest: str, outage_seconds: float) -> Store:
    found = _BUCKET.fullmatch(rest)
    if found is None:
        raise StoreError(f"{printable_key('s3://' + rest)}: expected s3:// and a bucket's name", transient=False)
    from thumbsmith.environment import aws_region, aws_settings  # noqa: PLC0415 - with the store, below
    from thumbsmith.store.s3 import S3Store  # noqa: PLC0415 - each store is loaded where it is used
    from thumbsmith.store.s3_client import connected_client  # noqa: PLC0415 - likewise

    bucket, prefix, options = found.groups(default="")
    given = dict(each.split("=") for each in options.split("&") if each)
    client = connected_client(bucket, aws_region(), aws_settings(), outage_seconds)
    return S3Store(bucket, _with_slash(prefix), client, given.get("owner"), "payer" in given)


def _cloud_bucket(scheme: str, rest: str, outage_seconds: float) -> Store:
    found = _CLOUD_BUCKET.fullmatch(rest)
    if found is None:
        kind = "bucket" if scheme == "gs" else "container"
        raise StoreError(
            f"{printable_key(f'{scheme}://{rest}')}: expected {scheme}:// and a {kind}'s name", transient=False
        )
    bucket, prefix = found.groups(default="")
    if scheme == "gs":
        from thumbsmith.store.gcs import gcs_store  # noqa: PLC0415 - each store is loaded where it is used

        return gcs_store(bucket, _with_slash(prefix), outage_seconds)
    from thumbsmith.store.azure import azure_store  # noqa: PLC0415 - likewise

    return azure_store(bucket, _with_slash(prefix), outage_seconds)


def _with_slash(prefix: str) -> str:
    return prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
