"""Counts, times and near names in sentences for people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from thumbsmith.errors import UsageError


def printable(text: str) -> str:
    """Return a text with escapes for characters that a terminal would interpret or cannot print."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def plural(count: int, word: str) -> str:
    """Return a count with its noun, such as "1 source" or "1,200 sources"."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def format_counts(counts: Mapping[str, int]) -> str:
    """Return counts as a phrase, such as "3 made, 2 fresh"."""
    return ", ".join(f"{count:,} {word}" for word, count in counts.items())


def format_codes(codes: Mapping[str, int]) -> str:
    """Return the number of rejections by reason, the most frequent first: "2 corrupt, 1 empty"."""
    return format_counts(dict(sorted(codes.items(), key=lambda each: (-each[1], each[0]))))


def format_duration(seconds: float) -> str:
    """Return an estimated time in seconds, minutes or hours, such as "about 1.5 min"."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"about {seconds / size:,.1f} {unit}"
    return f"about {seconds:,.0f} s" if seconds >= 1 else "less than 1 s"


def format_bytes(size: float) -> str:
    """Return a size with its unit, such as "3.2 MB". 1 kB is 1,000 bytes."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return plural(int(size), "byte")


def parse_count(option: str, text: str) -> float:
    """Return the number in the value of an option, such as "1000" or "1e6". Raises UsageError for other text."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise UsageError(f"{option}: expected a number of 0 or more, found {text!r}")
    return found


def nearest_path(path: str) -> str:
    """Return "; did you mean NAME?" for the file or folder that is most like a path that does not exist."""
    given = Path(path)
    try:
        return suggestion(given.name, [each.name for each in given.parent.iterdir()])
    except OSError:
        return ""


def suggestion(found: str, names: Iterable[str]) -> str:
    """Return "; did you mean NAME?" for the name that is most like the text found; an empty text if none is."""
    nearest = get_close_matches(found, list(names), n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def ignored_words(ignored: int) -> str:
    """Return how many files are no sources because of their suffix."""
    return f"{plural(ignored, 'other file')} ignored"
