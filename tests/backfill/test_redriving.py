"""Dead letters: explained with the state of their keys, and sent before they are deleted."""

import json
import secrets

import pytest

from tests.aws.scene import notification
from tests.cli.command import Command
from tests.reconcile.scene import HEADERS
from tests.servers.fixtures import needs_servers
from thumbsmith.backfill import clients
from thumbsmith.backfill.clients import Queue, open_queue
from thumbsmith.backfill.redrive import source_queue
from thumbsmith.errors import StoreError
from thumbsmith.events import backfill_message
from thumbsmith.store import open_store

pytestmark = needs_servers


@pytest.fixture
def queues(ministack: str) -> tuple[Queue, Queue]:
    """Return a dead-letter queue and its source queue."""
    names = [f"{kind}-{secrets.token_hex(6)}" for kind in ("dead", "live")]
    for name in names:
        clients.client("sqs").create_queue(QueueName=name)
    return open_queue(f"sqs://{names[0]}"), open_queue(f"sqs://{names[1]}")


@pytest.fixture
def thumbsmith(tmp_path, monkeypatch, capsys) -> Command:
    """Return the command line."""
    return Command(tmp_path, monkeypatch, capsys)


def _words(ministack: str, dead: Queue, *more: str) -> list[str]:
    return ["redrive", dead.url, f"{ministack}/in", f"{ministack}/out", *more]


def test_letters_are_explained_and_sent_back(thumbsmith: Command, ministack: str, queues: tuple[Queue, Queue]):
    """The state of each key is printed; readable messages are sent back, others stay; exit code 1."""
    dead, live = queues
    bucket = ministack.removeprefix("s3://")
    open_store(f"{ministack}/in").put("a.jpg", b"picture", HEADERS)
    event = notification("in/a.jpg")
    event["Records"][0]["s3"]["bucket"]["name"] = bucket
    bodies = [
        json.dumps(event),
        backfill_message(bucket, "in/gone.jpg"),
        backfill_message("elsewhere", "x.jpg"),
        "unreadable",
    ]
    dead.send(bodies)
    ran = thumbsmith(*_words(ministack, dead, "--to", live.url, "--json"))
    assert ran.code == 1
    assert ran.summary == {"messages": 4, "sent": 3, "unreadable": 1}
    letters = {each["objects"][0] if each["objects"] else "": each for each in ran.events[:-1]}
    assert letters[f"{bucket}/in/a.jpg"]["stands"][0]["state"] == "missing"
    assert letters[f"{bucket}/in/gone.jpg"]["stands"][0]["why"] == "there is no such object in the source"
    assert "stands" not in letters["elsewhere/x.jpg"]
    assert letters[""]["outcome"] == "unreadable"
    assert live.depth().total == 3
    assert dead.depth().total == 1
    assert {each.body for each in live.receive(1)} == set(bodies[:3])


def test_a_dry_run_changes_nothing(thumbsmith: Command, ministack: str, queues: tuple[Queue, Queue]):
    """A dry run prints the messages, and all of them can be received again at once."""
    dead, _ = queues
    dead.send([backfill_message(ministack.removeprefix("s3://"), "in/a\x1b.jpg")] * 10)
    dead.send([backfill_message(ministack.removeprefix("s3://"), "in/b.jpg")] * 4)
    ran = thumbsmith(*_words(ministack, dead, "--dry-run"))
    assert ran.code == 0
    assert "14 dead letters: 0 sent back" in ran.out
    assert "none      a\\x1b.jpg: there is no such object in the source" in ran.out
    assert len(dead.receive(1)) == 10


def test_without_stores_only_keys_are_printed(thumbsmith: Command, queues: tuple[Queue, Queue]):
    """Without stores nothing is explained; no more than --max are sent."""
    dead, live = queues
    dead.send([backfill_message("b", f"{number}.jpg") for number in range(3)])
    ran = thumbsmith("redrive", dead.url, "--to", live.url, "--max", "2")
    assert (ran.code, ran.out.splitlines()[-1]) == (
        0,
        "2 dead letters: 2 sent back, 0 unreadable",
    )
    assert live.depth().total == 2


def test_a_key_that_cannot_be_explained_is_sent_back_too(
    thumbsmith: Command, ministack: str, queues: tuple[Queue, Queue]
):
    """If a store cannot be read, its error is printed, and the message is sent back."""
    dead, live = queues
    dead.send([backfill_message("nowhere", "a.jpg")])
    ran = thumbsmith("redrive", dead.url, "s3://nowhere", f"{ministack}/out", "--to", live.url)
    assert "nowhere/a.jpg: " in ran.out
    assert "there is no such bucket" in ran.out
    assert live.depth().total == 1


def test_a_source_without_a_destination_is_refused(thumbsmith: Command):
    """SRC without DST is refused with exit code 2."""
    assert thumbsmith("redrive", "sqs://x", "./photos").code == 2


@pytest.mark.parametrize("names", [(), ("a", "b")])
def test_several_source_queues_are_refused(names: tuple[str, ...]):
    """Without a source queue, or with several, the error asks for one."""

    class Several(Queue):
        def source_queues(self):
            return [Queue(f"http://x/{name}", None) for name in names]

    with pytest.raises(StoreError, match=f"found {', '.join(names) or 'none'}"):
        source_queue(Several("http://x/dead", None))


def test_one_source_queue_is_found():
    """The only queue that uses this dead-letter queue is found."""

    class One(Queue):
        def source_queues(self):
            return [Queue("http://x/live", None)]

    assert source_queue(One("http://x/dead", None)).name == "live"


def test_a_service_that_does_not_name_the_source_queue(thumbsmith: Command, queues: tuple[Queue, Queue]):
    """The emulator does not know the request: one sentence asks for --to, and nothing is sent; exit code 2."""
    ran = thumbsmith("redrive", queues[0].url)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "name the queue to send to with --to" in ran.err
