"""Google Cloud Storage, through the API that it has for clients of S3.

https://docs.cloud.google.com/storage/docs/interoperability and https://docs.cloud.google.com/storage/docs/xml-api
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from thumbsmith.environment import cloud_settings
from thumbsmith.errors import S3Error, StoreError
from thumbsmith.store.base import Store, override
from thumbsmith.store.cloud import CloudStore, advised, connection_pool
from thumbsmith.store.s3_client import S3Client
from thumbsmith.store.s3_common import S3Endpoint
from thumbsmith.store.s3_connections import SigningKeys
from thumbsmith.store.s3_direct import DirectTransport

ENDPOINT: Final = "https://storage.googleapis.com"

# Any name is accepted as the region of a signature.
# https://docs.cloud.google.com/storage/docs/authentication/signatures#credential-scope
REGION: Final = "auto"

_ADVICE: Final = {
    "AccessDenied": "access denied: grant the service account the role Storage Object User",
    "InvalidAccessKeyId": "the HMAC key is unknown: check GS_ACCESS_KEY_ID",
    "InvalidSecurity": "the HMAC key is unknown: check GS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the signature does not match: check GS_SECRET_ACCESS_KEY",
    "403": "access denied: grant the service account the role Storage Object User",
}


@dataclass(frozen=True, slots=True)
class GcsStore(CloudStore):
    """A bucket, or the part of one under a prefix, in Google Cloud Storage."""

    @property
    @override
    def scheme(self) -> str:
        return "gs"

    # A write has another condition in Google Cloud Storage, which cannot be mixed with headers of S3:
    # https://docs.cloud.google.com/storage/docs/xml-api/reference-headers#xgoogifgenerationmatch
    create = Store.create

    @override
    def can_hold(self, key: str) -> bool:
        """Return whether an object can have this key: a name has no line breaks, and is not "." or "..".

        https://docs.cloud.google.com/storage/docs/objects#naming
        """
        name = self.prefix + key
        return Store.can_hold(self, key) and not set(name) & {"\r", "\n"} and name not in {".", ".."}


@dataclass(frozen=True, slots=True)
class GcsTransport:
    """The requests of S3, as far as Google Cloud Storage differs."""

    _direct: DirectTransport

    @property
    def endpoint(self) -> str:
        """Return the address of the server."""
        return self._direct.endpoint

    def send(self, operation: str, subject: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to an operation. Raises StoreError.

        It has no header for this checksum; the signature covers the content. A missing object cannot be deleted.
        """
        given = {name: value for name, value in parameters.items() if name != "ChecksumCRC32"}
        try:
            return self._direct.send(operation, subject, given)
        except S3Error as error:
            if operation == "delete_object" and error.no_such_object:
                return {}
            raise advised(error, subject, _ADVICE) from error


def gcs_store(bucket: str, prefix: str, outage_seconds: float) -> GcsStore:
    """Return the store for a bucket, with the HMAC key in the environment. Raises StoreError without one."""
    return GcsStore(bucket, prefix, _client(cloud_settings(), outage_seconds))


@cache
def _client(settings: frozenset[tuple[str, str]], outage_seconds: float) -> S3Client:
    found = dict(settings)
    key, secret = found.get("GS_ACCESS_KEY_ID"), found.get("GS_SECRET_ACCESS_KEY")
    if not key or not secret:
        raise StoreError(
            "gs://: no credentials: set GS_ACCESS_KEY_ID and GS_SECRET_ACCESS_KEY to an HMAC key of a service account",
            transient=False,
        )
    emulator = found.get("STORAGE_EMULATOR_HOST", "")
    endpoint = emulator if not emulator or "://" in emulator else f"http://{emulator}"
    place = S3Endpoint(REGION, (endpoint or ENDPOINT).rstrip("/"))
    direct = DirectTransport(place, SigningKeys(key, secret), connection_pool(place.url))
    return S3Client(GcsTransport(direct), outage_seconds)
