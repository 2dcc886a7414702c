"""A stream of NATS JetStream as a queue of messages.

Each worker fetches from one durable consumer of the stream, so each message goes to one worker. The server counts the
deliveries, and delivers a message again that is not acknowledged in `ack_wait`.
https://docs.nats.io/nats-concepts/jetstream/consumers

JetStream has no dead-letter queue. So a message that was delivered MAX_DELIVERIES times is moved to the stream
STREAM-dead when it is delivered once more. This also applies to a message that ends its worker each time.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from thumbsmith.backfill.clients import MAX_BATCH_MESSAGES, Message
from thumbsmith.dispatch.deliveries import EARLIER_DELIVERIES, HIDDEN_SECONDS, MAX_DELIVERIES, earlier_deliveries
from thumbsmith.errors import StoreError, UsageError
from thumbsmith.installation import missing_extra
from thumbsmith.lifetime import Closing, lifetime, wait

T = TypeVar("T")

# The name of the consumer that all workers share.
CONSUMER: Final = "thumbsmith"

# One request to the server may take this time.
REQUEST_SECONDS: Final = 5.0

# A call, which may first connect and create what is missing.
CALL_SECONDS: Final = 10.0

# The longest fetch. Between two fetches, the worker looks whether it was stopped.
FETCH_SECONDS: Final = 1.0

# nats://[USER:PASSWORD@]HOST[:PORT]/STREAM. A name has no spaces, dots or wildcards:
# https://docs.nats.io/nats-concepts/jetstream/streams
_ADDRESS: Final = re.compile(r"(?P<server>(?:nats|tls)://(?:[^/\s@]*@)?(?P<host>[^/\s@]+))/(?P<stream>[^\s.*>/\\]+)")


def is_stream(address: str) -> bool:
    """Return whether an address is that of a server of NATS."""
    return address.startswith(("nats://", "tls://"))


@dataclass(frozen=True, slots=True)
class _Connected:
    """The connection, its JetStream, and the subscription that fetches."""

    connection: Any
    streams: Any
    subscription: Any


class JetStreamQueue(Closing):
    """The stream at nats://[USER:PASSWORD@]HOST[:PORT]/STREAM, or tls:// instead of nats://.

    The stream must exist; its consumer and the stream for dead letters are created. Every method may be called by one
    thread at a time, and raises StoreError, transient if a retry may help. Raises UsageError for another address, and
    where nats-py is not installed.
    """

    def __init__(self, address: str) -> None:
        found = _ADDRESS.fullmatch(address)
        if not found:
            raise UsageError("the address of a stream: expected nats://HOST:PORT/STREAM")
        try:
            import nats  # noqa: F401, PLC0415 - an extra
        except ModuleNotFoundError:
            raise UsageError(missing_extra("a queue at nats://", "nats")) from None
        self._server, self._stream = found["server"], found["stream"]
        self._label = f"nats://{found['host']}/{self._stream}"  # without the password
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._thread.start()
        self._connected: _Connected | None = None

    @property
    def name(self) -> str:
        """Return the name of the stream."""
        return self._stream

    def hidden_seconds(self) -> float:
        """Return how long a received message is hidden: `ack_wait` of the consumer."""
        return float(self._run(self._ack_wait()))

    def receive(self, seconds: int = 1) -> list[Message]:
        """Return up to ten messages. Waits up to `seconds` for the first one, or until the current lifetime ends."""
        end = time.monotonic() + seconds
        while True:
            lifetime().check()
            messages = self._run(self._fetch(max(min(FETCH_SECONDS, end - time.monotonic()), 0.1)))
            if messages or time.monotonic() >= end:
                return messages

    def delete(self, message: Message) -> None:
        """Acknowledge a received message, and wait until the server confirms that."""
        self._run(message.receipt.ack_sync(REQUEST_SECONDS))

    def hide(self, message: Message, seconds: int) -> None:
        """Return a received message, which is delivered again after this time."""
        self._run(message.receipt.nak(delay=seconds or None))
        self._run(self._flush())

    def send(self, bodies: Sequence[str]) -> None:
        """Store messages in the stream, under its first subject."""
        self._run(self._publish(bodies))

    def waiting(self) -> int:
        """Return the number of messages that are not acknowledged, whether delivered or not."""
        return int(self._run(self._unacknowledged()))

    def close(self) -> None:
        """Close the connection."""
        if self._thread.is_alive():
            if self._connected:
                self._loop.call_soon_threadsafe(self._loop.create_task, self._connected.connection.close())
                time.sleep(0)
            self._loop.call_soon_threadsafe(self._loop.call_later, 0.1, self._loop.stop)
            self._thread.join(REQUEST_SECONDS)
            if not self._thread.is_alive():
                self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the thread of the connection."""
        with self._errors():
            limited = asyncio.wait_for(coroutine, CALL_SECONDS)
            future = asyncio.run_coroutine_threadsafe(limited, self._loop)
            try:
                wait(future)
            finally:
                future.cancel()  # nothing to do where it is done
            return future.result()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise StoreError for an error of the connection or the server in the block.

        A missing stream is permanent, as are wrong credentials. All else is transient: the client connects again.
        """
        from nats.errors import AuthorizationError, Error  # noqa: PLC0415 - an extra
        from nats.js.errors import BadRequestError, NotFoundError, ServiceUnavailableError  # noqa: PLC0415 - as above

        try:
            yield
        except ServiceUnavailableError as error:
            raise StoreError(f"{self._label}: the server has no JetStream at the moment", transient=True) from error
        except NotFoundError as error:
            raise StoreError(f"{self._label}: there is no such stream: create it first", transient=False) from error
        except (Error, OSError, TimeoutError) as error:
            permanent = isinstance(error, AuthorizationError | BadRequestError)
            reason = str(error) or "no answer in time"
            raise StoreError(f"{self._label}: {reason}", transient=not permanent) from error

    async def _connection(self) -> _Connected:
        """Return the connection, after creating the consumer and the stream for dead letters where they are missing."""
        if self._connected:
            return self._connected
        from nats.aio.client import Client  # noqa: PLC0415 - an extra
        from nats.js.api import AckPolicy, ConsumerConfig  # noqa: PLC0415 - as above
        from nats.js.errors import NotFoundError  # noqa: PLC0415 - as above

        async def ignore(_: Exception) -> None:
            """Print nothing: each request reports its own error."""

        connection = Client()
        try:
            await connection.connect(
                self._server,
                name=CONSUMER,
                connect_timeout=int(REQUEST_SECONDS),
                max_reconnect_attempts=-1,
                error_cb=ignore,
            )
            streams = connection.jetstream(timeout=REQUEST_SECONDS)
            await streams.stream_info(self._stream)
            try:
                await streams.consumer_info(self._stream, CONSUMER)
            except NotFoundError:
                wanted = ConsumerConfig(durable_name=CONSUMER, ack_policy=AckPolicy.EXPLICIT, ack_wait=HIDDEN_SECONDS)
                await streams.add_consumer(self._stream, wanted)
            subscription = await streams.pull_subscribe_bind(CONSUMER, self._stream)
        except BaseException:
            await connection.close()
            raise
        self._connected = _Connected(connection, streams, subscription)
        return self._connected

    async def _ack_wait(self) -> float:
        streams = (await self._connection()).streams
        return float((await streams.consumer_info(self._stream, CONSUMER)).config.ack_wait)

    async def _fetch(self, seconds: float) -> list[Message]:
        connected = await self._connection()
        try:
            fetched = await connected.subscription.fetch(MAX_BATCH_MESSAGES, timeout=seconds)
        except TimeoutError:
            if not connected.connection.is_connected:
                raise
            return []
        messages = []
        for each in fetched:
            if each.metadata.num_delivered > MAX_DELIVERIES:
                await self._bury(connected.streams, each)
            else:
                messages.append(_message(each))
        return messages

    async def _bury(self, streams: Any, message: Any) -> None:
        """Move a message to the stream for dead letters."""
        from nats.js.errors import NotFoundError  # noqa: PLC0415 - an extra

        name = f"{self._stream}-dead"
        try:
            await streams.stream_info(name)
        except NotFoundError:
            await streams.add_stream(name=name, subjects=[name])
        # The server ignores a second message with the same identifier, should this worker end before the next line.
        identifier = f"{self._stream}-{message.metadata.sequence.stream}"
        headers = {"Nats-Msg-Id": identifier, EARLIER_DELIVERIES: str(_deliveries(message))}
        await streams.publish(name, message.data, headers=headers)
        await message.term()

    async def _publish(self, bodies: Sequence[str]) -> None:
        streams = (await self._connection()).streams
        subject = (await streams.stream_info(self._stream)).config.subjects[0]
        for body in bodies:
            await streams.publish(subject, body.encode())

    async def _unacknowledged(self) -> int:
        streams = (await self._connection()).streams
        found = await streams.consumer_info(self._stream, CONSUMER)
        return int(found.num_pending) + int(found.num_ack_pending)

    async def _flush(self) -> None:
        await (await self._connection()).connection.flush(int(REQUEST_SECONDS))


def _message(found: Any) -> Message:
    """Return a message. Its `timestamp` is when the stream stored it."""
    metadata = found.metadata
    return Message(
        id=str(metadata.sequence.stream),
        body=found.data.decode("utf-8", "replace"),
        receipt=found,
        receives=_deliveries(found),
        sent=metadata.timestamp.timestamp(),
    )


def _deliveries(message: Any) -> int:
    """Return the number of deliveries, with those before the message became a dead letter."""
    return int(message.metadata.num_delivered) + earlier_deliveries(message.headers)
