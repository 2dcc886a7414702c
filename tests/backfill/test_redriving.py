"""Dead letters: told of with what their keys are about, sent before they are deleted; on the emulator."""

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
    """Return a queue of dead letters, and the one they came from."""
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
    """Of each key how it stands is told, all that can be read is sent back and deleted; the rest stays, exit code 1."""
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
    """What is in the queue is told to people, and all of it can be received again at once."""
    dead, _ = queues
    dead.send([backfill_message(ministack.removeprefix("s3://"), "in/a\x1b.jpg")] * 10)
    dead.send([backfill_message(ministack.removeprefix("s3://"), "in/b.jpg")] * 4)
    ran = thumbsmith(*_words(ministack, dead, "--dry-run"))
    assert ran.code == 0
    assert "14 dead letters: 0 sent back" in ran.out
    assert "none      a\\x1b.jpg: there is no such object in the source" in ran.out
    assert len(dead.receive(1)) == 10


def test_without_stores_keys_are_told(thumbsmith: Command, queues: tuple[Queue, Queue]):
    """Nothing is explained then; no more than --max are taken."""
    dead, live = queues
    dead.send([backfill_message("b", f"{number}.jpg") for number in range(3)])
    ran = thumbsmith("redrive", dead.url, "--to", live.url, "--max", "2")
    assert (ran.code, ran.out.splitlines()[-1]) == (
        0,
        "2 dead letters: 2 sent back, 0 that nobody understands",
    )
    assert live.depth().total == 2


def test_a_key_that_cannot_be_explained_is_sent_back_too(
    thumbsmith: Command, ministack: str, queues: tuple[Queue, Queue]
):
    """Where a store says no, that is why; the letter goes back all the same."""
    dead, live = queues
    dead.send([backfill_message("nowhere", "a.jpg")])
    ran = thumbsmith("redrive", dead.url, "s3://nowhere", f"{ministack}/out", "--to", live.url)
    assert "nowhere/a.jpg: " in ran.out
    assert "there is no such bucket" in ran.out
    assert live.depth().total == 1


def test_one_of_two_places_is_refused(thumbsmith: Command):
    """SRC alone is a mistake; exit code 2."""
    assert thumbsmith("redrive", "sqs://x", "./photos").code == 2


@pytest.mark.parametrize("names", [(), ("a", "b")])
def test_a_home_that_is_not_one_is_refused(names: tuple[str, ...]):
    """No queue, or several, whose dead letters come there: somebody has to say which."""

    class Several(Queue):
        def source_queues(self):
            return [Queue(f"http://x/{name}", None) for name in names]

    with pytest.raises(StoreError, match=f"found {', '.join(names) or 'none'}"):
        source_queue(Several("http://x/dead", None))


def test_there_is_one_home():
    """The queue that names this one for its dead letters."""

    class One(Queue):
        def source_queues(self):
            return [Queue("http://x/live", None)]

    assert source_queue(One("http://x/dead", None)).name == "live"
