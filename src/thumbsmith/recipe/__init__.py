"""What to make: the recipe, from TOML to frozen values."""

from thumbsmith.recipe.model import Fit, Format, Limits, Quality, Recipe, Variant
from thumbsmith.recipe.selection import Selection

__all__ = ["Fit", "Format", "Limits", "Quality", "Recipe", "Selection", "Variant"]
