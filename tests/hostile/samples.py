"""A hostile file: its bytes, its name, and the expected outcome."""

from dataclasses import dataclass
from typing import Literal

Expected = Literal["thumbnail", "reject", "either"]


@dataclass(frozen=True)
class Sample:
    """A file. `expected` is a thumbnail, a rejection, or either; a rejection has one of `codes`, if there are any."""

    name: str
    data: bytes
    expected: Expected
    codes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the name, so that a failing test does not print megabytes."""
        return self.name
