"""Headers that every answer has, whoever made it: nothing of it is run, framed, sniffed or told to others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.datastructures import MutableHeaders
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


@dataclass(frozen=True, slots=True)
class SecurityHeaders:
    """ASGI middleware. `shared` says that pages elsewhere may show the pictures."""

    app: ASGIApp
    shared: bool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers that the answer does not have itself."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
                policy = "cross-origin" if self.shared else "same-origin"
                headers.setdefault("Cross-Origin-Resource-Policy", policy)
            await send(message)

        await self.app(scope, receive, with_headers)
