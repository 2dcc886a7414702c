"""Addresses of pictures on demand, signed by whoever decides which there may be: HMAC-SHA256 (RFC 2104).

What is signed is the address itself: the path, with the key percent-encoded as one segment, and the query, with the
options and `expires` in the order of their names.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from thumbsmith.errors import RecipeError, UsageError
from thumbsmith.recipe import Recipe

# What can be asked for: a variant's fields in the recipe's words, and one format.
OPTIONS: Final = ("width", "height", "fit", "gravity", "enlarge", "format", "quality", "background", "sharpen")

EXPIRES: Final = "expires"
SIGNATURE: Final = "signature"

# Pixels of the longest side that is made.
MAX_SIDE: Final = 2_048

# Fits by which no side is longer than was said.
FITS: Final = ("inside", "cover", "contain", "fill")

_BARE: Final = re.compile(r"true|false|[0-9]{1,9}(?:\.[0-9]{1,9})?")
_POINT: Final = re.compile(r"[01](?:\.[0-9]{1,9})?,[01](?:\.[0-9]{1,9})?")

# A secret that can be guessed signs nothing; 16 characters are what `openssl rand -hex 8` prints.
MIN_SECRET: Final = 16


def signed_path(key: str, options: Mapping[str, object], *, secret: str, expires: int) -> str:
    """Return path and query of a picture on demand, to be put behind the address of a server with this secret.

    `options` are by their names, as {"width": 200, "format": "webp"}. `expires` is in seconds since 1970. Raises
    RecipeError for an unknown option, and UsageError for a secret that is too short.
    """
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise RecipeError(f"{unknown[0]}: expected one of {', '.join(OPTIONS)}")
    if len(secret) < MIN_SECRET:
        raise UsageError(f"secret: expected at least {MIN_SECRET} characters")
    said = {name: _text(value) for name, value in options.items()} | {EXPIRES: str(expires)}
    return f"{_address(key, said)}&{SIGNATURE}={signature(key, said, secret)}"


def recipe_of(said: Mapping[str, str]) -> Recipe:
    """Return a recipe of the one picture that these options describe. Raises RecipeError for one that is not made."""
    fit = said.get("fit", "inside")
    sides = {name: said[name] for name in ("width", "height") if name in said}
    if fit not in FITS:
        raise RecipeError(f"fit: expected one of {', '.join(FITS)}.")
    if not sides or (fit != "inside" and len(sides) < 2):
        raise RecipeError("width, height: expected both, or one of them where fit is inside.")
    box = {"width": str(MAX_SIDE), "height": str(MAX_SIDE)} if fit == "inside" else {}
    fields = {name: value for name, value in {**box, **said}.items() if name != "format"}
    lines = [f"{name} = {_toml(value)}" for name, value in fields.items()]
    formats = f"formats = [{json.dumps(said.get('format', 'webp'))}]"
    recipe = Recipe.loads("\n".join(["[variants.on-demand]", *lines, formats]), file="on demand")
    variant = recipe.variants[0]
    if max(variant.width or 0, variant.height or 0) > MAX_SIDE:
        raise RecipeError(f"width, height: expected {MAX_SIDE} at most.")
    return recipe


def signature(key: str, said: Mapping[str, str], secret: str) -> str:
    """Return the signature of a key and all that is said of it, `expires` included: 64 hex digits."""
    return hmac.digest(secret.encode(), _address(key, said).encode(), hashlib.sha256).hex()


def _address(key: str, said: Mapping[str, str]) -> str:
    return f"/on-demand/{quote(key, safe='')}?{urlencode(sorted(said.items()))}"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _toml(value: str) -> str:
    """Return a value as a recipe would spell it: numbers and booleans bare, a point as two numbers, else text."""
    if _POINT.fullmatch(value):
        return f"[{value}]"
    return value if _BARE.fullmatch(value) else json.dumps(value)
