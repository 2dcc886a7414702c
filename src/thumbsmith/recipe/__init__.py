"""What to make: the recipe, from TOML to frozen values."""

from thumbsmith.recipe.selection import Selection
from thumbsmith.recipe.values import Fit, Format, Limits, Quality, Recipe, Variant

__all__ = ["Fit", "Format", "Limits", "Quality", "Recipe", "Selection", "Variant"]
