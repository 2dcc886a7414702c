"""Thousands of keys through the real `converge`: in the end the destination has exactly the required objects."""

import random
import zlib
from collections import Counter
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count

import pytest

from tests.pictures import picture
from tests.proof.events import REPEAT, cheap_contents, timeline
from tests.proof.sharded import Sharded
from tests.proof.simulation import RECIPE, Cheap, Simulation, compare
from tests.reconcile.scene import HEADERS, InProcess
from thumbsmith import converge
from thumbsmith.reconcile import protocol
from thumbsmith.reconcile.protocol import Outcome
from thumbsmith.store.base import ObjectInfo

NO_DIFFERENCES = {"missing": [], "stale": [], "orphaned": []}
KINDS = ("jpeg", "jpeg", "jpeg", "png", "webp")


def _simulate(seed: int, keys: int, **settings: object) -> Simulation:
    chance = random.Random(seed)
    simulation = Simulation(chance, timeline(chance, keys, cheap_contents(chance)), Cheap(), **settings)
    simulation.run()
    return simulation


def _photographs(chance: random.Random) -> Iterator[bytes]:
    for number in count():
        if chance.random() < 0.1:
            yield f"invalid {number}".encode()
        else:
            color = f"#{zlib.crc32(str(number).encode()) & 0xFFFFFF:06x}"
            yield picture(color, (chance.randint(8, 60), 40), chance.choice(KINDS))


def _simulate_images(seed: int, keys: int) -> Simulation:
    chance = random.Random(seed)
    simulation = Simulation(chance, timeline(chance, keys, _photographs(chance)), InProcess())
    simulation.run()
    return simulation


def test_the_events_have_the_stated_shares():
    """5,000 keys have 20,000 events: about 30 % repeats, 20 % overwrites, 10 % deletions with recreations."""
    chance = random.Random(1)
    events = timeline(chance, 5_000, cheap_contents(chance))[::-1]
    assert abs(len(events) - 20_000) < 300
    kinds: Counter[str] = Counter()
    now: dict[str, bytes | None] = {}
    for key, data in events:
        kinds["repeat" if data is REPEAT else _kind(key, data, now)] += 1
        if data is not REPEAT:
            now[key] = data
    expected = {"create": 0.25, "repeat": 0.3, "overwrite": 0.2, "recreate": 0.05, "delete": 0.075, "again": 0.125}
    assert {kind: number / len(events) for kind, number in kinds.items()} == pytest.approx(expected, abs=0.01)


def _kind(key: str, data: bytes | None, now: dict[str, bytes | None]) -> str:
    if data is None:
        return "delete"
    if key not in now:
        return "create"
    return "recreate" if now[key] is None else "again" if now[key] == data else "overwrite"


@pytest.mark.parametrize("seed", range(2))
def test_the_end_is_correct(seed: int):
    """5,000 keys, 20,000 events, and twelve workers, of which one dies in one of a hundred effects: no differences."""
    simulation = _simulate(seed, 5_000)
    assert simulation.differences() == NO_DIFFERENCES
    assert simulation.died > 1_000
    assert simulation.shared > 1_000


def test_the_end_is_correct_without_listings_for_first_deliveries():
    """The same if only the run of a redelivered message lists the renditions of a new or replaced source."""
    simulation = _simulate(3, 5_000, trusts_first_deliveries=True, deaths=0.02)
    assert simulation.differences() == NO_DIFFERENCES
    assert simulation.died > 2_000


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(100, 170))
def test_the_end_is_correct_for_many_seeds(seed: int):
    """The same for seventy more seeds, with up to 3 % deaths."""
    settings = {"deaths": (0, 0.003, 0.01, 0.03)[seed % 4], "trusts_first_deliveries": seed % 8 > 3}
    assert _simulate(seed, 5_000, **settings).differences() == NO_DIFFERENCES


def test_the_end_is_correct_for_real_images():
    """The same with images that are decoded, resized and encoded."""
    assert _simulate_images(1, 150).differences() == NO_DIFFERENCES


@pytest.mark.deep
def test_the_end_is_correct_for_many_real_images():
    """The same with 5,000 of them."""
    assert _simulate_images(2, 5_000).differences() == NO_DIFFERENCES


def test_the_end_is_correct_with_threads():
    """`converge` itself in eight threads while the sources change: no differences."""
    chance = random.Random(1)
    source, destination = Sharded("source"), Sharded("destination")
    events = timeline(chance, 500, cheap_contents(chance))
    done: list[Future[Outcome]] = []
    with ThreadPoolExecutor(8) as threads:
        for key, data in reversed(events):
            if data is None:
                source.delete(key)
            elif data is not REPEAT:
                source.put(key, data, HEADERS)
            done.append(threads.submit(converge, key, source, destination, RECIPE, renderer=Cheap()))
    assert len([each.result() for each in done]) == len(events)
    assert compare(source, destination, Cheap()) == NO_DIFFERENCES


def _never(_: ObjectInfo) -> Generator[None, None, bool]:
    return False
    yield


def test_a_wrong_protocol_is_detected(monkeypatch: pytest.MonkeyPatch):
    """Without the check of the source after the manifest was written, some keys end stale."""
    monkeypatch.setattr(protocol, "_is_replaced", _never)
    assert _simulate(1, 5_000).differences()["stale"]


def test_differences_are_detected():
    """The comparison finds a missing, a stale and an orphaned object."""
    simulation = _simulate(1, 50)
    keys = sorted(info.key for info in simulation.destination.list() if info.key.endswith(".webp"))
    simulation.destination.delete(keys[0])
    simulation.destination.put(keys[1], b"other", HEADERS)
    simulation.destination.put("gone.jpg/icon.webp", b"left", HEADERS)
    assert simulation.differences() == {"missing": keys[:1], "stale": keys[1:2], "orphaned": ["gone.jpg/icon.webp"]}
