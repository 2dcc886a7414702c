"""How often a queue delivers a message that is not done, where the queue leaves that to its receivers."""

from __future__ import annotations

from typing import Any, Final

# A message that is not done after this number of deliveries is a dead letter, as in the queue on AWS.
MAX_DELIVERIES: Final = 5

# The header of a dead letter with the number of its deliveries: it must not count as delivered for the first time.
EARLIER_DELIVERIES: Final = "Thumbsmith-Deliveries"

# How long a received message is hidden from other workers.
HIDDEN_SECONDS: Final = 120


def earlier_deliveries(headers: Any) -> int:
    """Return how often a message was delivered before it became a dead letter, by its headers, if it has any."""
    found = str((headers or {}).get(EARLIER_DELIVERIES, "0"))
    return int(found) if found.isdecimal() else 0
