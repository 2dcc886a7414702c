"""The kinds of values that a recipe's fields take. Each kind checks a value, describes it and gives its JSON schema.

A dataclass declares a field with `option`: the kind, the description and the default stand there and nowhere else.
`Checked` applies the kinds to every object, from TOML, from JSON and from Python.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from thumbsmith.errors import RecipeError

FieldPath: TypeAlias = tuple[str, ...]
Schema: TypeAlias = dict[str, Any]

MAX_SHOWN_CHARACTERS: Final = 60
_OPTION: Final = "option"


class Mismatch(Exception):
    """The value at `path` is not what was expected. `near` is the known name that it resembles."""

    def __init__(self, path: FieldPath, problem: str, *, near: str | None = None) -> None:
        super().__init__(f'{problem}; did you mean "{near}"?' if near else problem)
        self.path = path
        self.near = near


class Kind:
    """A kind of value. `expected` follows that word in a message; `schema` is its JSON schema.

    `read(found, path)` returns the value in its one normal form, and raises Mismatch for any other value. A value in
    normal form is read as itself. These are plain classes, because a dataclass takes longer to create: measured 0.4 ms
    each at the start of a worker.
    """

    __slots__ = ("expected", "read", "schema")

    def __init__(self, expected: str, schema: Schema, read: Callable[[Any, FieldPath], Any]) -> None:
        self.expected = expected
        self.schema = schema
        self.read = read

    def mapped(self, function: Callable[[Any], Any]) -> Kind:
        """Return this kind with `function` applied to each value that was read."""
        return Kind(self.expected, self.schema, lambda found, path: function(self.read(found, path)))


class Option:
    """A field of a table: its kind, its description for people, and its default as TOML writes it, else None."""

    __slots__ = ("default", "description", "kind")

    def __init__(self, kind: Kind, description: str, default: Any = None) -> None:
        self.kind = kind
        self.description = description
        self.default = default

    @property
    def schema(self) -> Schema:
        """Return the JSON schema, with the description and the default."""
        default = {} if self.default is None else {"default": self.default}
        return {"description": self.description, **default, **self.kind.schema}


class Table(Kind):
    """A table of known fields, each of which may be left out. It is read as a dict of values in normal form."""

    __slots__ = ("options",)

    def __init__(self, options: Mapping[str, Option], expected: str = "a table") -> None:
        self.options = options
        properties = {name: option.schema for name, option in options.items()}
        schema = {"type": "object", "properties": properties, "additionalProperties": False}
        super().__init__(expected, schema, self._read)

    def _read(self, found: Any, path: FieldPath) -> dict[str, Any]:
        if not isinstance(found, dict):
            raise mismatch(path, self.expected, found)
        return {name: self._known(name, value, path).kind.read(value, (*path, name)) for name, value in found.items()}

    def _known(self, name: str, value: object, path: FieldPath) -> Option:
        if name in self.options:
            return self.options[name]
        near = nearest(name, self.options)
        what = "unknown table" if isinstance(value, dict) else "unknown key"
        raise Mismatch((*path, name), what if near else f"{what}, expected {listed(self.options)}", near=near)


class Checked:
    """The base of a recipe's dataclasses. A new object has each option in normal form, or RecipeError is raised."""

    __slots__ = ()

    def __post_init__(self) -> None:
        try:
            self._check()
        except Mismatch as wrong:
            where = ": ".join([self._label(), *([".".join(wrong.path)] if wrong.path else [])])
            raise RecipeError(f"{where}: {wrong}") from None

    def _check(self) -> None:
        """Put each option in normal form. Raises Mismatch."""
        for name, declared, default in options(type(self)):
            found = getattr(self, name)
            if found is not default:
                object.__setattr__(self, name, declared.kind.read(found, (name,)))

    def _label(self) -> str:
        return type(self).__name__


def option(kind: Kind, description: str, default: Any = None) -> Any:
    """Declare a field of a `Checked` dataclass. `default` is as TOML writes it; None for a field without one."""
    value = None if default is None else kind.read(default, ())
    return dataclasses.field(default=value, metadata={_OPTION: Option(kind, description, default)})


def table_of(declared: type[Checked], expected: str = "a table") -> Table:
    """Return the table of a dataclass's options."""
    return Table({name: each for name, each, _ in options(declared)}, expected)


_OPTIONS: Final[dict[type[Checked], tuple[tuple[str, Option, Any], ...]]] = {}


def options(declared: type[Checked]) -> tuple[tuple[str, Option, Any], ...]:
    """Return the options that a dataclass declares: name, option, default in normal form."""
    if declared not in _OPTIONS:
        fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(declared)  # type: ignore[arg-type]
        _OPTIONS[declared] = tuple((f.name, f.metadata[_OPTION], f.default) for f in fields if _OPTION in f.metadata)
    return _OPTIONS[declared]


def integer(least: int, most: int) -> Kind:
    """Return the kind of whole numbers from `least` to `most`. A boolean is not one."""
    return kind(
        f"a whole number from {least} to {most}",
        {"type": "integer", "minimum": least, "maximum": most},
        lambda found: type(found) is int and least <= found <= most,
    )


def number(least: float, most: float, decimals: int) -> Kind:
    """Return the kind of numbers from `least` to `most` with at most `decimals` decimals. A boolean is not one."""
    return kind(
        f"a number from {least:g} to {most:g} with at most {decimals} decimals",
        {"type": "number", "minimum": least, "maximum": most},
        lambda found: type(found) in {int, float} and least <= found <= most and round(found, decimals) == found,
    ).mapped(_float)


def boolean() -> Kind:
    """Return the kind of true and false."""
    return kind("true or false", {"type": "boolean"}, lambda found: isinstance(found, bool))


def choice(*words: str) -> Kind:
    """Return the kind that is one of some words. A member of a StrEnum among `words` is read as that member."""
    members = {word: word for word in words}
    return kind(
        listed(f'"{word}"' for word in words),
        {"enum": list(words)},
        lambda found: isinstance(found, str) and found in members,
        words,
    ).mapped(members.__getitem__)


def text(expected: str, pattern: str) -> Kind:
    """Return the kind of text that the regular expression matches as a whole."""
    matches = re.compile(pattern).fullmatch
    return kind(
        expected,
        {"type": "string", "pattern": f"^{pattern}$"},
        lambda found: isinstance(found, str) and matches(found) is not None,
    )


def point() -> Kind:
    """Return the kind of two numbers, each 0 to 1. It is read as a tuple of floats."""
    return kind(
        "[x, y] with numbers from 0 to 1",
        {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}, "minItems": 2, "maxItems": 2},
        lambda found: (
            isinstance(found, list | tuple)
            and len(found) == 2
            and all(type(n) in {int, float} and 0 <= n <= 1 for n in found)
        ),
    ).mapped(lambda found: (_float(found[0]), _float(found[1])))


def list_of(item: Kind, *, empty: bool = False, most: int | None = None) -> Kind:
    """Return the kind of lists with items of one kind, at most `most`. It is read as a tuple without equal items."""
    size = f" of at most {most}" if most else ""
    expected = f"a {'' if empty else 'non-empty '}list{size}, each item {item.expected}"
    items = {"maxItems": most} if most else {}

    def read(found: Any, path: FieldPath) -> tuple[Any, ...]:
        if not isinstance(found, list | tuple) or not (found or empty) or len(found) > (most or len(found)):
            raise mismatch(path, expected, found)
        return tuple(dict.fromkeys(item.read(each, path) for each in found))

    return Kind(expected, {"type": "array", "items": item.schema, "minItems": 0 if empty else 1, **items}, read)


def one_of(*kinds: Kind) -> Kind:
    """Return the kind of values that one of some kinds takes."""
    expected = listed(each.expected for each in kinds)

    def read(found: Any, path: FieldPath) -> Any:
        wrong = []
        for alternative in kinds:
            try:
                return alternative.read(found, path)
            except Mismatch as problem:
                wrong.append(problem)
        for each in wrong:
            if each.path != path:  # the value is a table of the right kind, with a mistake in it
                raise each
        raise mismatch(path, expected, found, near=next((each.near for each in wrong if each.near), None))

    return Kind(expected, {"anyOf": [each.schema for each in kinds]}, read)


def kind(expected: str, schema: Schema, fits: Callable[[Any], bool], words: Iterable[str] = ()) -> Kind:
    """Return the kind of values that `fits` accepts. `words` are the words that a spelling mistake may have meant."""

    def read(found: Any, path: FieldPath) -> Any:
        if not fits(found):
            raise mismatch(path, expected, found, near=nearest(found, words) if isinstance(found, str) else None)
        return found

    return Kind(expected, schema, read)


def mismatch(path: FieldPath, expected: str, found: object, *, near: str | None = None) -> Mismatch:
    """Return the error for a value that is not of the expected kind."""
    return Mismatch(path, f"expected {expected}, found {format_value(found)}", near=near)


def format_value(found: object) -> str:
    """Return a value as a recipe would spell it: printable, and at most 60 characters long."""
    match found:
        case bool():
            words = str(found).lower()
        case str():
            words = json.dumps(found, ensure_ascii=not found.isprintable())
        case int() if found.bit_length() > 64:
            words = hex(found)  # str() refuses numbers of more than 4,300 digits
        case list() | tuple():
            words = f"[{', '.join(format_value(item) for item in found)}]"
        case dict():
            words = "a table"
        case _:
            words = " ".join(str(found).split())
    return words if len(words) <= MAX_SHOWN_CHARACTERS else f"{words[: MAX_SHOWN_CHARACTERS - 1]}…"


def no_two_alike(names: Iterable[str], path: FieldPath) -> None:
    """Raise Mismatch for a name that another one equals but for case: many folders would hold one file for both."""
    seen: dict[str, str] = {}
    for name in names:
        if name.lower() in seen:
            other = seen[name.lower()]
            raise Mismatch((*path, name), f'expected a name that differs by more than case, found "{other}" before it')
        seen[name.lower()] = name


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` most likely is a spelling mistake of, or None."""
    import difflib  # noqa: PLC0415 - only a mistake needs it

    return next(iter(difflib.get_close_matches(name.lower(), known, n=1)), None)


def listed(words: Iterable[str]) -> str:
    """Return words as a phrase: a, b or c."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _float(found: float) -> float:
    return float(found) + 0.0  # -0.0 becomes 0.0
