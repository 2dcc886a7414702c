"""What whoever runs the application decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from thumbsmith.signing import MIN_SECRET

# The names under which a browser on this machine reaches this machine.
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})

# A token that can be guessed guards nothing; 16 characters are what `openssl rand -hex 8` prints.
MIN_TOKEN: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Who may come in, and for how long what is given out holds. Times are in seconds.

    `hosts` are the names that a request may be addressed to, without a port; None lets every name pass, for where
    something in front decides. `origins` are web pages elsewhere that may use the API (CORS). With a `token` every
    request but those for the page itself has to bring it. With a `signing_secret` there are pictures on demand, for
    addresses that were signed with it (`thumbsmith.signing`).
    """

    hosts: frozenset[str] | None = LOOPBACK
    origins: frozenset[str] = frozenset()
    token: str | None = None
    upload_seconds: int = 900
    max_wait: float = 60.0
    signing_secret: str | None = None

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < MIN_TOKEN:
            raise ValueError(f"expected a token of at least {MIN_TOKEN} characters")
        if self.signing_secret is not None and len(self.signing_secret) < MIN_SECRET:
            raise ValueError(f"expected a secret of at least {MIN_SECRET} characters")
