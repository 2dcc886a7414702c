"""Checks of the props of constructs. A value that cannot work gives one sentence at synthesis."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from aws_cdk import Duration, Token
from constructs import Construct

from thumbsmith.errors import UsageError

Kind = TypeVar("Kind")

_ORIGIN: Final = re.compile(r"https?://[^/*\s]+")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")


def choice(name: str, found: object, kind: type[Kind], words: Mapping[str, Kind]) -> Kind:
    """Return a value of CDK's, given itself or as a word in any case. Raises UsageError for anything else."""
    if isinstance(found, kind):
        return found
    if isinstance(found, str) and found.lower() in words:
        return words[found.lower()]
    raise UsageError(f"{name}: expected {' or '.join(words)}, found {found!r}")


def integer(name: str, found: Any, minimum: int, maximum: int) -> int:
    """Return a whole number within these limits, or a token that CDK resolves at deployment.

    Raises UsageError for anything else.
    """
    if isinstance(found, float | int) and Token.is_unresolved(found):
        return found  # type: ignore[return-value]
    if isinstance(found, bool) or not isinstance(found, int) or not minimum <= found <= maximum:
        raise UsageError(f"{name}: expected a whole number from {minimum} to {maximum}, found {found!r}")
    return found


def duration(name: str, found: Any, minimum: int, maximum: float) -> Duration:
    """Return a time, given as CDK's Duration, Python's timedelta, or a number of seconds.

    Raises UsageError for anything else, for fractions of a second, and outside `minimum` to `maximum` seconds.
    """
    if isinstance(found, Duration):
        seconds = found.to_milliseconds() / 1000
    elif isinstance(found, timedelta):
        seconds = found.total_seconds()
    else:
        seconds = found
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise UsageError(f"{name}: expected a Duration or a number of seconds, found {found!r}")
    if not minimum <= seconds <= maximum or seconds != int(seconds):
        raise UsageError(f"{name}: expected whole seconds from {minimum} to {int(maximum)}, found {seconds:g}")
    return Duration.seconds(int(seconds))


def resource(name: str, found: Any, attribute: str, expected: str) -> Any:
    """Return a construct that has the attribute by which CDK knows its kind. Raises UsageError for anything else."""
    if isinstance(found, type) or not hasattr(found, attribute):
        raise UsageError(f"{name}: expected {expected}, found {_printable(found)}")
    return found


def bucket(name: str, found: Any) -> Any:
    """Return a bucket. Raises UsageError for anything else."""
    return resource(
        name, found, "bucket_arn", "a bucket, such as s3.Bucket.from_bucket_name(stack, 'Photos', 'my-photos')"
    )


def instance(name: str, found: Any, kind: type[Kind]) -> Kind:
    """Return a construct of this class. Raises UsageError for anything else."""
    if not isinstance(found, kind):
        raise UsageError(f"{name}: expected a {kind.__name__}, found {_printable(found)}")
    return found


def flags(**found: Any) -> None:
    """Raise UsageError for a prop that is not True or False: the text "false" would count as true."""
    for name, value in found.items():
        if not isinstance(value, bool):
            raise UsageError(f"{name}: expected True or False, found {value!r}")


def sequence(name: str, found: Any, example: str) -> list[Any]:
    """Return the values of a list. Raises UsageError for a single value: a text would count as a list of letters."""
    if isinstance(found, str | bytes | Mapping) or not isinstance(found, Sequence):
        raise UsageError(f"{name}: expected a list, such as [{example}], found {_printable(found)}")
    return list(found)


def texts(name: str, found: Any, example: str) -> list[str]:
    """Return a list of texts. Raises UsageError for a single text, and for values that are not text."""
    values = sequence(name, found, repr(example))
    for each in values:
        if not isinstance(each, str):
            raise UsageError(f"{name}: expected texts, such as [{example!r}], found {_printable(each)} among them")
    return values


def origins(name: str, found: Any, *, any_origin: bool = False) -> list[str]:
    """Return the origins of web pages in lower case. Raises UsageError for a value that is not an origin.

    With `any_origin`, "*" means all origins.
    """
    values = texts(name, found, "https://example.com")
    for each in values:
        if not (_ORIGIN.fullmatch(each) or (any_origin and each == "*")):
            raise UsageError(f"{name}: expected origins such as https://example.com, found {each!r}")
    return [each.lower() for each in values]


def email(name: str, found: Any) -> str | None:
    """Return an address, or None. Raises UsageError for a text that is not an address."""
    if found is None or (isinstance(found, str) and (Token.is_unresolved(found) or _EMAIL.fullmatch(found))):
        return found
    raise UsageError(f"{name}: expected an e-mail address, found {found!r}")


def by_name(name: str, found: Any) -> dict[str, Any]:
    """Return a copy of a mapping from names to values; None is empty. Raises UsageError for anything else."""
    if found is None:
        return {}
    if not isinstance(found, Mapping) or not all(isinstance(each, str) for each in found):
        raise UsageError(
            f"{name}: expected props by name, such as {{'description': 'ours'}}, found {_printable(found)}"
        )
    return dict(found)


def construct(
    kind: type[Any], scope: Construct, id: str, ours: Mapping[str, Any], name: str, theirs: Mapping[str, Any]
) -> Any:
    """Return a construct of CDK's with our props and those that the user gave in the prop `name`, which win.

    Raises UsageError for a prop that the construct does not have, and, with CDK's words, for a value that CDK refuses.
    """
    known = [each for each in inspect.signature(kind.__init__).parameters if each not in {"self", "scope", "id"}]
    for each in theirs:
        if each not in known:
            near = get_close_matches(each, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"{name}: {kind.__name__} has no prop {each!r}{hint}")
    try:
        return kind(scope, id, **{**ours, **theirs})
    except (TypeError, RuntimeError) as error:  # jsii raises the first for types, CDK the second for values
        raise UsageError(f"{kind.__name__}: {' '.join(str(error).split())}") from error


def _printable(found: object) -> str:
    """Return a short text for a value: the value if it is plain, else its type."""
    plain = found is None or isinstance(found, str | bytes | int | float)
    return repr(found) if plain else f"a value of type {type(found).__name__}"
