"""What is closed at the end of a `with` block."""

from __future__ import annotations

from abc import abstractmethod
from types import TracebackType
from typing import Self


class Closing:
    """Something to be closed. What a `with` block is given is itself."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Let go of what it holds. Safe to repeat."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
