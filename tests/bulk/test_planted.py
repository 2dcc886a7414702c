"""A thousand planted faults: a plan finds exactly these, and one sync repairs them."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bulk.world import HEADERS, World
from thumbsmith.bulk.status import KeyStatus

FAULTS = 1000
SHAPES = (
    "{}.jpg",
    "{}.jpg.bak",
    "{}.jpg!",
    "{}.jpg/more.jpg",
    "a{}.x",
    "a{}.x/b.y",
    "a{}.x/b.y/small.webp",
    "deep/{}/é\x01.png",
    "deep/{}//manifest.json.gif",
    "UPPER{}.JPG",
)


def _filled(sources: int, cache: Path) -> World:
    world = World(cache=cache)
    for number in range(sources):
        world.upload(SHAPES[number % len(SHAPES)].format(number // len(SHAPES)))
    world.sync()
    return world


def _put(name: str, content: bytes) -> Callable[[World, str], object]:
    return lambda world, key: world.destination.put(key + name, content, HEADERS)


def _delete(*names: str, source: bool = False) -> Callable[[World, str], None]:
    def delete(world: World, key: str) -> None:
        for name in names:
            world.destination.delete(key + name)
        if source:
            world.source.delete(key)

    return delete


def _take_manifest_of_another(world: World, key: str) -> None:
    content = world.destination.open("untouched.jpg/manifest.json").data
    world.destination.put(f"{key}/manifest.json", content, HEADERS)


# A step for a key, the word that a plan must then give, and the suffixes of the keys for which it gives it.
KINDS: tuple[tuple[Callable[[World, str], object], str, tuple[str, ...]], ...] = (
    (_delete("/small.jpg"), "stale", ("",)),
    (_put("/icon.webp", b"altered"), "stale", ("",)),
    (_delete("/manifest.json"), "missing", ("",)),
    (_put("/manifest.json", b'{"thumbsmith": 1, "rec'), "stale", ("",)),
    (_take_manifest_of_another, "stale", ("",)),
    (World.upload, "stale", ("",)),
    (lambda world, key: world.upload(f"{key}.new.jpg"), "missing", (".new.jpg",)),
    (_delete(source=True), "orphaned", ("/icon.webp", "/manifest.json", "/small.jpg", "/small.webp")),
    (_delete("/manifest.json", source=True), "orphaned", ("/icon.webp", "/small.jpg", "/small.webp")),
    (_put("/old@2x.avif", b""), "orphaned", ("/old@2x.avif",)),
    (_put("/notes.txt", b""), "foreign", ("/notes.txt",)),
    (_put("-not/small.webp/manifest.json", b"{}"), "foreign", ("-not/small.webp/manifest.json",)),
)


def _found(plan: list[KeyStatus]) -> list[tuple[str, str]]:
    return [
        *((each.state.value, each.key) for each in plan if each.state and each.state != "fresh"),
        *(("orphaned", info.key) for each in plan for info in each.orphaned),
        *(("foreign", info.key) for each in plan for info in each.foreign),
    ]


@pytest.mark.parametrize("sources", [1_250, pytest.param(25_000, marks=pytest.mark.deep)])
def test_a_thousand_faults_are_found_and_repaired(sources: int, tmp_path: Path):
    """A plan finds each fault once, and nothing else. After one sync only foreign objects remain."""
    world, chance = _filled(sources, tmp_path / "cache"), random.Random(1)
    world.upload("untouched.jpg")
    world.converge("untouched.jpg")
    keys = sorted(info.key for info in world.source.list() if info.key != "untouched.jpg")
    assert _found(world.plan()) == []
    expected: Counter[tuple[str, str]] = Counter()
    for number, key in enumerate(chance.sample(keys, FAULTS)):
        plant, word, names = KINDS[number % len(KINDS)]
        plant(world, key)
        expected.update((word, key + name) for name in names)
    assert Counter(_found(world.without_cache().plan())) == expected
    assert Counter(_found(world.plan())) == expected
    failed = [done for done in world.sync() if done.error]
    assert failed == []
    foreign = {fault for fault in expected if fault[0] == "foreign"}
    assert set(_found(world.plan())) == foreign
    assert set(_found(world.without_cache().plan())) == foreign
