"""Kinds of single values in a recipe: what each expects in words, as JSON schema, and as a check."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from thumbsmith.recipe.selection import is_glob

Path: TypeAlias = tuple[str, ...]
Schema: TypeAlias = dict[str, Any]

_LONGEST_SHOWN: Final = 60
_LONGEST_GLOB: Final = 1024  # as long as the longest key of S3


class Mismatch(Exception):
    """What stands at `path` of the document is not what was expected; `near` is the known name that it resembles."""

    def __init__(self, path: Path, problem: str, *, near: str | None = None) -> None:
        super().__init__(f'{problem}; did you mean "{near}"?' if near else problem)
        self.path = path
        self.near = near


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value. `expected` follows that word in a sentence; `words` are those that a slip may have meant."""

    expected: str
    schema: Schema
    fits: Callable[[Any], bool]
    words: tuple[str, ...] = ()

    def check(self, found: object, path: Path) -> None:
        """Raise Mismatch unless the value fits."""
        if not self.fits(found):
            near = nearest(found, self.words) if isinstance(found, str) else None
            raise Mismatch(path, f"expected {self.expected}, found {shown(found)}", near=near)


def integer(least: int, most: int) -> Kind:
    """Return the kind of whole numbers from `least` to `most`; a boolean is none."""
    return Kind(
        f"a whole number from {least} to {most}",
        {"type": "integer", "minimum": least, "maximum": most},
        lambda found: type(found) is int and least <= found <= most,
    )


def number(least: float, most: float, decimals: int) -> Kind:
    """Return the kind of numbers from `least` to `most` with so many decimals at most; a boolean is none."""
    return Kind(
        f"a number from {least:g} to {most:g} with at most {decimals} decimals",
        {"type": "number", "minimum": least, "maximum": most},
        lambda found: type(found) in {int, float} and least <= found <= most and round(found, decimals) == found,
    )


def boolean() -> Kind:
    """Return the kind of true and false."""
    return Kind("true or false", {"type": "boolean"}, lambda found: isinstance(found, bool))


def choice(*words: str) -> Kind:
    """Return the kind that is one of some words."""
    quoted = [f'"{word}"' for word in words]
    return Kind(listed(quoted), {"enum": list(words)}, lambda found: found in words, words)


def text(expected: str, pattern: str) -> Kind:
    """Return the kind of text that the regular expression matches whole; `expected` says what that means."""
    return Kind(
        expected,
        {"type": "string", "pattern": f"^{pattern}$"},
        lambda found: isinstance(found, str) and re.fullmatch(pattern, found) is not None,
    )


def glob() -> Kind:
    """Return the kind of globs over keys."""
    return Kind(
        f'a glob of 1 to {_LONGEST_GLOB} characters in which every "[" begins a class such as "[a-z]"',
        {"type": "string", "minLength": 1, "maxLength": _LONGEST_GLOB},
        lambda found: isinstance(found, str) and len(found) <= _LONGEST_GLOB and is_glob(found),
    )


def point() -> Kind:
    """Return the kind of two numbers, each 0 to 1."""
    return Kind(
        "[x, y] with numbers from 0 to 1",
        {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}, "minItems": 2, "maxItems": 2},
        lambda found: (
            isinstance(found, list) and len(found) == 2 and all(type(n) in {int, float} and 0 <= n <= 1 for n in found)
        ),
    )


def shown(found: object) -> str:
    """Return a value as a recipe would spell it, printable and at most 60 characters long."""
    match found:
        case bool():
            words = str(found).lower()
        case str():
            words = json.dumps(found, ensure_ascii=not found.isprintable())
        case int() if found.bit_length() > 64:
            words = hex(found)  # str() refuses numbers of more than 4,300 digits
        case list():
            words = f"[{', '.join(shown(item) for item in found)}]"
        case dict():
            words = "a table"
        case _:
            words = str(found)
    return words if len(words) <= _LONGEST_SHOWN else f"{words[: _LONGEST_SHOWN - 1]}…"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that this one is most likely a slip of, or None."""
    import difflib  # noqa: PLC0415 - only a mistake needs it

    return next(iter(difflib.get_close_matches(name.lower(), known, n=1)), None)


def listed(words: Iterable[str]) -> str:
    """Return words as a phrase: a, b or c."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last
