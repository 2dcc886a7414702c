"""The endpoint `/events`: notifications that a server of S3 sends by HTTP (webhooks).

The answer is 2xx only once the event cannot be lost: its thumbnails are right, or a queue has stored it. After any
other answer the sender must send it again: servers do that if they store their notifications.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from thumbsmith.dispatch.converger import Converger, Deadline, KeyResult
from thumbsmith.dispatch.invocation import CALL_STEPS, Invocation
from thumbsmith.dispatch.telemetry import Telemetry
from thumbsmith.events import Unreadable, parse_events
from thumbsmith.web.http import Problem, read_body

# A notification of S3 has about 1 KB for each object; one of SeaweedFS lists the pieces of a large file.
MAX_EVENT_BYTES: Final = 1 << 20

# The thumbnails of one notification must be made in this time. Senders give up earlier, and send it again. Meanwhile
# the work continues.
EVENT_SECONDS: Final = 60.0

# Notifications that are handled at the same time, and that wait for that.
MAX_RUNNING: Final = 8
MAX_WAITING: Final = 256


class EventReceiver(Protocol):
    """What becomes of a notification: its thumbnails are made here, or a queue stores it for others."""

    @property
    def status(self) -> int:
        """Return the status of the answer after success."""
        ...

    def accept(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Accept the notification; return the content of the answer. Raises ThumbsmithError if it is not done."""
        ...


@dataclass(frozen=True, slots=True)
class ConvergingReceiver:
    """Makes the thumbnails before it answers. `converger` returns one with the recipe of this moment.

    `count` gets the result of each key.
    """

    converger: Callable[[], Converger]
    count: Callable[[KeyResult], None]
    status: int = 200

    def accept(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Run the steps of the function. Raises EventFailed if a key failed."""
        telemetry = Telemetry("events", secrets.token_hex(8))
        converger = self.converger()
        deadline = Deadline.after(EVENT_SECONDS, converger.settings.recipe.limits)
        invocation = Invocation(converger, telemetry, deadline, payload)
        try:
            return invocation.run(CALL_STEPS)
        finally:
            for result in invocation.results:
                self.count(result)


class Sending(Protocol):
    """A queue that stores messages."""

    def send(self, bodies: Sequence[str]) -> None:
        """Store these messages. Raises StoreError."""
        ...


@dataclass(frozen=True, slots=True)
class QueueingReceiver:
    """Stores the notification in a queue, for `thumbsmith work`."""

    queue: Sending
    status: int = 202

    def accept(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Send the notification to the queue. Raises StoreError if it is not stored there."""
        self.queue.send([json.dumps(payload)])
        return {"queued": 1}


class EventsEndpoint:
    """The endpoint. `is_protected`: the server has a token for it, which `AccessMiddleware` has checked."""

    def __init__(self, receiver: EventReceiver, *, is_protected: bool) -> None:
        self._receiver, self._is_protected = receiver, is_protected
        self._threads = ThreadPoolExecutor(MAX_RUNNING, thread_name_prefix="thumbsmith-events")
        self._waiting = 0

    async def receive(self, request: Request) -> Response:
        """Accept a notification.

        Raises Problem: 400 if it cannot be read, 403 if the server has no token, 413 if it is too large, 503 if it must
        be sent again.
        """
        if not self._is_protected:
            detail = "Events need a token: set THUMBSMITH_EVENTS_TOKEN and start the server again."
            raise Problem(403, detail, code="no_token")
        payload = _parse(await read_body(request, MAX_EVENT_BYTES))
        if self._waiting >= MAX_RUNNING + MAX_WAITING:
            raise Problem(
                503, "Too many events wait. Send this one again.", code="try_again", headers={"Retry-After": "2"}
            )
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            content = await loop.run_in_executor(self._threads, self._receiver.accept, payload)
        finally:
            self._waiting -= 1
        return JSONResponse(content, self._receiver.status, {"Cache-Control": "no-store"})


def _parse(body: bytes) -> dict[str, Any]:
    """Return the notification. Raises Problem (400) if it is none, or in part."""
    try:
        payload = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise Problem(400, "The body: expected JSON in UTF-8.", code="bad_body") from None
    unreadable = next((each for each in parse_events(payload) if isinstance(each, Unreadable)), None)
    if unreadable:
        raise Problem(400, f"The body: expected a notification of S3, found {unreadable.detail}.", code="bad_body")
    found: dict[str, Any] = payload
    return found
