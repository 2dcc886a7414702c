"""How values make up a recipe: lists, alternatives, tables of known fields, and tables under names of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from thumbsmith.recipe.kinds import Kind, Mismatch, Path, Schema, listed, nearest, shown


class Shape(Protocol):
    """What a kind, a list or a table has in common."""

    @property
    def expected(self) -> str:
        """Return the words that follow "expected" in a sentence."""
        ...

    @property
    def schema(self) -> Schema:
        """Return the shape as JSON schema, as far as that can say it."""
        ...

    def check(self, found: object, path: Path) -> None:
        """Raise Mismatch unless the value has this shape."""
        ...


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of items of one kind, at most `most` where that is given."""

    item: Kind
    empty: bool = False
    most: int | None = None

    @property
    def expected(self) -> str:
        """Return the list in words."""
        size = f" of at most {self.most}" if self.most else ""
        return f"a {'' if self.empty else 'non-empty '}list{size}, each item {self.item.expected}"

    @property
    def schema(self) -> Schema:
        """Return the list as JSON schema."""
        most = {"maxItems": self.most} if self.most else {}
        return {"type": "array", "items": self.item.schema, "minItems": 0 if self.empty else 1, **most}

    def check(self, found: object, path: Path) -> None:
        """Raise Mismatch for what is no list, is too short or long, or for the first item that is wrong."""
        if not isinstance(found, list) or not (found or self.empty) or len(found) > (self.most or len(found)):
            raise Mismatch(path, f"expected {self.expected}, found {shown(found)}")
        for item in found:
            self.item.check(item, path)


@dataclass(frozen=True, slots=True)
class OneOf:
    """A value of either of some shapes."""

    shapes: tuple[Shape, ...]

    @property
    def expected(self) -> str:
        """Return the shapes in words."""
        return listed(shape.expected for shape in self.shapes)

    @property
    def schema(self) -> Schema:
        """Return the shapes as JSON schema."""
        return {"anyOf": [shape.schema for shape in self.shapes]}

    def check(self, found: object, path: Path) -> None:
        """Raise Mismatch unless some shape takes it; a shape that got as far as a key inside has the say."""
        mismatches = []
        for shape in self.shapes:
            try:
                return shape.check(found, path)
            except Mismatch as mismatch:
                mismatches.append(mismatch)
        for inside in mismatches:
            if inside.path != path:
                raise inside
        near = next((each.near for each in mismatches if each.near), None)
        raise Mismatch(path, f"expected {self.expected}, found {shown(found)}", near=near)


@dataclass(frozen=True, slots=True)
class Field:
    """A value of a table: its shape, what it means, in a sentence for people, and its default where it has one."""

    shape: Shape
    means: str
    default: object = None

    @property
    def schema(self) -> Schema:
        """Return the field as JSON schema, with what it means and its default."""
        default = {} if self.default is None else {"default": self.default}
        return {"description": self.means, **default, **self.shape.schema}


@dataclass(frozen=True, slots=True)
class Table:
    """A table of known fields, each of which may be left out."""

    fields: Mapping[str, Field]
    expected: str = "a table"

    @property
    def schema(self) -> Schema:
        """Return the table as JSON schema."""
        properties = {name: field.schema for name, field in self.fields.items()}
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def check(self, found: object, path: Path) -> None:
        """Raise Mismatch for what is no table, or for the first key or value that is wrong."""
        if not isinstance(found, dict):
            raise Mismatch(path, f"expected {self.expected}, found {shown(found)}")
        for name, value in found.items():
            if name not in self.fields:
                raise self._unknown(name, value, path)
            self.fields[name].shape.check(value, (*path, name))

    def _unknown(self, name: str, value: object, path: Path) -> Mismatch:
        near = nearest(name, self.fields)
        what = "unknown table" if isinstance(value, dict) else "unknown key"
        return Mismatch((*path, name), what if near else f"{what}, expected {listed(self.fields)}", near=near)


@dataclass(frozen=True, slots=True)
class Named:
    """Tables of one shape under names of one's own, 1 to `most` of them. No two names differ by case only."""

    name: Kind
    table: Table
    most: int

    @property
    def expected(self) -> str:
        """Return the number of tables in words."""
        return f"1 to {self.most} tables"

    @property
    def schema(self) -> Schema:
        """Return the tables as JSON schema."""
        return {
            "type": "object",
            "patternProperties": {self.name.schema["pattern"]: self.table.schema},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": self.most,
        }

    def check(self, found: object, path: Path) -> None:
        """Raise Mismatch for what is no table of tables, too few or many, or the first name or table that is wrong."""
        if not isinstance(found, dict):
            raise Mismatch(path, f"expected {self.expected}, found {shown(found)}")
        if not 1 <= len(found) <= self.most:
            raise Mismatch(path, f"expected {self.expected}, found {len(found)}")
        folded: dict[str, str] = {}
        for name, table in found.items():
            self.name.check(name, (*path, name))
            other = folded.setdefault(name.lower(), name)
            if other != name:  # their files would be one file in a folder that does not tell case apart
                raise Mismatch(
                    (*path, name), f'expected a name that differs by more than case, found "{other}" before it'
                )
            self.table.check(table, (*path, name))
