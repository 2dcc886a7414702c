"""What a hostile file is: bytes, a name, what is wrong with them, and what must come of it."""

from dataclasses import dataclass
from typing import Literal

Expected = Literal["thumbnail", "reject", "either"]


@dataclass(frozen=True)
class Sample:
    """A file; `expected` is a thumbnail, a rejection, or either of them, with one of `codes` where those are named."""

    name: str
    data: bytes
    expected: Expected
    codes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the name: a failing test should not print megabytes."""
        return self.name
