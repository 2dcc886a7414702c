"""The time that an invocation has: what cannot be done in it is handed back, before Lambda ends the process."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import Final, Self

from thumbsmith.errors import ThumbsmithError
from thumbsmith.lifetime import Lifetime
from thumbsmith.recipe import Limits

# Seconds before the end at which all requests are ended, and the answer given. Of a function that is given little time,
# a quarter of it.
ANSWERING: Final = 2.0

# The part of that time in which keys may still be passed on to a larger machine.
PASSING_ON: Final = 0.75

# Seconds for the stores, besides the CPU time that decoding one source may take.
STORING: Final = 5.0


class OutOfTime(ThumbsmithError):
    """The invocation ends before this key can be made right."""

    transient = True


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when there is time, by time.monotonic(), and the seconds that a key is given at least.

    `answering` is the seconds between then and the end of the process.
    """

    at: float
    needed: float
    answering: float = ANSWERING

    @classmethod
    def after(cls, seconds: float, limits: Limits) -> Self:
        """Return the deadline of an invocation that Lambda ends in so many seconds.

        A key needs what one source may cost; where that is more than half of the time, half of it: then too the first
        keys are begun.
        """
        answering = min(ANSWERING, seconds / 4)
        usable = seconds - answering
        return cls(monotonic() + usable, min(limits.max_cpu_seconds + STORING, usable / 2), answering)

    @property
    def left(self) -> float:
        """Return the seconds left, 0 where none are."""
        return max(self.at - monotonic(), 0.0)

    def lifetime(self) -> Lifetime:
        """Return the time in which the requests of this invocation may be made."""
        return Lifetime(self.at, not_finished)

    def last_lifetime(self) -> Lifetime:
        """Return the time in which keys may be passed on, also those that there was no time for."""
        return Lifetime(self.at + PASSING_ON * self.answering, not_finished)

    def begin(self) -> None:
        """Raise OutOfTime where there is no room for one more key."""
        if self.left < self.needed:
            raise OutOfTime("not begun: the function's time was nearly over")


def not_finished() -> OutOfTime:
    """Return the error of a key that there was not enough time for."""
    return OutOfTime("not finished: the function's time was over")
