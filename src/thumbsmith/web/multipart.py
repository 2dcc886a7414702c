"""Files in the body of a form, as they arrive: multipart/form-data, RFC 7578."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from thumbsmith.web.http import Problem
from thumbsmith.web.media_types import essence

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

# What browsers encode in a file name:
# https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
_ENCODED: Final = (("%22", '"'), ("%0D", "\r"), ("%0A", "\n"))


@dataclass(frozen=True, slots=True)
class FileStart:
    """The start of a file: its name, and the Content-Type of its part, or an empty text."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The end of a file."""


Event: TypeAlias = FileStart | bytes | FileEnd


async def read_files(request: Request) -> AsyncIterator[Event]:
    """Yield the start, the content and the end of each file. Fields without a file are left out.

    Raises Problem: 415 for another Content-Type; 400 if the body is no such form, or ends too early.
    """
    collector = _Collector()
    parser = MultipartParser(_boundary(request), collector.callbacks())  # limits the number and size of headers
    try:
        async for piece in request.stream():
            parser.write(piece)
            for event in collector.take():
                yield event
    except ClientDisconnect:
        raise Problem(400, "The connection closed before the upload was complete.", code="bad_body") from None
    except FormParserError:
        raise Problem(400, "The body: expected multipart/form-data.", code="bad_body") from None
    if not collector.is_complete:
        raise Problem(400, "The body ends before its last part does.", code="bad_body")


def _boundary(request: Request) -> bytes:
    header = request.headers.get("content-type", "")
    boundary = parse_options_header(header)[1].get(b"boundary", b"")
    if essence(header) != "multipart/form-data" or not 0 < len(boundary) <= 70:  # RFC 2046, section 5.1.1
        raise Problem(415, "Content-Type: expected multipart/form-data with a boundary.", code="unsupported_type")
    return boundary


@dataclass(slots=True)
class _Collector:
    """Turns the calls of the parser into events."""

    is_complete: bool = False
    _events: list[Event] = field(default_factory=list)
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _field: bytes = b""
    _value: bytes = b""
    _is_file: bool = False

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        events, self._events = self._events, []
        return events

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _on_headers_finished(self) -> None:
        name = parse_options_header(self._headers.get(b"content-disposition"))[1].get(b"filename", b"")
        self._is_file = bool(name)  # a form sends an empty name if no file was chosen
        if self._is_file:
            kind = self._headers.get(b"content-type", b"").decode("latin-1")
            self._events.append(FileStart(_decoded(name), kind))

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._events.append(data[start:end])

    def _on_part_end(self) -> None:
        if self._is_file:
            self._events.append(FileEnd())

    def _on_end(self) -> None:
        self.is_complete = True


def _decoded(name: bytes) -> str:
    """Return a file name as text. Raises Problem (400) if it is not UTF-8."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        raise Problem(400, "filename: expected UTF-8.", code="bad_body") from None
    for encoded, character in _ENCODED:
        text = text.replace(encoded, character)
    return text
