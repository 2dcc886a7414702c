"""What botocore asks of AWS, sent over connections of ours: with the limits that requests without botocore have.

botocore finds credentials and addresses, signs, and understands answers. Its own way of sending has no limit for the
whole of a request, reads bodies of any length, and cannot be ended from another thread.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError
from botocore.utils import get_environ_proxies

from thumbsmith.environment import ca_bundle_setting
from thumbsmith.store.s3_connections import BROKEN, Answer, Connections, Proxy, Unreachable
from thumbsmith.store.s3_signing import Request

# Requests that one call of botocore's may lead to: the call, a look for its bucket's region, and the call again there.
_MOST_REQUESTS = 6
_LEFT: ContextVar[list[int] | None] = ContextVar("requests", default=None)

# Headers that our way of sending brings itself, or that it does without: to wait for a server that agrees to a body
# takes a round trip.
_OURS = frozenset({"content-length", "expect", "transfer-encoding"})


def send_by_ours(client: Any, session: Any) -> None:
    """Have a client of this botocore session send its requests over connections of ours.

    A proxy that wants TLS, or another protocol than HTTP, is left to botocore.
    """
    endpoint = client.meta.endpoint_url
    secure = endpoint.startswith("https:")
    address = get_environ_proxies(endpoint).get("https" if secure else "http")
    if address and not address.startswith("http://"):
        return
    authorities = session.get_config_variable("ca_bundle") or ca_bundle_setting()
    connections = Connections(secure=secure, authorities=authorities, proxy=_proxy(address) if address else None)
    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register(f"before-send.{service}", partial(_sent, connections))


class Redirected(Exception):
    """Answers lead from one region to another, again and again."""


@contextmanager
def one_call() -> Iterator[None]:
    """Make one call of a client in the block. Raises Redirected where it leads to more requests than any call needs.

    botocore follows a bucket to the region that an answer names, and again from there, for as long as answers do.
    """
    before = _LEFT.set([_MOST_REQUESTS])
    try:
        yield
    finally:
        _LEFT.reset(before)


def _sent(connections: Connections, request: Any, **_: object) -> AWSResponse:
    """Return the answer to a request of botocore's. Raises what botocore takes for a connection that fails.

    https://botocore.amazonaws.com/v1/documentation/api/latest/topics/events.html, "before-send"
    """
    left = _LEFT.get()
    if left is not None:
        left[0] -= 1
        if left[0] < 0:
            raise Redirected
    parts = urlsplit(request.url)
    body = request.body or b""
    asked = Request(
        method=request.method,
        host=parts.netloc,
        path=parts.path or "/",
        query=parts.query,
        headers={},
        body=body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else body.read(),
    )
    headers = {name: _text(value) for name, value in request.headers.items() if name.lower() not in _OURS}
    try:
        answer = connections.ask(asked, {"host": parts.netloc, **headers})
    except Unreachable as problem:
        raise EndpointConnectionError(endpoint_url=f"{parts.scheme}://{parts.netloc}", error=problem) from problem
    except BROKEN as problem:
        raise ConnectionClosedError(endpoint_url=request.url, request=request, error=problem) from problem
    return AWSResponse(request.url, answer.status, answer.headers, _Raw(answer))


@dataclass(frozen=True, slots=True)
class _Raw:
    """The body of an answer, as botocore reads it. Raises what a connection raises."""

    answer: Answer

    def read(self, *_: object) -> bytes:
        return self.answer.read()

    def stream(self) -> Iterator[bytes]:
        try:
            yield self.answer.read()
        except BaseException:
            self.answer.close()
            raise

    def close(self) -> None:
        self.answer.close()


def _proxy(address: str) -> Proxy:
    parts = urlsplit(address)
    headers = {}
    if parts.username is not None:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode()}"
    return Proxy(parts.hostname or "", parts.port or 80, headers)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
