"""The recipe: which thumbnails to make of which images, as immutable values read from TOML."""

from thumbsmith.recipe.model import Fit, Format, IsolationKind, Limits, Quality, Variant
from thumbsmith.recipe.recipe import Recipe
from thumbsmith.recipe.selection import Selection

__all__ = ["Fit", "Format", "IsolationKind", "Limits", "Quality", "Recipe", "Selection", "Variant"]
