"""A storage account of Azure: its address and its key or token, from the environment, and the signature of a request.

https://learn.microsoft.com/en-us/rest/api/storageservices/authorize-with-shared-key
https://learn.microsoft.com/en-us/azure/storage/common/storage-configure-connection-string
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Final, Self
from urllib.parse import parse_qsl, quote, urlsplit

from thumbsmith.errors import StoreError
from thumbsmith.store.s3_connections import Request

# The headers that a signature covers by their value, in this order, before those that begin with x-ms-.
_SIGNED: Final = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)

# https://learn.microsoft.com/en-us/azure/storage/common/storage-account-overview#storage-account-name
_ACCOUNT: Final = re.compile(r"[a-z0-9]{3,24}")

_MISSING: Final = (
    "az://: no credentials: set AZURE_STORAGE_ACCOUNT, and AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN;"
    " or set AZURE_STORAGE_CONNECTION_STRING"
)


@dataclass(frozen=True, slots=True)
class AzureAccount:
    """The account `name` at `endpoint`, with a `key` that signs requests, or else a `token` that they carry."""

    name: str
    endpoint: str
    key: bytes | None = field(repr=False)
    token: str = field(default="", repr=False)

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Self:
        """Return the account that these variables name. Raises StoreError where they are missing or not valid."""
        variable = "AZURE_STORAGE_CONNECTION_STRING"
        parts = _connection(settings.get(variable, ""))
        if not parts:
            variable = "AZURE_STORAGE_KEY"
            parts = {
                "accountname": settings.get("AZURE_STORAGE_ACCOUNT", ""),
                "accountkey": settings.get("AZURE_STORAGE_KEY") or settings.get("AZURE_STORAGE_ACCESS_KEY", ""),
                "sharedaccesssignature": settings.get("AZURE_STORAGE_SAS_TOKEN", ""),
            }
        name, endpoint = parts.get("accountname", ""), parts.get("blobendpoint", "").rstrip("/")
        key, token = parts.get("accountkey", ""), parts.get("sharedaccesssignature", "").lstrip("?")
        if not (key or token) or not (name or endpoint) or (key and not name):
            raise StoreError(_MISSING, transient=False)
        if not endpoint:
            if not _ACCOUNT.fullmatch(name):
                raise StoreError(f"az://: {name!a} is no name of a storage account", transient=False)
            suffix = parts.get("endpointsuffix", "core.windows.net")
            endpoint = f"{parts.get('defaultendpointsprotocol', 'https')}://{name}.blob.{suffix}"
        if not endpoint.startswith(("https://", "http://")):
            raise StoreError(f"{variable}: expected https://, found {endpoint!a}", transient=False)
        try:
            return cls(name, endpoint, base64.b64decode(key, validate=True) if key else None, token)
        except binascii.Error as error:
            raise StoreError(f"{variable}: expected a key in base64: copy it again", transient=False) from error

    @property
    def host(self) -> str:
        """Return the host, and the port if there is one."""
        return urlsplit(self.endpoint).netloc

    @property
    def path(self) -> str:
        """Return the beginning of each path: empty, or with the name of the account on other servers than Azure's."""
        return urlsplit(self.endpoint).path

    def authorize(self, request: Request, query: Mapping[str, str]) -> tuple[Request, dict[str, str]]:
        """Return the request with this query, and the headers with which it is allowed."""
        values = dict(query)
        if self.key is None:
            values |= parse_qsl(self.token)
        encoded = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in values.items())
        headers = {**request.headers, "x-ms-date": formatdate(usegmt=True)}
        request = replace(request, query=encoded)
        if self.key is not None:
            text = self._text(request, headers, query)
            signature = base64.b64encode(hmac.digest(self.key, text.encode(), "sha256")).decode()
            headers["authorization"] = f"SharedKey {self.name}:{signature}"
        return request, headers

    def _text(self, request: Request, headers: Mapping[str, str], query: Mapping[str, str]) -> str:
        """Return what a signature signs."""
        length = {"content-length": str(len(request.body))} if request.body else {}
        given = {**headers, **length}
        lines = [request.method, *(given.get(name, "") for name in _SIGNED)]
        lines += [f"{name}:{headers[name].strip()}" for name in sorted(headers) if name.startswith("x-ms-")]
        lines += [f"/{self.name}{request.path}", *(f"{name}:{query[name]}" for name in sorted(query))]
        return "\n".join(lines)


def _connection(text: str) -> dict[str, str]:
    """Return the parts of a connection string, their names in lower case."""
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
