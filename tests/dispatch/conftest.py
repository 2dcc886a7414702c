"""Fixtures: queues of two kinds that hold the same messages, between the same stores."""

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import nats
import pytest

from tests.servers import processes
from thumbsmith.backfill import clients
from thumbsmith.backfill.clients import open_queue
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


@pytest.fixture(params=["sqs", "nats"])
def queue(request: pytest.FixtureRequest) -> Any:
    """Return a queue of each kind."""
    if request.param == "nats":
        return request.getfixturevalue("jetstream")
    request.getfixturevalue("ministack")
    name = f"photos-{secrets.token_hex(6)}"
    clients.client("sqs").create_queue(QueueName=name, Attributes={"VisibilityTimeout": str(HIDDEN_SECONDS)})
    return open_queue(f"sqs://{name}")
