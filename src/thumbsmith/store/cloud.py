"""What the stores of Google Cloud Storage and Azure share: buckets over our own connections, without tools of AWS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from thumbsmith.environment import ca_bundle_setting
from thumbsmith.errors import S3Error, StoreError
from thumbsmith.store.base import Store
from thumbsmith.store.s3 import S3Store
from thumbsmith.store.s3_common import server_text
from thumbsmith.store.s3_connections import ConnectionPool, Proxy


@dataclass(frozen=True, slots=True)
class CloudStore(S3Store):
    """A bucket that is not in S3, over a transport that takes the requests of S3.

    It signs no requests for others: uploads and downloads go through the server. Events of S3 do not name its objects.
    """

    lists_in_order = Store.lists_in_order
    s3_location = Store.s3_location
    presigned_put = Store.presigned_put
    presigned_get = Store.presigned_get
    upload_origins = Store.upload_origins


def connection_pool(endpoint: str) -> ConnectionPool:
    """Return connections to this server, through the proxy that the environment names for it.

    Raises StoreError for a proxy that is not reached by HTTP.
    """
    parts = urlsplit(endpoint)
    address = None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)
    if address and not address.startswith("http://"):
        raise StoreError(
            f"the proxy for {parts.scheme}: expected http://HOST:PORT, found {server_text(address.partition('://')[0])}",
            transient=False,
        )
    return ConnectionPool(
        secure=parts.scheme == "https",
        authorities=ca_bundle_setting(),
        proxy=Proxy.at(address) if address else None,
    )


def advised(error: S3Error, subject: str, advice: Mapping[str, str]) -> S3Error:
    """Return the error with what to do about it, if `advice` has that for its code, or for its status as text."""
    sentence = advice.get(error.code) or advice.get(str(error.status))
    if sentence is None:
        return error
    answer = f"{error.status} {error.code}" if error.code != str(error.status) else error.code
    return S3Error(f"{subject}: {sentence} ({answer})", status=error.status, code=error.code, transient=error.transient)
