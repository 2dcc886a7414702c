"""A queue of RabbitMQ, over AMQP 0.9.1, as a queue of messages.

It must be a quorum queue, because these count the deliveries of each message. A received message belongs to its
connection: it is delivered again when the worker returns it, or when the connection ends.
https://www.rabbitmq.com/docs/quorum-queues and https://www.rabbitmq.com/docs/confirms

A message that was delivered MAX_DELIVERIES times is moved to QUEUE-dead when it is delivered once more. This also holds
for a message that ends its worker each time.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from thumbsmith.backfill.clients import MAX_BATCH_MESSAGES, Message
from thumbsmith.dispatch.amqp_connection import HEARTBEAT_SECONDS, REQUEST_SECONDS, AmqpConnection
from thumbsmith.dispatch.deliveries import EARLIER_DELIVERIES, HIDDEN_SECONDS, MAX_DELIVERIES, earlier_deliveries
from thumbsmith.errors import StoreError, UsageError
from thumbsmith.installation import missing_extra
from thumbsmith.lifetime import Closing, lifetime

# The header in which a quorum queue counts the earlier deliveries of a message.
COUNT: Final = "x-delivery-count"

# The pause between two looks into an empty queue.
LOOK_SECONDS: Final = 0.5

# Delivered again although the server or its disk ends: https://www.rabbitmq.com/docs/publishers#message-properties
PERSISTENT: Final = 2

# amqp://[USER:PASSWORD@]HOST[:PORT]/[VHOST/]QUEUE. Names are percent-encoded: https://www.rabbitmq.com/docs/uri-spec
_ADDRESS: Final = re.compile(
    r"(?P<scheme>amqps?)://(?:(?P<user>[^:/\s@]*)(?::(?P<password>[^/\s@]*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:/\s@\[\]]+)(?::(?P<port>\d{1,5}))?/(?:(?P<vhost>[^/\s]*)/)?(?P<queue>[^/\s]+)"
)


def is_amqp(address: str) -> bool:
    """Return whether an address is that of a server of AMQP."""
    return address.startswith(("amqp://", "amqps://"))


@dataclass(frozen=True, slots=True)
class _Receipt:
    """What acknowledges a message: its number in the channel that delivered it."""

    channel: Any
    tag: int


class AmqpQueue(Closing):
    """The queue at amqp://[USER:PASSWORD@]HOST[:PORT]/[VHOST/]QUEUE, or amqps:// instead of amqp://.

    The queue must exist; that for dead letters is created. Every method may be called by one thread at a time, and
    raises StoreError, transient if a retry may help. Raises UsageError for another address, and where pika is not
    installed.
    """

    def __init__(self, address: str, *, hidden_seconds: float = HIDDEN_SECONDS) -> None:
        found = _ADDRESS.fullmatch(address)
        if not found or int(found["port"] or 1) > 65535:
            raise UsageError("the address of a queue: expected amqp://HOST:PORT/QUEUE")
        try:
            import pika  # noqa: PLC0415 - an extra
        except ModuleNotFoundError:
            raise UsageError(missing_extra("a queue at amqp://", "amqp")) from None
        self._queue = unquote(found["queue"])
        port = f":{found['port']}" if found["port"] else ""
        self._label = f"{found['scheme']}://{found['host']}{port}/{self._queue}"  # without the password
        secure = found["scheme"] == "amqps"
        parameters = pika.ConnectionParameters(
            host=found["host"].strip("[]"),
            port=int(found["port"] or (5671 if secure else 5672)),
            virtual_host=unquote(found["vhost"] or "/"),
            credentials=pika.PlainCredentials(unquote(found["user"] or "guest"), unquote(found["password"] or "guest")),
            ssl_options=pika.SSLOptions(ssl.create_default_context(), found["host"].strip("[]")) if secure else None,
            heartbeat=HEARTBEAT_SECONDS,
            socket_timeout=REQUEST_SECONDS,
            stack_timeout=REQUEST_SECONDS,
            blocked_connection_timeout=REQUEST_SECONDS,
            connection_attempts=1,
        )
        self._connection = AmqpConnection(parameters, self._queue, self._label)
        self._hidden_seconds = hidden_seconds
        self._due: dict[_Receipt, float] = {}  # messages that are not acknowledged, and when they are returned

    @property
    def name(self) -> str:
        """Return the name of the queue."""
        return self._queue

    def hidden_seconds(self) -> float:
        """Return how long a received message is hidden from other receivers, unless this process ends."""
        return self._hidden_seconds

    def receive(self, seconds: int = 1) -> list[Message]:
        """Return up to ten messages. Waits up to `seconds` for the first one, or until the current lifetime ends."""
        end = time.monotonic() + seconds
        while True:
            lifetime().check()
            messages = self._connection.run(self._get)
            left = end - time.monotonic()
            if messages or left <= 0:
                return messages
            lifetime().sleep(min(LOOK_SECONDS, left))

    def delete(self, message: Message) -> None:
        """Acknowledge a received message."""
        self._settle(message, lambda channel, tag: channel.basic_ack(tag))

    def hide(self, message: Message, seconds: int) -> None:
        """Return a received message to the queue after this time: at once for 0."""
        if seconds:
            self._due[message.receipt] = time.monotonic() + seconds
        else:
            self._settle(message, lambda channel, tag: channel.basic_nack(tag, requeue=True))

    def send(self, bodies: Sequence[str]) -> None:
        """Store messages in the queue. Returns when the server has confirmed each."""

        def publish(channel: Any) -> None:
            for body in bodies:
                self._publish(channel, self._queue, body.encode(), {})

        self._connection.run(publish)

    def close(self) -> None:
        """Close the connection. The server returns the messages that are not acknowledged."""
        self._connection.close()

    def _get(self, channel: Any) -> list[Message]:
        now = time.monotonic()
        for receipt in [
            receipt for receipt, due in list(self._due.items()) if due <= now or receipt.channel is not channel
        ]:
            if receipt.channel is channel:
                channel.basic_nack(receipt.tag, requeue=True)
            del self._due[receipt]
        messages: list[Message] = []
        while len(messages) < MAX_BATCH_MESSAGES:
            method, properties, body = channel.basic_get(self._queue)
            if method is None:
                break
            headers = properties.headers or {}
            if method.redelivered and COUNT not in headers:
                raise StoreError(
                    f"{self._label}: the queue does not count deliveries: create it with x-queue-type=quorum",
                    transient=False,
                )
            count = int(headers.get(COUNT, 0)) + 1
            receives = count + earlier_deliveries(headers)
            if count > MAX_DELIVERIES:
                self._bury(channel, method.delivery_tag, body, receives)
                continue
            receipt = _Receipt(channel, method.delivery_tag)
            self._due[receipt] = now + self._hidden_seconds
            sent = float(properties.timestamp) if properties.timestamp else None
            messages.append(Message(str(method.delivery_tag), body.decode("utf-8", "replace"), receipt, receives, sent))
        return messages

    def _bury(self, channel: Any, tag: int, body: bytes, receives: int) -> None:
        """Move a message to the queue for dead letters."""
        name = f"{self._queue}-dead"
        channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
        self._publish(channel, name, body, {EARLIER_DELIVERIES: str(receives)})
        channel.basic_ack(tag)

    def _publish(self, channel: Any, queue: str, body: bytes, headers: dict[str, str]) -> None:
        """Store a message in a queue, by the default exchange. Raises an error of pika where it is not confirmed."""
        from pika import BasicProperties  # noqa: PLC0415 - an extra

        properties = BasicProperties(delivery_mode=PERSISTENT, timestamp=int(time.time()), headers=headers or None)
        channel.basic_publish("", queue, body, properties, mandatory=True)

    def _settle(self, message: Message, action: Callable[[Any, int], None]) -> None:
        """Acknowledge or return a message. After a broken connection, the server has returned it."""
        receipt = message.receipt

        def settle(channel: Any) -> None:
            if channel is not receipt.channel:
                raise StoreError(f"{self._label}: the connection broke off: messages come again", transient=True)
            action(channel, receipt.tag)

        self._due.pop(receipt, None)
        self._connection.run(settle)
