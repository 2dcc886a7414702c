"""Conditional requests and ranges: RFC 9110, sections 13 and 14."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from typing import Final

_RANGE: Final = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")
_ETAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True)
class Validators:
    """What identifies one version of an answer: its etag, in quotes, and when it was written, in seconds since 1970."""

    etag: str
    modified: float | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers `ETag` and `Last-Modified`. A time in the future is left out: section 8.8.2.1."""
        return {"ETag": self.etag, **({"Last-Modified": self._date} if self._date else {})}

    def match(self, request: Mapping[str, str]) -> bool:
        """Return whether the client has this version already, by the headers of a GET or HEAD request.

        `If-None-Match` decides if it is sent. Otherwise `If-Modified-Since` does: section 13.2.2.
        """
        expected = request.get("if-none-match")
        if expected is not None:
            return expected.strip() == "*" or self.etag in _ETAG.findall(expected)
        since = _seconds(request.get("if-modified-since", ""))
        return since is not None and self.modified is not None and int(self.modified) <= since

    def byte_range(self, size: int, request: Mapping[str, str]) -> tuple[int, int] | None:
        """Return the offsets of the first requested byte and of the byte after the last one; None for all bytes.

        Several ranges, a Range that cannot be parsed, and a range of another version (`If-Range`) also return None:
        section 14.2. Raises ValueError if the range begins after the end (416).
        """
        match = _RANGE.fullmatch(request.get("range", ""))
        if not match or not any(match.groups()) or not self._is_version(request.get("if-range")):
            return None
        first, last = match.groups()
        if not first:
            start, end = max(0, size - int(last)), size
        else:
            start, end = int(first), min(int(last) + 1 if last else size, size)
            if last and int(last) < int(first):
                return None
        if start >= size or start >= end:
            raise ValueError(f"bytes */{size}")
        return start, end

    def _is_version(self, if_range: str | None) -> bool:
        """Return whether `If-Range` names this version. A date must be a second old, or it is weak: section 8.8.2.2."""
        is_strong = self.modified is not None and int(self.modified) < int(time.time())
        return if_range in {None, self.etag} or (is_strong and if_range == self._date)

    @property
    def _date(self) -> str:
        is_known = self.modified is not None and self.modified <= time.time()
        return formatdate(self.modified, usegmt=True) if is_known else ""


def _seconds(date: str) -> float | None:
    """Return an HTTP date in seconds since 1970, or None if it is invalid."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
