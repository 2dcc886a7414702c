"""Conditional and range requests (RFC 9110, sections 13 and 14): pure, from headers to what is to be sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_SPAN: Final = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")
_TAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def is_known(etag: str, headers: Mapping[str, str]) -> bool:
    """Return whether the client has this version already (If-None-Match, compared weakly)."""
    wanted = headers.get("if-none-match")
    if wanted is None:
        return False
    return wanted.strip() == "*" or etag in _TAG.findall(wanted)


def span(size: int, etag: str, headers: Mapping[str, str]) -> tuple[int, int] | None:
    """Return the first byte that is asked for and the one behind the last; None for all of them.

    Several ranges at once are answered by everything, as is a range of another version (If-Range). A range that cannot
    be read counts as none. Raises ValueError where nothing of the range is there (416).
    """
    found = _SPAN.fullmatch(headers.get("range", ""))
    if not found or not any(found.groups()) or headers.get("if-range", etag) != etag:
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1 if last else size, size)
        if last and int(last) < int(first):
            return None
    if start >= size or start >= end:
        raise ValueError(f"bytes */{size}")
    return start, end
