"""The settings of the application."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from thumbsmith.signing import MIN_SECRET_CHARACTERS
from thumbsmith.web.root_path import PREFIX

# The names by which a browser on this machine can address this machine.
LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})

# A shorter token can be guessed. `openssl rand -hex 8` prints 16 characters.
MIN_TOKEN_CHARACTERS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Who may use the application, and its time limits in seconds.

    `hosts`: the host names that requests may be addressed to, without port. None accepts every name, for use behind
    a server that checks it. `origins`: other sites whose pages may use the API (CORS). `token`: every request must
    send it, except requests for the page itself and for URLs that contain a secret. `events_token`: what `POST /events`
    must send; by default `token`. `upload_seconds`: how long the URL of an upload is valid. `max_wait`: the longest
    wait for thumbnails. `signing_secret`: turns on thumbnails on demand, for URLs that `thumbsmith.signing` signed with
    it. `root_path`: the prefix of all paths behind a proxy, as "/thumbs". `trusts_proxy`: X-Forwarded-Prefix of a
    request is its prefix; only for a server that clients reach through a proxy alone. `recipe_file`: the file that the
    page may save a recipe to. Raises ValueError if a token or the secret is too short, or the prefix cannot be one.
    """

    hosts: frozenset[str] | None = LOOPBACK_HOSTS
    origins: frozenset[str] = frozenset()
    token: str | None = None
    events_token: str | None = None
    upload_seconds: int = 900
    max_wait: float = 60.0
    signing_secret: str | None = None
    root_path: str = ""
    trusts_proxy: bool = False
    recipe_file: Path | None = None

    def __post_init__(self) -> None:
        for name, value, least in (
            ("token", self.token, MIN_TOKEN_CHARACTERS),
            ("events token", self.events_token, MIN_TOKEN_CHARACTERS),
            ("signing secret", self.signing_secret, MIN_SECRET_CHARACTERS),
        ):
            if value is not None and len(value) < least:
                raise ValueError(f"{name}: expected at least {least} characters, found {len(value)}")
        if not PREFIX.fullmatch(self.root_path):
            raise ValueError(
                f"root path: expected a path such as /thumbs, without a final slash, found {self.root_path!r}"
            )
