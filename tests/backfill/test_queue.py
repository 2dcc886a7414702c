"""An SQS queue, on an emulator, and through botocore's model for what the emulator does not do."""

import json
import secrets

import pytest
from botocore.session import get_session
from botocore.stub import Stubber

from tests.servers.fixtures import needs_servers
from thumbsmith.backfill import clients
from thumbsmith.backfill.clients import Queue, QueueDepth, is_queue, open_queue
from thumbsmith.backfill.send import drain
from thumbsmith.errors import StoreError, UsageError

URL = "https://sqs.us-east-1.amazonaws.com/123456789012/work"


@pytest.fixture
def queue(ministack: str) -> Queue:
    """Return a new queue on the emulator."""
    name = f"q-{secrets.token_hex(6)}"
    clients.client("sqs").create_queue(QueueName=name)
    return open_queue(f"sqs://{name}")


@pytest.fixture
def stubbed() -> tuple[Queue, Stubber]:
    """Return a queue with stubbed responses."""
    sqs = get_session().create_client("sqs", region_name="us-east-1")
    return Queue(URL, sqs), Stubber(sqs)


@needs_servers
def test_messages_come_and_go(queue: Queue):
    """Messages are sent, counted, received once, made visible again, deleted and purged."""
    queue.send([f"message {number}" for number in range(10)])
    queue.send(["one more"])
    assert queue.depth() == QueueDepth(11, 0)
    messages = list(queue.receive_all(60, 100))
    assert {each.body for each in messages} == {f"message {number}" for number in range(10)} | {"one more"}
    assert queue.depth() == QueueDepth(0, 11)
    assert queue.receive(0) == []
    queue.hide(messages[0], 0)
    (again,) = queue.receive(1, hidden_seconds=60)
    assert (again.id, again.receives) == (messages[0].id, 2)
    queue.delete(again)
    assert queue.depth().total == 10
    queue.purge()
    assert queue.depth().total == 0


@needs_servers
def test_a_queue_has_three_addresses(queue: Queue):
    """A queue is found by name, by account and name, and by URL."""
    for address in (f"sqs://{queue.name}", f"sqs://000000000000/{queue.name}", queue.url):
        found = open_queue(address)
        assert is_queue(address)
        assert found.name == queue.name
        found.send(["x"])
    assert queue.depth().total == 3


@needs_servers
def test_receiving_has_a_limit(queue: Queue):
    """No more messages than the limit are received."""
    queue.send([str(number) for number in range(8)])
    assert len(list(queue.receive_all(60, 3))) == 3


@needs_servers
def test_a_missing_queue_is_a_permanent_error(ministack: str):
    """The error names the missing queue, and is permanent."""
    with pytest.raises(StoreError, match=r"sqs://nowhere: .*NonExistentQueue") as caught:
        open_queue("sqs://nowhere")
    assert not caught.value.transient


@pytest.mark.parametrize("address", ["sqs://", "sqs://a/b", "sqs://a b", "ftp://x"])
def test_an_invalid_address_is_refused(address: str):
    """One sentence says what was expected."""
    with pytest.raises(UsageError, match="expected sqs://NAME or a queue's URL"):
        open_queue(address)


def _failed(*ids: str, sender: bool = False) -> dict:
    failed = [{"Id": each, "Code": "InternalError", "SenderFault": sender} for each in ids]
    return {"Successful": [], "Failed": failed}


def _entries(*numbers: int) -> dict:
    return {"QueueUrl": URL, "Entries": [{"Id": str(n), "MessageBody": f"m{n}"} for n in numbers]}


def test_messages_not_accepted_are_sent_again(stubbed: tuple[Queue, Stubber]):
    """Only the messages of a batch that SQS did not accept are sent again."""
    queue, stub = stubbed
    stub.add_response("send_message_batch", _failed("1", "2"), _entries(0, 1, 2))
    stub.add_response("send_message_batch", _failed("2"), _entries(1, 2))
    stub.add_response("send_message_batch", _failed(), _entries(2))
    with stub:
        queue.send(["m0", "m1", "m2"])
    stub.assert_no_pending_responses()


@pytest.mark.parametrize("sender", [True, False])
def test_messages_never_accepted_are_an_error(stubbed: tuple[Queue, Stubber], sender: bool):
    """After three sends it is an error, permanent if the message is at fault."""
    queue, stub = stubbed
    for _ in range(3):
        stub.add_response("send_message_batch", _failed("0", sender=sender))
    with stub, pytest.raises(StoreError, match="1 messages were not accepted: InternalError") as caught:
        queue.send(["m0"])
    assert caught.value.transient is not sender


@pytest.mark.parametrize(
    ("code", "status", "transient"),
    [("AccessDenied", 403, False), ("ThrottlingException", 400, True), ("InternalFailure", 500, True)],
)
def test_errors_are_transient_or_permanent(stubbed: tuple[Queue, Stubber], code: str, status: int, transient: bool):
    """Status and code of the response decide whether an error is transient."""
    queue, stub = stubbed
    stub.add_client_error("get_queue_attributes", code, "words", status)
    with stub, pytest.raises(StoreError, match=f"{code}: words") as caught:
        queue.depth()
    assert caught.value.transient is transient


def test_source_queues(stubbed: tuple[Queue, Stubber]):
    """A dead-letter queue knows the queues that use it."""
    queue, stub = stubbed
    stub.add_response("list_dead_letter_source_queues", {"queueUrls": [f"{URL}-live"]}, {"QueueUrl": URL})
    with stub:
        assert [each.name for each in queue.source_queues()] == ["work-live"]


def test_an_unreachable_server_is_a_transient_error(monkeypatch: pytest.MonkeyPatch):
    """A server that cannot be reached is a transient error."""
    sqs = clients.client("sqs")
    monkeypatch.setattr(sqs.meta.config, "retries", {"total_max_attempts": 1})
    with pytest.raises(StoreError) as caught:
        Queue("http://127.0.0.1:1/000000000000/x", sqs).depth()
    assert caught.value.transient


class _Depths:
    def __init__(self, *depths: int | StoreError) -> None:
        self.depths = list(depths)

    def depth(self) -> QueueDepth:
        depth = self.depths.pop(0)
        if isinstance(depth, StoreError):
            raise depth
        return QueueDepth(depth, 0)


def test_a_queue_is_empty_after_three_empty_counts():
    """Draining ends after three empty counts in a row; a transient error is not a count."""
    depths = _Depths(5, 0, 0, 2, StoreError("busy", transient=True), 0, 0, 0, 7)
    assert [each.total for each in drain(depths, lambda: False, pause=0)] == [5, 0, 0, 2, 0, 0, 0]
    assert depths.depths == [7]


def test_errors_while_draining():
    """A permanent error is raised at once, a transient one after ten in a row; `stop` ends it."""
    with pytest.raises(StoreError):
        list(drain(_Depths(StoreError("no", transient=False)), lambda: False, pause=0))
    with pytest.raises(StoreError):
        list(drain(_Depths(*[StoreError("no", transient=True)] * 10), lambda: False, pause=0))
    assert list(drain(_Depths(), lambda: True)) == []


@needs_servers
def test_stack_outputs(ministack: str):
    """A stack's outputs are returned by name; a missing stack is a permanent error."""
    template = {"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}, "Outputs": {"Name": {"Value": "x"}}}
    clients.client("cloudformation").create_stack(StackName="some", TemplateBody=json.dumps(template))
    assert clients.stack_outputs("some") == {"Name": "x"}
    with pytest.raises(StoreError, match="stack other: ") as caught:
        clients.stack_outputs("other")
    assert not caught.value.transient
