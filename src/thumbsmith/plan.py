"""What `sync` would do, in numbers: how many sources and objects, how many bytes. What it costs, `cost` tells."""

from __future__ import annotations

from dataclasses import dataclass, field

from thumbsmith.assess import State
from thumbsmith.cost import GONE, NOTHING, Amount, source
from thumbsmith.standing import Standing


@dataclass(slots=True)
class Totals:
    """Counts and bytes of all that was inspected, and what is to be done as an amount."""

    sources: dict[str, int] = field(default_factory=lambda: {state.value: 0 for state in State})
    failed: int = 0  # sources
    errors: int = 0
    to_read: int = 0  # bytes of the sources to be made
    orphaned: int = 0
    to_delete: int = 0  # bytes of the objects that are orphaned
    foreign: int = 0
    amount: Amount = NOTHING

    def add(self, standing: Standing) -> None:
        """Count what stands under one key."""
        self.orphaned += len(standing.orphaned)
        self.foreign += len(standing.foreign)
        self.to_delete += sum(info.size for info in standing.orphaned)
        self.errors += standing.error is not None
        self.failed += standing.error is not None and standing.source is not None
        if standing.state and standing.source:
            self.sources[standing.state] += 1
            if standing.state in {State.MISSING, State.STALE}:
                self.to_read += standing.source.size
                self.amount += source(standing.source.size)
        elif standing.orphaned:
            self.amount += GONE

    @property
    def to_make(self) -> int:
        """Return the number of sources to be made."""
        return self.sources[State.MISSING] + self.sources[State.STALE]
