"""Converts the settings of other programs into a recipe, and lists what cannot be converted."""
