"""A queue of SQS, on the emulator; what that does not have, or never does, by botocore's own model of the service."""

import json
import secrets

import pytest
from botocore.session import get_session
from botocore.stub import Stubber

from tests.servers.fixtures import needs_servers
from thumbsmith.backfill import clients
from thumbsmith.backfill.clients import Queue, QueueDepth, is_queue, open_queue, receive_all
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
    """Return a queue that is answered by hand."""
    sqs = get_session().create_client("sqs", region_name="us-east-1")
    return Queue(URL, sqs), Stubber(sqs)


@needs_servers
def test_messages_come_and_go(queue: Queue):
    """Sent ten at a time, counted, received once, given back, deleted, and deleted all."""
    queue.send([f"message {number}" for number in range(10)])
    queue.send(["one more"])
    assert queue.depth() == QueueDepth(11, 0)
    messages = list(receive_all(queue, 60, 100))
    assert {each.body for each in messages} == {f"message {number}" for number in range(10)} | {"one more"}
    assert queue.depth() == QueueDepth(0, 11)
    assert queue.receive(0) == []
    queue.hide(messages[0], 0)
    (again,) = queue.receive(1, hidden=60)
    assert (again.id, again.receives) == (messages[0].id, 2)
    queue.delete(again)
    assert queue.depth().total == 10
    queue.purge()
    assert queue.depth().total == 0


@needs_servers
def test_a_queue_has_three_addresses(queue: Queue):
    """By name, by account and name, and by URL one queue is found."""
    for address in (f"sqs://{queue.name}", f"sqs://000000000000/{queue.name}", queue.url):
        found = open_queue(address)
        assert is_queue(address)
        assert found.name == queue.name
        found.send(["x"])
    assert queue.depth().total == 3


@needs_servers
def test_only_so_many_are_received(queue: Queue):
    """A limit on the number of messages is kept."""
    queue.send([str(number) for number in range(8)])
    assert len(list(receive_all(queue, 60, 3))) == 3


@needs_servers
def test_a_queue_that_is_not_there(ministack: str):
    """One sentence names it, and that trying again does not help."""
    with pytest.raises(StoreError, match=r"sqs://nowhere: .*NonExistentQueue") as caught:
        open_queue("sqs://nowhere")
    assert not caught.value.transient


@pytest.mark.parametrize("address", ["sqs://", "sqs://a/b", "sqs://a b", "ftp://x"])
def test_what_is_no_queue_is_refused(address: str):
    """One sentence says what was expected."""
    with pytest.raises(UsageError, match="expected sqs://NAME or a queue's URL"):
        open_queue(address)


def _failed(*ids: str, sender: bool = False) -> dict:
    failed = [{"Id": each, "Code": "InternalError", "SenderFault": sender} for each in ids]
    return {"Successful": [], "Failed": failed}


def _entries(*numbers: int) -> dict:
    return {"QueueUrl": URL, "Entries": [{"Id": str(n), "MessageBody": f"m{n}"} for n in numbers]}


def test_what_was_not_taken_is_sent_again(stubbed: tuple[Queue, Stubber]):
    """Of a batch that was taken in part the rest is sent again, and nothing else."""
    queue, stub = stubbed
    stub.add_response("send_message_batch", _failed("1", "2"), _entries(0, 1, 2))
    stub.add_response("send_message_batch", _failed("2"), _entries(1, 2))
    stub.add_response("send_message_batch", _failed(), _entries(2))
    with stub:
        queue.send(["m0", "m1", "m2"])
    stub.assert_no_pending_responses()


@pytest.mark.parametrize("sender", [True, False])
def test_what_is_never_taken_is_an_error(stubbed: tuple[Queue, Stubber], sender: bool):
    """After three times it is an error, for good where the message is at fault."""
    queue, stub = stubbed
    for _ in range(3):
        stub.add_response("send_message_batch", _failed("0", sender=sender))
    with stub, pytest.raises(StoreError, match="1 messages were not taken: InternalError") as caught:
        queue.send(["m0"])
    assert caught.value.transient is not sender


@pytest.mark.parametrize(
    ("code", "status", "transient"),
    [("AccessDenied", 403, False), ("ThrottlingException", 400, True), ("InternalFailure", 500, True)],
)
def test_errors_say_whether_to_try_again(stubbed: tuple[Queue, Stubber], code: str, status: int, transient: bool):
    """As the answer's status and code do."""
    queue, stub = stubbed
    stub.add_client_error("get_queue_attributes", code, "words", status)
    with stub, pytest.raises(StoreError, match=f"{code}: words") as caught:
        queue.depth()
    assert caught.value.transient is transient


def test_where_dead_letters_come_from(stubbed: tuple[Queue, Stubber]):
    """SQS tells whose dead letters a queue has."""
    queue, stub = stubbed
    stub.add_response("list_dead_letter_source_queues", {"queueUrls": [f"{URL}-live"]}, {"QueueUrl": URL})
    with stub:
        assert [each.name for each in queue.source_queues()] == ["work-live"]


def test_nothing_listens(monkeypatch: pytest.MonkeyPatch):
    """A server that cannot be reached is a failure that may pass."""
    sqs = clients.client("sqs")
    monkeypatch.setattr(sqs.meta.config, "retries", {"total_max_attempts": 1})
    with pytest.raises(StoreError) as caught:
        Queue("http://127.0.0.1:1/000000000000/x", sqs).depth()
    assert caught.value.transient


class _Told:
    def __init__(self, *depths: int | StoreError) -> None:
        self.depths = list(depths)

    def depth(self) -> QueueDepth:
        told = self.depths.pop(0)
        if isinstance(told, StoreError):
            raise told
        return QueueDepth(told, 0)


def test_a_queue_is_empty_when_it_says_so_three_times():
    """One look tells little: SQS counts about right. A failure that passes is no answer."""
    told = _Told(5, 0, 0, 2, StoreError("busy", transient=True), 0, 0, 0, 7)
    assert [each.total for each in drain(told, lambda: False, pause=0)] == [5, 0, 0, 2, 0, 0, 0]
    assert told.depths == [7]


def test_a_queue_that_cannot_be_looked_at_is_told():
    """For good at once, for now after ten times in a row; asked to stop, no further look is taken."""
    with pytest.raises(StoreError):
        list(drain(_Told(StoreError("no", transient=False)), lambda: False, pause=0))
    with pytest.raises(StoreError):
        list(drain(_Told(*[StoreError("no", transient=True)] * 10), lambda: False, pause=0))
    assert list(drain(_Told(), lambda: True)) == []


@needs_servers
def test_stacks(ministack: str):
    """A stack's outputs by name; a stack that is not there is an error for good."""
    template = {"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}, "Outputs": {"Name": {"Value": "x"}}}
    clients.client("cloudformation").create_stack(StackName="some", TemplateBody=json.dumps(template))
    assert clients.stack_outputs("some") == {"Name": "x"}
    with pytest.raises(StoreError, match="stack other: ") as caught:
        clients.stack_outputs("other")
    assert not caught.value.transient
