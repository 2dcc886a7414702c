"""Headers that every answer has, whoever made it: nothing of it is run, framed, sniffed or told to others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# https://owasp.org/www-project-secure-headers/
SECURITY: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; sandbox"
    ),
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


@dataclass(slots=True)
class SecurityHeaders:
    """ASGI middleware. `shared` says that pages elsewhere may show the pictures."""

    app: ASGIApp
    shared: bool
    _added: list[tuple[bytes, bytes]] = field(init=False)

    def __post_init__(self) -> None:
        added = {**SECURITY, "Cross-Origin-Resource-Policy": "cross-origin" if self.shared else "same-origin"}
        self._added = [(name.lower().encode(), value.encode()) for name, value in added.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers that the answer does not have itself."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = message["headers"]
                there = {name for name, _ in sent}
                message["headers"] = [*sent, *(each for each in self._added if each[0] not in there)]
            await send(message)

        await self.app(scope, receive, with_headers)
