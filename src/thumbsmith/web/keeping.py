"""Who keeps the thumbnails right: the application itself (`Keeper`), or others whose work it waits to see."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final, Protocol

from thumbsmith.errors import ThumbsmithError
from thumbsmith.web.library import Library

# Seconds between two looks at a key that others have in hand: the first, and the longest that they grow to. A look is
# three requests to S3.
FIRST_LOOK: Final = 0.2
LONGEST: Final = 1.0


class Keeping(Protocol):
    """What the endpoints ask of whoever keeps the thumbnails right."""

    def changed(self, key: str) -> object:
        """Hear that a source was replaced or deleted just now; return None where others see to it."""
        ...

    def pursued(self, key: str) -> object:
        """Hear that a key is not right yet, and see to it unless that is in hand, or failed a moment ago."""
        ...

    async def settled(self, key: str, seconds: float) -> None:
        """Do as `pursued` does, and wait until the key is done, however that ends, but no longer than so many seconds.

        Raises StoreError.
        """
        ...

    def failure(self, key: str) -> ThumbsmithError | None:
        """Return why the key failed a moment ago, or None where that is not known."""
        ...


@dataclass(frozen=True, slots=True)
class KeptByOthers:
    """Thumbnails that somebody else keeps right, who hears of changes from the source itself: on AWS by its events."""

    library: Library

    def changed(self, key: str) -> None:
        """Do nothing: others hear of it by themselves."""

    def pursued(self, key: str) -> None:
        """Do nothing: others are at it."""

    async def settled(self, key: str, seconds: float) -> None:
        """Look at the key until it is done, or gone, but no longer than so many seconds. Raises StoreError."""
        until, pause = time.monotonic() + seconds, FIRST_LOOK
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(pause, left))
            standing = await self.library.run(self.library.standing, key)
            if standing is None or standing.status != "making":
                return
            pause = min(pause * 1.5, LONGEST)

    def failure(self, key: str) -> None:
        """Return None: what others failed at is in their log."""
