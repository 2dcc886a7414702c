"""Keys sent to a queue and worked off by the function: once each, within limits, and again where it was interrupted."""

import time
from pathlib import Path

import pytest

from tests.aws.faulty import Faulty, raising
from tests.aws.scene import Scene, notification, queued
from tests.backfill.scene import MemoryQueue, backfill, counted, never
from tests.pictures import picture
from thumbsmith.backfill.send import KeySender, SendLimits
from thumbsmith.backfill.sent_log import MAX_SENDS, SentLog
from thumbsmith.bulk.cost import Model, source
from thumbsmith.bulk.join import KeyJoin, PendingKey
from thumbsmith.errors import StoreError, UsageError, WorkerError
from thumbsmith.events import backfill_message
from thumbsmith.recipe import Recipe
from thumbsmith.store.memory import MemoryStore

KEYS = ("a.jpg", "sub/ü +%20.jpg", "new\nline.jpg", "a..", "x//y")


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Return where what was sent is remembered."""
    return tmp_path / "caches" / "sent.sqlite"


def test_what_is_missing_is_sent_and_made(scene: Scene, ledger: Path):
    """Each key is sent once, whatever is in it; the function makes all, and clears away what is left of a gone one."""
    scene.upload(*KEYS, "gone.jpg")
    queue = MemoryQueue()
    assert backfill(scene, queue, ledger).keys == len(KEYS) + 1 == queue.sent
    queue.feed(scene)
    scene.source.delete("gone.jpg")
    assert backfill(scene, queue, ledger).keys == 1
    queue.feed(scene)
    assert scene.pictured() == set(KEYS)
    assert backfill(scene, queue, ledger).keys == 0
    assert not queue.dead


def test_a_rejection_is_asked_for_again_on_wish(scene: Scene):
    """A message may say that recorded rejections are to be tried again; without, they stand."""
    scene.upload("a.jpg", data=b"no picture")
    counts = counted(scene)
    scene.call(queued(backfill_message("src", "a.jpg")))
    scene.call(queued(backfill_message("src", "a.jpg")))
    assert counts["a.jpg"] == 1
    scene.call(queued(backfill_message("src", "a.jpg", retry=True)))
    assert counts["a.jpg"] == 2


@pytest.mark.parametrize("keys", [[""], [1], [None]])
def test_a_message_with_no_key_is_unreadable(scene: Scene, keys: list[object]):
    """What is no key is handed back, for somebody to look at; the other keys of its message are done."""
    scene.upload("a.jpg")
    answer = scene.call(queued({"thumbsmith": 1, "bucket": "src", "keys": [*keys, "a.jpg"]}))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert scene.pictured() == {"a.jpg"}


def test_a_foreign_bucket_is_nobodys_business(scene: Scene):
    """A message about another bucket, or about thumbnails, makes nothing: it is guarded as events are."""
    scene.upload("a.jpg")
    assert scene.call(queued(backfill_message("other", "a.jpg"), backfill_message("dst", "a.jpg"))) == {
        "batchItemFailures": []
    }
    assert not scene.pictured()


def _listing(count: int, size: int = 3_000_000) -> KeyJoin:
    listing = KeyJoin()
    listing.defer(PendingKey(f"{number:06}.jpg", True, size + 10_000 * (number % 100), "e") for number in range(count))
    return listing


@pytest.mark.parametrize("share", [0.0, 0.013, 0.5, 0.97, 1.1])
def test_a_budget_stops_within_a_hundredth(share: float):
    """What is sent costs at most --max-usd by the model, and not a hundredth less where there is more to do."""
    model, queue = Model(recipe=Recipe.default(), way="queue"), MemoryQueue()
    amounts = [source(3_000_000 + 10_000 * (number % 100)) for number in range(20_000)]
    whole = model.bill(sum(amounts[1:], amounts[0])).total
    limits = SendLimits(max_usd=share * whole, spent=whole / 1000)
    with SentLog(None, "r") as ledger, _listing(20_000) as listing:
        sending = KeySender(queue, lambda key: key, ledger, model, limits)
        for _ in sending.run(listing, never):
            pass
    spent = model.bill(sending.sent.amount).total + whole / 1000 * bool(sending.sent.keys)
    assert spent <= share * whole
    assert sending.sent.over_budget == (share < 1)
    assert spent >= 0.99 * min(share * whole, whole)
    assert queue.sent == sending.sent.keys


def test_what_the_budget_left_is_sent_next_time(scene: Scene, ledger: Path):
    """A run that stopped by its budget leaves all as it should be; the next one sends the rest and nothing twice."""
    scene.upload(*(f"{number}.jpg" for number in range(20)))
    queue, one = MemoryQueue(), Model(recipe=scene.recipe, way="queue").bill(source(1000)).total
    first = backfill(scene, queue, ledger, SendLimits(max_usd=one * 8))
    assert first.over_budget
    assert 4 < first.keys < 12
    second = backfill(scene, queue, ledger)
    assert (second.keys, second.in_flight) == (20 - first.keys, first.keys)
    queue.feed(scene)
    assert len(scene.pictured()) == 20 == queue.sent


@pytest.mark.parametrize("rate", [60.0, 2_000.0])
def test_a_rate_is_kept(rate: float):
    """Messages come at most so many a second, but for the first of them."""
    queue = MemoryQueue()
    with SentLog(None, "r") as ledger, _listing(40) as listing:
        started = time.monotonic()
        sending = KeySender(queue, lambda key: key, ledger, Model(recipe=Recipe.default()), SendLimits(rate=rate))
        for _ in sending.run(listing, never):
            pass
        assert time.monotonic() - started >= (40 - 10) / rate
    assert queue.sent == 40


@pytest.mark.parametrize("limits", [{"max_usd": -1}, {"rate": 0}, {"rate": -2.5}])
def test_what_is_no_limit_is_refused(limits: dict[str, float]):
    """One sentence names the option and what was found."""
    with pytest.raises(UsageError, match=r"--(max-usd|rate): expected .*, found -?[0-9.]+$"):
        SendLimits(**limits)


def test_what_is_in_flight_is_not_sent_again(scene: Scene, ledger: Path):
    """As long as there is something in the queue, a second run sends what is new or was replaced, and no more."""
    scene.upload("a.jpg", "b.jpg")
    queue = MemoryQueue()
    backfill(scene, queue, ledger)
    scene.source.put("a.jpg", picture("#abcdef"), scene.source.open("a.jpg").headers)
    scene.upload("c.jpg")
    again = backfill(scene, queue, ledger)
    assert (again.keys, again.in_flight) == (2, 1)
    scene.recipe = Recipe.loads("[variants.one]\nwidth = 5\n")
    assert backfill(scene, queue, ledger).keys == 3  # by another recipe nothing was asked for
    queue.waiting.clear()
    assert backfill(scene, queue, ledger).keys == 3  # nothing is in flight in an empty queue


def test_without_a_ledger_all_is_sent_again(scene: Scene, tmp_path: Path):
    """Where nothing can be remembered, or the file is damaged, what is missing is sent once more: no harm is done."""
    scene.upload("a.jpg")
    queue, counts = MemoryQueue(), counted(scene)
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"no database, but long enough to be taken for one" * 100)
    for ledger in (None, damaged, tmp_path / "damaged" / "below"):
        assert backfill(scene, queue, ledger).keys == 1
    queue.feed(scene)
    assert counts == {"a.jpg": 1}


def test_a_good_source_is_made_once_whatever_comes(scene: Scene, ledger: Path):
    """However many events and backfills there are, a source is rendered once for one version and recipe."""
    scene.upload("a.jpg", "bad.jpg")
    scene.upload("bad.jpg", data=b"no picture")
    counts, queue = counted(scene), MemoryQueue()
    for _ in range(20):
        backfill(scene, queue, ledger)
        queue.send([backfill_message("src", key) for key in ("a.jpg", "bad.jpg")])
        scene.call(notification("a.jpg", "bad.jpg"))
        queue.feed(scene)
    assert counts == {"a.jpg": 1, "bad.jpg": 1}


def test_a_source_that_always_fails_is_tried_so_often_and_no_more(scene: Scene, ledger: Path):
    """A source that kills every worker is tried by each message as often as the queue lets it, and sent three times."""
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
        last = backfill(scene, queue, ledger)
        queue.feed(scene)
    assert len(tries) == MAX_SENDS * 4
    assert (last.keys, last.given_up) == (0, 1)
    assert queue.dead == [backfill_message("src", "poison.jpg")] * MAX_SENDS
    scene.upload("poison.jpg", data=picture("#123456"))  # another version: its tries are its own
    assert backfill(scene, queue, ledger).keys == 1


def test_a_store_that_fails_for_now_is_tried_again(scene: Scene):
    """A source that could not be read is handed back and made with its next receive."""
    scene.source = Faulty("src", faults={"a.jpg": raising(StoreError("busy", transient=True))})
    scene.upload("a.jpg", "b.jpg")
    queue = MemoryQueue(max_receives=3)
    backfill(scene, queue)
    queue.feed(scene)
    assert scene.pictured() == {"b.jpg"}
    assert len(queue.dead) == 1
    good, scene.source = scene.source, MemoryStore("src", dict(scene.source._objects))
    queue.send(queue.dead)
    queue.feed(scene)
    assert good is not scene.source
    assert scene.pictured() == {"a.jpg", "b.jpg"}


def test_a_queue_that_fails_ends_the_run_and_what_was_sent_is_known(tmp_path: Path):
    """The error is raised, what was sent is noted, and the next run sends the rest."""

    class Failing(MemoryQueue):
        def send(self, bodies):
            if self.sent >= 30:
                raise StoreError("no", transient=True)
            super().send(bodies)

    queue, model = Failing(), Model(recipe=Recipe.default())
    with SentLog(tmp_path / "sent", "r") as ledger, _listing(100) as listing:
        with pytest.raises(StoreError):
            for _ in KeySender(queue, lambda key: key, ledger, model).run(listing, never, threads=1):
                pass
        rest = MemoryQueue()
        sending = KeySender(rest, lambda key: key, ledger, model, empty=False)
        for _ in sending.run(listing, never):
            pass
    assert (rest.sent, sending.sent.in_flight) == (70, 30)


def test_asked_to_stop_no_further_batch_is_begun(tmp_path: Path):
    """What is on its way is sent and noted; the rest is left for the next run."""
    queue, model = MemoryQueue(), Model(recipe=Recipe.default())
    with SentLog(tmp_path / "sent", "r") as ledger, _listing(1000) as listing:
        sending = KeySender(queue, lambda key: key, ledger, model)
        for _ in sending.run(listing, lambda: queue.sent >= 100, threads=2):
            pass
    assert 100 <= queue.sent == sending.sent.keys <= 140
