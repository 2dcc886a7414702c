"""Queues of RabbitMQ: what differs from other queues."""

import json
import logging
import secrets
import socket
import time
from pathlib import Path

import pytest

from tests.dispatch.conftest import AmqpAddress, declare
from tests.dispatch.test_work import SECONDS, made, put, stop, wait_for, worker
from tests.pictures import picture
from tests.servers import processes
from tests.servers.fixtures import needs_servers
from thumbsmith.dispatch.amqp import AmqpQueue
from thumbsmith.dispatch.deliveries import MAX_DELIVERIES
from thumbsmith.errors import Stopped, StoreError, UsageError
from thumbsmith.lifetime import Lifetime

pytestmark = needs_servers


def test_a_dead_letter_is_moved_to_its_queue(amqp: AmqpAddress):
    """A message that was delivered five times is moved to QUEUE-dead, and does not count as new there."""
    with AmqpQueue(amqp.address) as queue:
        queue.send(["nonsense"])
        for delivery in range(1, MAX_DELIVERIES + 1):
            (message,) = queue.receive(SECONDS)
            assert message.receives == delivery
            assert message.sent is not None
            queue.hide(message, 0)
        assert queue.receive(0) == []
    with AmqpQueue(f"{amqp.address}-dead") as dead:
        (message,) = dead.receive(SECONDS)
        assert (message.body, message.receives) == ("nonsense", MAX_DELIVERIES + 2)
        dead.delete(message)
    assert AmqpAddress(amqp.server, f"{amqp.name}-dead").waiting() == 0


def test_a_message_is_hidden_for_its_time(amqp: AmqpAddress):
    """A message that is not answered is delivered again after its time, and not before; `hide` sets the time anew."""
    with AmqpQueue(amqp.address, hidden_seconds=0.5) as queue:
        queue.send(["a"])
        (message,) = queue.receive(SECONDS)
        (again,) = queue.receive(SECONDS)
        assert (message.receives, again.receives) == (1, 2)
        queue.hide(again, 3600)
        time.sleep(0.6)
        assert queue.receive(0) == []
    with AmqpQueue(amqp.address) as queue:  # the end of a connection returns all
        (message,) = queue.receive(SECONDS)
        assert message.receives == 3


def test_a_connection_that_breaks_off_returns_its_messages(amqp: AmqpAddress):
    """After the server ends the connection, deleting is a transient error, and the message is delivered again."""
    with AmqpQueue(amqp.address) as queue:
        queue.send(["a"])
        (message,) = queue.receive(SECONDS)
        amqp.server.control("close_all_connections", "test")
        with pytest.raises(StoreError) as caught:
            queue.delete(message)
        assert caught.value.transient
        (again,) = queue.receive(SECONDS)
        assert again.receives == 2
        with pytest.raises(StoreError, match="the connection broke off: messages come again"):
            queue.delete(message)  # of the first connection
        (again,) = queue.receive(SECONDS)
        queue.delete(again)
    assert amqp.waiting() == 0


def test_several_processes_share_a_queue(tmp_path: Path, amqp: AmqpAddress):
    """Each message goes to one of two workers, and the messages of the one that is killed go to the other."""
    names = [f"{number}.jpg" for number in range(40)]
    messages = put(tmp_path, *names, data=picture(size=(600, 400)))
    with worker(tmp_path, amqp.address) as one, worker(tmp_path, amqp.address) as two:
        with AmqpQueue(amqp.address) as queue:
            for start in range(0, len(messages), 10):
                queue.send(messages[start : start + 10])
        wait_for(lambda: made(tmp_path))
        one.kill()
        wait_for(lambda: amqp.waiting() == 0)
        stop(two)
    assert made(tmp_path) == set(names)


def test_a_stop_returns_what_is_not_finished(tmp_path: Path, amqp: AmqpAddress):
    """After SIGTERM each message is done, or in the queue for the next receiver."""
    names = [f"{number}.jpg" for number in range(10)]
    with AmqpQueue(amqp.address) as queue:
        queue.send(put(tmp_path, *names, data=picture(size=(6000, 4000))))
        with worker(tmp_path, amqp.address, "--jobs", "1") as process:
            wait_for(lambda: amqp.not_delivered() == 0)
            stop(process)
        wait_for(lambda: amqp.waiting() == amqp.not_delivered())
        unfinished = []
        while batch := queue.receive(0):
            unfinished += [json.loads(message.body)["Records"][0]["s3"]["object"]["key"] for message in batch]
    assert len(unfinished) == len(set(unfinished))
    assert made(tmp_path) | set(unfinished) == set(names)  # one that is done may come again, which changes nothing


def test_a_queue_that_does_not_count_is_refused(rabbitmq: processes.RabbitMq):
    """A classic queue cannot tell how often it delivered a message: it would have no dead letters."""
    name = declare(rabbitmq, f"classic-{secrets.token_hex(4)}").address
    with AmqpQueue(name) as queue:
        queue.send(["a"])
        (message,) = queue.receive(SECONDS)
        queue.hide(message, 0)
        with pytest.raises(StoreError, match="create it with x-queue-type=quorum") as caught:
            queue.receive(SECONDS)
    assert not caught.value.transient


@pytest.mark.parametrize(
    ("user", "path", "sentence"),
    [
        ("", "missing", "missing: there is no such queue: create it first, with x-queue-type=quorum"),
        ("guest:secret@", "x", "x: the server refuses the user, the password or the virtual host"),
        ("", "no-host/x", "x: the server refuses the user, the password or the virtual host"),
    ],
)
def test_what_a_retry_does_not_change_ends_the_command(
    tmp_path: Path, rabbitmq: processes.RabbitMq, user: str, path: str, sentence: str
):
    """A missing queue, or wrong credentials, are one sentence, without the password, and exit code 2."""
    address = rabbitmq.address.replace("//", f"//{user}")
    with worker(tmp_path, f"{address}/{path}") as process:
        _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 2
    assert sentence in err
    assert "secret" not in err
    assert "Traceback" not in err


def test_a_server_that_cannot_be_reached_is_transient(caplog: pytest.LogCaptureFixture):
    """No server, or one that does not speak AMQP, is a transient error: it may come back. Nothing else is logged."""
    caplog.set_level(logging.DEBUG)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        free = silent.getsockname()[1]
        with AmqpQueue(f"amqp://user:secret@127.0.0.1:{free}/photos") as queue:
            began = time.monotonic()
            with Lifetime(began + 0.5).applied(), pytest.raises(Stopped):
                queue.receive(SECONDS)
            with pytest.raises(StoreError) as caught:
                queue.receive(SECONDS)
            assert caught.value.transient
    with AmqpQueue(f"amqp://user:secret@127.0.0.1:{free}/photos") as queue:
        with pytest.raises(StoreError, match="Connection refused") as caught:
            queue.receive(SECONDS)
        assert caught.value.transient
        assert "secret" not in str(caught.value)
    assert not [record for record in caplog.records if record.name.startswith("pika")]


@pytest.mark.parametrize(
    "address",
    ["amqp://", "amqp://host", "amqp://host/", "amqp://host/a/b/c", "amqp://host:99999/x", "amqps://u:p@/x"],
)
def test_a_wrong_address_is_refused(address: str):
    """An address without the name of a queue is an error of usage."""
    with pytest.raises(UsageError, match="expected amqp://HOST:PORT/QUEUE"):
        AmqpQueue(address)


def test_an_address_is_decoded():
    """User, password, virtual host and queue are percent-encoded; TLS has another port."""
    with AmqpQueue("amqps://a%40b:c%2Fd@[::1]/v%2Fh/photos%20new") as queue:
        found = queue._connection._parameters
        assert (found.host, found.port, found.virtual_host) == ("::1", 5671, "v/h")
        assert (found.credentials.username, found.credentials.password) == ("a@b", "c/d")
        assert queue.name == "photos new"
