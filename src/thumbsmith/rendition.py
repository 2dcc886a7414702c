"""One picture that was made, as it goes into a store."""

from __future__ import annotations

from dataclasses import dataclass

from thumbsmith.keys import rendition_name
from thumbsmith.recipe.values import Format


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """One variant of one source in one format. `type` is the media type; `data` the encoded file.

    `density` is the one of the variant's `dpr` that it was made for.
    """

    variant: str
    format: Format
    type: str
    width: int
    height: int
    data: bytes
    density: float = 1.0

    @property
    def name(self) -> str:
        """Return its name under its source's key: `small@2x.webp`."""
        return rendition_name(self.variant, self.format, self.density)
