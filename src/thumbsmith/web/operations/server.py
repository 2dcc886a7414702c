"""Events, access, formats, metrics and health of the server: the operations and their schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from thumbsmith.web.operations.operation import (
    COUNT,
    REJECTION,
    SIZE,
    TEXT,
    Operation,
    described,
    json_of,
    list_of,
    object_of,
)

SCHEMAS: Final[Mapping[str, Any]] = {
    "Formats": object_of(
        {
            "formats": list_of(object_of({"name": TEXT, "suffixes": list_of(TEXT), "types": list_of(TEXT)})),
            "max_bytes": described(SIZE, "The largest size of a file in bytes."),
        }
    ),
    "EventDone": object_of(
        {"images": list_of(object_of({"key": TEXT, "outcome": TEXT, "code": {"type": ["string", "null"]}}))}
    ),
    "EventQueued": object_of({"queued": COUNT}),
    "Token": object_of({"token": described(TEXT, "The token of the server.")}),
    "Health": object_of({"status": {"const": "ok"}}),
    "Problem": object_of(
        {"type": TEXT, "title": TEXT, "status": {"type": "integer"}, "detail": TEXT},
        {"code": TEXT, "rejection": REJECTION},
        open_ended=True,
    ),
}

OPERATIONS: Final = (
    Operation(
        name="receive_event",
        method="POST",
        path="/events",
        summary="Receive a notification of a server of S3. Unless the answer is 2xx, send it again.",
        body={"application/json": {"schema": {"type": "object"}}},
        responses={
            200: ("All thumbnails of the notification are right.", json_of("EventDone")),
            202: ("A queue has stored the notification.", json_of("EventQueued")),
        },
        problems=(400, 401, 403, 413, 503),
    ),
    Operation(
        name="enter",
        method="POST",
        path="/session",
        summary="Exchange the token for a cookie, for pages whose `<img>` cannot send a token.",
        body=json_of("Token"),
        responses={204: ("The cookie is set, or the server requires no token.", {})},
        problems=(400, 401, 413, 415),
    ),
    Operation(
        name="show_formats",
        method="GET",
        path="/formats",
        summary="Get the formats of files that can be uploaded, and the largest size.",
        responses={200: ("The formats.", json_of("Formats"))},
    ),
    Operation(
        name="show_metrics",
        method="GET",
        path="/metrics",
        summary="Get metrics for Prometheus.",
        responses={200: ("The metrics, in the text format of Prometheus.", {"text/plain": {"schema": TEXT}})},
    ),
    Operation(
        name="health",
        method="GET",
        path="/health",
        summary="Check whether the server is running. It answers to any Host, and needs no token.",
        responses={200: ("The server is running.", json_of("Health"))},
    ),
)
