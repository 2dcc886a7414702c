"""Signed addresses of thumbnails on demand: HMAC-SHA256 (RFC 2104) with a secret that the server shares with a site.

The signature covers the path, with the key percent-encoded as one segment, and the query: options and `expires`, sorted
by name.
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

# The options: fields of a variant, and one format.
OPTIONS: Final = ("width", "height", "fit", "gravity", "enlarge", "format", "quality", "background", "sharpen")

EXPIRES: Final = "expires"
SIGNATURE: Final = "signature"

# How long a URL is valid that the server signs: ten years at most.
MAX_SECONDS: Final = 315_360_000

MAX_SIDE_PIXELS: Final = 2_048

# Fits with which no side is longer than the requested box.
FITS: Final = ("inside", "cover", "contain", "fill")

_BARE: Final = re.compile(r"true|false|[0-9]{1,9}(?:\.[0-9]{1,9})?")
_POINT: Final = re.compile(r"[01](?:\.[0-9]{1,9})?,[01](?:\.[0-9]{1,9})?")

# A short secret can be guessed. `openssl rand -hex 8` prints 16 characters.
MIN_SECRET_CHARACTERS: Final = 16


def signed_path(key: str, options: Mapping[str, object], *, secret: str, expires: int) -> str:
    """Return the path and query of a thumbnail on demand, to append to the address of a server with this secret.

    `options` are values by name, as {"width": 200, "format": "webp"}; `expires` is in seconds since 1970. Raises
    RecipeError for an unknown option, and UsageError for a secret that is too short.
    """
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise RecipeError(f"{unknown[0]}: expected one of {', '.join(OPTIONS)}")
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise UsageError(f"secret: expected at least {MIN_SECRET_CHARACTERS} characters")
    query = {name: _text(value) for name, value in options.items()} | {EXPIRES: str(expires)}
    return f"{_address(key, query)}&{SIGNATURE}={signature(key, query, secret)}"


def recipe_of(options: Mapping[str, str]) -> Recipe:
    """Return a recipe for the one thumbnail that these options describe. Raises RecipeError if they are not valid."""
    fit = options.get("fit", "inside")
    sides = {name: options[name] for name in ("width", "height") if name in options}
    if fit not in FITS:
        raise RecipeError(f"fit: expected one of {', '.join(FITS)}.")
    if not sides or (fit != "inside" and len(sides) < 2):
        raise RecipeError("width, height: expected both, or one of them where fit is inside.")
    box = {"width": str(MAX_SIDE_PIXELS), "height": str(MAX_SIDE_PIXELS)} if fit == "inside" else {}
    fields = {name: value for name, value in {**box, **options}.items() if name != "format"}
    lines = [f"{name} = {_toml(value)}" for name, value in fields.items()]
    formats = f"formats = [{json.dumps(options.get('format', 'webp'))}]"
    recipe = Recipe.loads("\n".join(["[variants.on-demand]", *lines, formats]), file="on demand")
    variant = recipe.variants[0]
    if max(variant.width or 0, variant.height or 0) > MAX_SIDE_PIXELS:
        raise RecipeError(f"width, height: expected {MAX_SIDE_PIXELS} at most.")
    return recipe


def signature(key: str, query: Mapping[str, str], secret: str) -> str:
    """Return the signature of a key and its query, which includes `expires`: 64 hex digits."""
    return hmac.digest(secret.encode(), _address(key, query).encode(), hashlib.sha256).hex()


def _address(key: str, query: Mapping[str, str]) -> str:
    return f"/on-demand/{quote(key, safe='')}?{urlencode(sorted(query.items()))}"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _toml(value: str) -> str:
    """Return a value as TOML writes it: numbers and booleans without quotes, a point as a list, else a string."""
    if _POINT.fullmatch(value):
        return f"[{value}]"
    return value if _BARE.fullmatch(value) else json.dumps(value)
