"""Pictures made while somebody waits, which no recipe knows of: a few at once, in workers as all others."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from thumbsmith.converge import Renderer
from thumbsmith.errors import SourceChanged
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.selection import is_source
from thumbsmith.rendition import Rendition
from thumbsmith.web.library import Library
from thumbsmith.web.problems import Problem

# Pictures made at once; each takes one worker.
_AT_ONCE: Final = 2

# Seconds that one waits for its turn.
_TURN: Final = 10.0


@dataclass(frozen=True, slots=True)
class Rendering:
    """Makes single pictures of sources that are there. Nothing of it is kept."""

    library: Library
    renderer: Renderer
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def picture(self, key: str, recipe: Recipe) -> Rendition:
        """Return the first picture of a recipe. Raises Problem (404, 409, 503), Rejected, WorkerError, StoreError."""
        try:
            async with asyncio.timeout(_TURN):
                await self._turns.acquire()
        except TimeoutError:
            headers = {"Retry-After": "2"}
            raise Problem(503, "Too many pictures at once.", code="try_again", headers=headers) from None
        try:
            return await self.library.run(self._render, key, recipe)
        finally:
            self._turns.release()

    def _render(self, key: str, recipe: Recipe) -> Rendition:
        source = self.library.source
        there = source.open(key) if is_source(key, self.library.recipe.selection) else None
        if there is None:
            raise Problem(404, "There is no such image.", code="not_found")
        with closing(there) as reader:
            try:
                return self.renderer.render(reader, recipe).renditions[0]
            except SourceChanged:
                raise Problem(409, "The image is being replaced.", code="conflict") from None
