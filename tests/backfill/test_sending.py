"""Keys are sent to a queue and handled by the function: once each, within limits, and again after interruptions."""

import time
from pathlib import Path

import pytest

from tests.aws.faulty import Faulty, raising
from tests.aws.scene import Scene, notification, queued
from tests.backfill.scene import MemoryQueue, backfill, counted, never
from tests.pictures import picture
from thumbsmith.backfill.send import KeySender, SendLimits
from thumbsmith.backfill.sent_log import MAX_SENDS, SentLog
from thumbsmith.bulk.cost import Model, source_amount
from thumbsmith.bulk.scan import KeyJoin, PendingKey
from thumbsmith.errors import StoreError, UsageError, WorkerError
from thumbsmith.events import backfill_message
from thumbsmith.recipe import Recipe
from thumbsmith.store.memory import MemoryStore

KEYS = ("a.jpg", "sub/ü +%20.jpg", "new\nline.jpg", "a..", "x//y")


@pytest.fixture
def sent_log(tmp_path: Path) -> Path:
    """Return the path of the sent log."""
    return tmp_path / "caches" / "sent.sqlite"


def test_missing_and_orphaned_keys_are_sent(scene: Scene, sent_log: Path):
    """Each missing or orphaned key is sent once; the function makes or deletes its thumbnails."""
    scene.upload(*KEYS, "gone.jpg")
    queue = MemoryQueue()
    assert backfill(scene, queue, sent_log).keys == len(KEYS) + 1 == queue.sent
    queue.feed(scene)
    scene.source.delete("gone.jpg")
    assert backfill(scene, queue, sent_log).keys == 1
    queue.feed(scene)
    assert scene.complete_keys() == set(KEYS)
    assert backfill(scene, queue, sent_log).keys == 0
    assert not queue.dead


def test_retry_tries_rejections_again(scene: Scene):
    """A recorded rejection is tried again only by a message with `retry`."""
    scene.upload("a.jpg", data=b"no picture")
    counts = counted(scene)
    scene.call(queued(backfill_message("src", "a.jpg")))
    scene.call(queued(backfill_message("src", "a.jpg")))
    assert counts["a.jpg"] == 1
    scene.call(queued(backfill_message("src", "a.jpg", retry=True)))
    assert counts["a.jpg"] == 2


@pytest.mark.parametrize("keys", [[""], [1], [None]])
def test_a_message_with_no_key_is_unreadable(scene: Scene, keys: list[object]):
    """A message with an invalid key is retried; its other keys are done."""
    scene.upload("a.jpg")
    answer = scene.call(queued({"thumbsmith": 1, "bucket": "src", "keys": [*keys, "a.jpg"]}))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert scene.complete_keys() == {"a.jpg"}


def test_a_foreign_bucket_is_ignored(scene: Scene):
    """A message about another bucket, or about thumbnails, is ignored."""
    scene.upload("a.jpg")
    assert scene.call(queued(backfill_message("other", "a.jpg"), backfill_message("dst", "a.jpg"))) == {
        "batchItemFailures": []
    }
    assert not scene.complete_keys()


def _listing(count: int, size: int = 3_000_000) -> KeyJoin:
    listing = KeyJoin()
    listing.add_pending(
        PendingKey(f"{number:06}.jpg", True, size + 10_000 * (number % 100), "e") for number in range(count)
    )
    return listing


@pytest.mark.parametrize("share", [0.0, 0.013, 0.5, 0.97, 1.1])
def test_a_budget_stops_within_a_hundredth(share: float):
    """The cost by the model is at most --max-usd, and within 1 % of it if work remains."""
    model, queue = Model(recipe=Recipe.default(), way="queue"), MemoryQueue()
    amounts = [source_amount(3_000_000 + 10_000 * (number % 100), new=False) for number in range(20_000)]
    whole = model.bill(sum(amounts[1:], amounts[0])).total
    limits = SendLimits(max_usd=share * whole, spent=whole / 1000)
    with SentLog(None, "r") as sent_log, _listing(20_000) as listing:
        sending = KeySender(queue, lambda key: key, sent_log, model, limits)
        for _ in sending.run(listing, never):
            pass
    spent = model.bill(sending.sent.amount).total + whole / 1000 * bool(sending.sent.keys)
    assert spent <= share * whole
    assert sending.sent.over_budget == (share < 1)
    assert spent >= 0.99 * min(share * whole, whole)
    assert queue.sent == sending.sent.keys


def test_the_next_run_sends_keys_over_the_budget(scene: Scene, sent_log: Path):
    """After a run that reached its budget, the next run sends the rest, and nothing twice."""
    scene.upload(*(f"{number}.jpg" for number in range(20)))
    queue, one = MemoryQueue(), Model(recipe=scene.recipe, way="queue").bill(source_amount(1000, new=True)).total
    first = backfill(scene, queue, sent_log, SendLimits(max_usd=one * 8))
    assert first.over_budget
    assert 4 < first.keys < 12
    second = backfill(scene, queue, sent_log)
    assert (second.keys, second.in_flight) == (20 - first.keys, first.keys)
    queue.feed(scene)
    assert len(scene.complete_keys()) == 20 == queue.sent


@pytest.mark.parametrize("rate", [60.0, 2_000.0])
def test_a_rate_is_kept(rate: float):
    """After the first batch, messages are sent no faster than the rate."""
    queue = MemoryQueue()
    with SentLog(None, "r") as sent_log, _listing(40) as listing:
        started = time.monotonic()
        sending = KeySender(queue, lambda key: key, sent_log, Model(recipe=Recipe.default()), SendLimits(rate=rate))
        for _ in sending.run(listing, never):
            pass
        assert time.monotonic() - started >= (40 - 10) / rate
    assert queue.sent == 40


@pytest.mark.parametrize("limits", [{"max_usd": -1}, {"rate": 0}, {"rate": -2.5}])
def test_invalid_limits_are_refused(limits: dict[str, float]):
    """One sentence names the option and the invalid value."""
    with pytest.raises(UsageError, match=r"--(max-usd|rate): expected .*, found -?[0-9.]+$"):
        SendLimits(**limits)


def test_keys_in_flight_are_not_sent_again(scene: Scene, sent_log: Path):
    """While the queue is not empty, a second run sends only new and replaced sources."""
    scene.upload("a.jpg", "b.jpg")
    queue = MemoryQueue()
    backfill(scene, queue, sent_log)
    scene.source.put("a.jpg", picture("#abcdef"), scene.source.open("a.jpg").headers)
    scene.upload("c.jpg")
    again = backfill(scene, queue, sent_log)
    assert (again.keys, again.in_flight) == (2, 1)
    scene.recipe = Recipe.loads("[variants.one]\nwidth = 5\n")
    assert backfill(scene, queue, sent_log).keys == 3  # nothing was sent for this recipe
    queue.waiting.clear()
    assert backfill(scene, queue, sent_log).keys == 3  # no key is in flight if the queue is empty


def test_without_a_sent_log_keys_are_sent_again(scene: Scene, tmp_path: Path):
    """Without a usable sent log, keys are sent again, and still rendered once."""
    scene.upload("a.jpg")
    queue, counts = MemoryQueue(), counted(scene)
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"no database, but long enough to be taken for one" * 100)
    for sent_log in (None, damaged, tmp_path / "damaged" / "below"):
        assert backfill(scene, queue, sent_log).keys == 1
    queue.feed(scene)
    assert counts == {"a.jpg": 1}


def test_a_source_is_rendered_once(scene: Scene, sent_log: Path):
    """Repeated events and backfills render a source once for each version and recipe."""
    scene.upload("a.jpg", "bad.jpg")
    scene.upload("bad.jpg", data=b"no picture")
    counts, queue = counted(scene), MemoryQueue()
    for _ in range(20):
        backfill(scene, queue, sent_log)
        queue.send([backfill_message("src", key) for key in ("a.jpg", "bad.jpg")])
        scene.call(notification("a.jpg", "bad.jpg"))
        queue.feed(scene)
    assert counts == {"a.jpg": 1, "bad.jpg": 1}


def test_a_source_that_always_fails_has_limited_attempts(scene: Scene, sent_log: Path):
    """A source that kills every worker is sent three times, and tried as often as the queue allows."""
    scene.upload("a.jpg", "poison.jpg")
    queue, tries, inner = MemoryQueue(max_receives=4), [], scene.renderer

    class Dying:
        def render(self, reader, recipe, wanted=None, *, until=None):
            if reader.info.key == "poison.jpg":
                tries.append(1)
                raise WorkerError("died")
            return inner.render(reader, recipe, wanted, until=until)

    scene.renderer = Dying()
    for _ in range(10):
        last = backfill(scene, queue, sent_log)
        queue.feed(scene)
    assert len(tries) == MAX_SENDS * 4
    assert (last.keys, last.given_up) == (0, 1)
    assert queue.dead == [backfill_message("src", "poison.jpg")] * MAX_SENDS
    scene.upload("poison.jpg", data=picture("#123456"))  # another version: its tries are its own
    assert backfill(scene, queue, sent_log).keys == 1


def test_a_transient_store_error_is_retried(scene: Scene):
    """A source that cannot be read is retried, and made after the store recovers."""
    scene.source = Faulty("src", faults={"a.jpg": raising(StoreError("busy", transient=True))})
    scene.upload("a.jpg", "b.jpg")
    queue = MemoryQueue(max_receives=3)
    backfill(scene, queue)
    queue.feed(scene)
    assert scene.complete_keys() == {"b.jpg"}
    assert len(queue.dead) == 1
    good, scene.source = scene.source, MemoryStore("src", dict(scene.source._objects))
    queue.send(queue.dead)
    queue.feed(scene)
    assert good is not scene.source
    assert scene.complete_keys() == {"a.jpg", "b.jpg"}


def test_an_error_of_the_queue_ends_the_run(tmp_path: Path):
    """The error is raised; the sent log knows the sent keys, and the next run sends the rest."""

    class Failing(MemoryQueue):
        def send(self, bodies):
            if self.sent >= 30:
                raise StoreError("no", transient=True)
            super().send(bodies)

    queue, model = Failing(), Model(recipe=Recipe.default())
    with SentLog(tmp_path / "sent", "r") as sent_log, _listing(100) as listing:
        with pytest.raises(StoreError):
            for _ in KeySender(queue, lambda key: key, sent_log, model).run(listing, never, threads=1):
                pass
        rest = MemoryQueue()
        sending = KeySender(rest, lambda key: key, sent_log, model, empty=False)
        for _ in sending.run(listing, never):
            pass
    assert (rest.sent, sending.sent.in_flight) == (70, 30)


def test_stop_begins_no_further_batch(tmp_path: Path):
    """After `stop`, batches in progress are sent and recorded, and no other is begun."""
    queue, model = MemoryQueue(), Model(recipe=Recipe.default())
    with SentLog(tmp_path / "sent", "r") as sent_log, _listing(1000) as listing:
        sending = KeySender(queue, lambda key: key, sent_log, model)
        for _ in sending.run(listing, lambda: queue.sent >= 100, threads=2):
            pass
    assert 100 <= queue.sent == sending.sent.keys <= 140
