"""Fixtures: queues of three kinds that hold the same messages, between the same stores."""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import nats
import pika
import pytest

from tests.servers import processes
from thumbsmith.backfill import clients
from thumbsmith.backfill.clients import open_queue
from thumbsmith.dispatch.amqp import AmqpQueue
from thumbsmith.dispatch.jetstream import JetStreamQueue

# How long a queue hides a message: the time until a killed worker's messages are delivered again.
HIDDEN_SECONDS = 15


@pytest.fixture(scope="session")
def nats_address() -> Iterator[str]:
    """Return the address of a NATS server that runs for the session."""
    with processes.nats() as address:
        yield address


async def _with_streams(address: str, action: Any) -> Any:
    connection = await nats.connect(address)
    try:
        return await action(connection.jetstream())
    finally:
        await connection.close()


def on_streams(address: str, action: Any) -> Any:
    """Return the result of an asynchronous action on the streams of a server."""
    return asyncio.run(_with_streams(address, action))


@pytest.fixture
def stream(nats_address: str) -> str:
    """Return the address of a new stream, whose messages are hidden for HIDDEN_SECONDS."""
    name = f"photos-{secrets.token_hex(6)}"

    async def create(streams: Any) -> None:
        await streams.add_stream(name=name, subjects=[f"{name}.events"])
        await streams.add_consumer(name, durable_name="thumbsmith", ack_policy="explicit", ack_wait=HIDDEN_SECONDS)

    on_streams(nats_address, create)
    return f"{nats_address}/{name}"


@pytest.fixture
def jetstream(stream: str) -> Iterator[JetStreamQueue]:
    """Return the queue of a new stream."""
    with JetStreamQueue(stream) as queue:
        yield queue


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[processes.RabbitMq]:
    """Return a RabbitMQ that runs for the session."""
    if not processes.RABBITMQ.exists():
        pytest.skip("no RabbitMQ to test against: install the Debian package rabbitmq-server")
    with processes.rabbitmq() as server:
        yield server


@dataclass
class AmqpAddress:
    """A new queue on a server, and its address."""

    server: processes.RabbitMq
    name: str

    @property
    def address(self) -> str:
        """Return the address, as a command takes it."""
        return f"{self.server.address}/{self.name}"

    def waiting(self) -> int:
        """Return the number of messages that are not acknowledged."""
        return self.server.messages(self.name)

    def not_delivered(self) -> int:
        """Return the number of messages that no receiver has."""
        with pika.BlockingConnection(pika.URLParameters(f"{self.server.address}/%2F")) as connection:
            return int(connection.channel().queue_declare(self.name, passive=True).method.message_count)


def declare(server: processes.RabbitMq, name: str, **arguments: str) -> AmqpAddress:
    """Create a queue with these arguments."""
    with pika.BlockingConnection(pika.URLParameters(f"{server.address}/%2F")) as connection:
        connection.channel().queue_declare(name, durable=True, arguments=arguments)
    return AmqpAddress(server, name)


@pytest.fixture
def amqp(rabbitmq: processes.RabbitMq) -> AmqpAddress:
    """Return a new quorum queue."""
    return declare(rabbitmq, f"photos-{secrets.token_hex(6)}", **{"x-queue-type": "quorum"})


@pytest.fixture
def amqp_queue(amqp: AmqpAddress) -> Iterator[AmqpQueue]:
    """Return a new quorum queue, which hides messages for HIDDEN_SECONDS."""
    with AmqpQueue(amqp.address, hidden_seconds=HIDDEN_SECONDS) as opened:
        yield opened


@pytest.fixture(params=["sqs", "nats", "amqp"])
def queue(request: pytest.FixtureRequest) -> Any:
    """Return a queue of each kind."""
    if request.param == "nats":
        return request.getfixturevalue("jetstream")
    if request.param == "amqp":
        return request.getfixturevalue("amqp_queue")
    request.getfixturevalue("ministack")
    name = f"photos-{secrets.token_hex(6)}"
    clients.client("sqs").create_queue(QueueName=name, Attributes={"VisibilityTimeout": str(HIDDEN_SECONDS)})
    return open_queue(f"sqs://{name}")
