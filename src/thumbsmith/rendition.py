"""One picture that was made, as it goes into a store."""

from __future__ import annotations

from dataclasses import dataclass

from thumbsmith.recipe.values import Format


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """One variant of one source in one format. `type` is the media type; `data` the encoded file."""

    variant: str
    format: Format
    type: str
    width: int
    height: int
    data: bytes
