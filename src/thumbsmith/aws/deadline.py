"""The time that an invocation has: what cannot be done in it is handed back, before Lambda ends the process."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import Final, Self

from thumbsmith.errors import ThumbsmithError
from thumbsmith.recipe import Limits

# Seconds before the end at which all is left as it is, and the answer given. Of a function that is given little time, a
# quarter of it.
ANSWERING: Final = 2.0

# Seconds for the stores, besides the CPU time that decoding one source may take.
STORING: Final = 5.0


class OutOfTime(ThumbsmithError):
    """The invocation ends before this key can be made right."""

    transient = True


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when there is time, by time.monotonic(), and the seconds that a key is given at least."""

    at: float
    needed: float

    @classmethod
    def after(cls, seconds: float, limits: Limits) -> Self:
        """Return the deadline of an invocation that Lambda ends in so many seconds.

        A key needs what one source may cost; where that is more than half of the time, half of it: then too the first
        keys are begun.
        """
        usable = seconds - min(ANSWERING, seconds / 4)
        return cls(monotonic() + usable, min(limits.max_cpu_seconds + STORING, usable / 2))

    @property
    def left(self) -> float:
        """Return the seconds left, 0 where none are."""
        return max(self.at - monotonic(), 0.0)

    def begin(self) -> None:
        """Raise OutOfTime where there is no room for one more key."""
        if self.left < self.needed:
            raise OutOfTime("not begun: the function's time was nearly over")

    def check(self) -> None:
        """Raise OutOfTime where the time is over."""
        if not self.left:
            raise OutOfTime("not finished: the function's time was over")
