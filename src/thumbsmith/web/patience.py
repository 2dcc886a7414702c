"""Time-outs for clients that send slowly, so that none holds what others need; those that take slowly see server.py."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from thumbsmith.web.problems import Problem

# Seconds until the next piece of a body has to be there.
PIECE_SECONDS: Final = 20.0

# A body may take so many seconds, and one more for each so many bytes that it says it has.
BODY_SECONDS: Final = 20.0
SLOWEST: Final = 32 << 10


@dataclass(frozen=True, slots=True)
class Patience:
    """ASGI middleware: answers 408 to a client whose body comes too slowly."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a time-out for each piece of its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        size = int(length) if length.isascii() and length.isdigit() and len(length) < 16 else 0
        until = time.monotonic() + BODY_SECONDS + size / SLOWEST
        body_is_here = False

        async def patient_receive() -> Message:
            nonlocal body_is_here
            if body_is_here:
                return await receive()  # all that can come now is that the client hangs up
            try:
                async with asyncio.timeout(min(PIECE_SECONDS, until - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                raise Problem(408, "The body came too slowly.", code="too_slow") from None
            body_is_here = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        await self.app(scope, patient_receive, send)
