"""Addresses of pictures on demand, signed by whoever decides which there may be: HMAC-SHA256 (RFC 2104).

What is signed is the address itself: the path, with the key percent-encoded as one segment, and the query, with the
options and `expires` in the order of their names.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from thumbsmith.errors import RecipeError

# What can be asked for: a variant's fields in the recipe's words, and one format.
OPTIONS: Final = ("width", "height", "fit", "gravity", "enlarge", "format", "quality", "background", "sharpen")

EXPIRES: Final = "expires"
SIGNATURE: Final = "signature"

# A secret that can be guessed signs nothing; 16 characters are what `openssl rand -hex 8` prints.
MIN_SECRET: Final = 16


def signed_path(key: str, options: Mapping[str, object], *, secret: str, expires: int) -> str:
    """Return path and query of a picture on demand, to be put behind the address of a server with this secret.

    `options` are by their names, as {"width": 200, "format": "webp"}. `expires` is in seconds since 1970. Raises
    RecipeError for an option that is none, and for a secret that is too short.
    """
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise RecipeError(f"{unknown[0]}: expected one of {', '.join(OPTIONS)}")
    if len(secret) < MIN_SECRET:
        raise RecipeError(f"secret: expected at least {MIN_SECRET} characters")
    said = {name: _text(value) for name, value in options.items()} | {EXPIRES: str(expires)}
    return f"{_address(key, said)}&{SIGNATURE}={signature(key, said, secret)}"


def signature(key: str, said: Mapping[str, str], secret: str) -> str:
    """Return the signature of a key and all that is said of it, `expires` included: 64 hex digits."""
    return hmac.digest(secret.encode(), _address(key, said).encode(), hashlib.sha256).hex()


def _address(key: str, said: Mapping[str, str]) -> str:
    return f"/on-demand/{quote(key, safe='')}?{urlencode(sorted(said.items()))}"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
