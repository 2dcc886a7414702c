"""The status of keys from listings and the manifest cache: the same as from examining each key."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bulk.world import BAD, HEADERS, RECIPE, World
from thumbsmith.errors import SourceChanged
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import MANIFEST, is_managed_name, possible_names
from thumbsmith.reconcile.converge import StoreDriver
from thumbsmith.reconcile.decide import unusable_key
from thumbsmith.reconcile.protocol import DEFAULTS, Options, examine
from thumbsmith.store.base import MAX_KEY_BYTES, Store

KEYS = ("a", "a/b", "a/b/small.webp", "x.jpg", "x.jpg.bak", "x.jpg!", "x.jpg/n.png", "é.jpg", "small.webp", "y" * 1020)
NAMES = ("icon.webp", "small.webp", "small.jpg", "old.webp", "notes.txt", MANIFEST)
RECIPES = (
    RECIPE,
    Recipe.loads("[variants.icon]\nwidth = 9\n[variants.small]\nwidth = 16\nformats = ['webp', 'jpeg']"),
    Recipe.loads("[variants.small]\nwidth = 16\nformats = ['webp']\n[limits]\nmax_frames = 7"),
)


def _oracle(world: World, options: Options) -> set[tuple]:
    """Return the expected statuses, with everything in memory, from examining every key as `converge` does."""
    sources = {info.key for info in world.source.list()}
    owners: dict[str, set[str]] = {}
    statuses = set()
    for key in world.objects():
        owner, _, name = key.rpartition("/")
        if owner and is_managed_name(name):
            owners.setdefault(owner, set()).add(name)
        else:
            statuses.add((key, None, "", (), (key,)))
    for key in sources:
        statuses.add(_examined(world, key, options))
    for key in owners.keys() - sources:
        driver = StoreDriver(key, world.source, world.destination, world.recipe, None)
        manifest = driver.run(examine(world.recipe)).manifest
        made = manifest is not None
        if MANIFEST not in owners[key]:
            made = "." in key.rpartition("/")[2] and owners[key] <= possible_names(world.recipe)
        objects = tuple(f"{key}/{name}" for name in sorted(owners[key]))
        orphaned = () if options.keep_orphans else objects
        statuses.add((key, None, "", orphaned, ()) if made else (key, None, "", (), objects))
    return statuses


def _examined(world: World, key: str, options: Options) -> tuple:
    refusal = unusable_key(key, world.recipe, MAX_KEY_BYTES)
    if refusal:
        return key, "rejected", refusal.detail, (), ()
    driver = StoreDriver(key, world.source, world.destination, world.recipe, None)
    assessment = driver.run(examine(world.recipe, options)).assessment
    orphaned = () if options.keep_orphans else tuple(f"{key}/{name}" for name in assessment.obsolete)
    return key, assessment.state, assessment.why, orphaned, ()


def _statuses(world: World, options: Options) -> set[tuple]:
    return {
        (
            each.key,
            each.state,
            each.why,
            tuple(info.key for info in each.orphaned),
            tuple(info.key for info in each.foreign),
        )
        for each in world.plan(options)
    }


def _copy(world: World, key: str) -> None:
    """Write an object again without a change: it gets another etag."""
    found = world.destination.open(key)
    if found:
        world.destination.put(key, found.data, HEADERS)


def _touch(world: World, key: str) -> None:
    """Write a source again without a change: it gets another etag, as after a change of a file's mode."""
    found = world.source.open(key)
    if found:
        world.source.put(key, found.data, HEADERS)


def _move_manifest(world: World, key: str) -> None:
    """Copy the manifest of one key to another key."""
    found = world.destination.open(f"{key}/{MANIFEST}")
    if found:
        world.destination.put(f"x.jpg/{MANIFEST}", found.data, HEADERS)


ACTIONS: dict[str, Callable[[World, str, str], None]] = {
    "upload": lambda world, key, name: world.upload(key),
    "upload an invalid source": lambda world, key, name: world.upload(key, BAD),
    "touch": lambda world, key, name: _touch(world, key),
    "remove": lambda world, key, name: world.source.delete(key),
    "converge": lambda world, key, name: world.converge(key),
    "alter": lambda world, key, name: world.destination.put(f"{key}/{name}", b"altered", HEADERS),
    "delete": lambda world, key, name: world.destination.delete(f"{key}/{name}"),
    "copy": lambda world, key, name: _copy(world, f"{key}/{name}"),
    "move": lambda world, key, name: _move_manifest(world, key),
    "sync": lambda world, key, name: world.sync() and None,
}
_STEPS = st.tuples(st.sampled_from(sorted(ACTIONS)), st.sampled_from(KEYS), st.sampled_from(NAMES))


@settings(max_examples=40)
@given(
    rounds=st.lists(
        st.tuples(
            st.lists(_STEPS, max_size=6),
            st.sampled_from(RECIPES),
            st.builds(Options, keep_orphans=st.booleans(), retry_rejected=st.booleans()),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_the_plan_equals_an_examination_of_every_key(rounds):
    """After any steps, and with any cache, the plan equals the result of examining every key."""
    with TemporaryDirectory() as folder:
        world = World(cache=Path(folder, "index"))
        for key in KEYS:
            world.upload(key)
        world.sync()
        for steps, recipe, options in rounds:
            world = replace(world, recipe=recipe)
            for step, key, name in steps:
                ACTIONS[step](world, key, name)
            expected = _oracle(world, options)
            assert _statuses(world, options) == expected, "with the cache of earlier runs"
            assert _statuses(world, options) == expected, "with the cache of this run"
            assert _statuses(world.without_cache(), options) == expected, "without a cache"
        world.sync()
        assert {each.state for each in world.plan() if each.source and len(each.key) < 1000} <= {"fresh", "rejected"}
        assert all(each.settled for each in world.plan() if each.source and len(each.key) < 1000)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return ten converged sources and an empty cache."""
    world = World(cache=tmp_path / "caches" / "index")
    for number in range(10):
        world.upload(f"{number}.jpg")
        world.converge(f"{number}.jpg")
    world.destination.opened.clear()
    return world


def test_a_manifest_is_read_once(world: World):
    """The first plan opens each manifest once, the second none; one that was replaced is read again, once."""
    assert {each.state for each in world.plan()} == {"fresh"}
    assert world.destination.opened == {MANIFEST: 10}
    assert {each.state for each in world.plan()} == {"fresh"}
    assert world.destination.opened == {MANIFEST: 10}
    world.upload("3.jpg")
    world.converge("3.jpg")
    world.destination.opened.clear()
    assert {each.state for each in world.plan() + world.plan()} == {"fresh"}
    assert world.destination.opened == {MANIFEST: 1}


def test_another_recipe_needs_no_reading(world: World):
    """After a change of the recipe, the listings and the cache are enough for a plan."""
    world.plan()
    world.destination.opened.clear()
    world.recipe = RECIPES[1]
    assert {(each.state, each.why) for each in world.plan()} == {("stale", "the recipe changed: icon.webp")}
    assert not world.destination.opened


def test_copied_renditions_are_read_once(world: World):
    """A rendition with another etag is read once, whether or not its bytes are the recorded ones."""
    _copy(world, "1.jpg/icon.webp")
    world.destination.put("2.jpg/icon.webp", b"altered", HEADERS)
    world.destination.opened.clear()
    for _ in range(3):
        states = {each.key: (each.state, each.why) for each in world.plan()}
        assert states["1.jpg"] == ("fresh", "as recorded")
        assert states["2.jpg"] == ("stale", "missing or altered: icon.webp")
    assert world.destination.opened == {MANIFEST: 10, "icon.webp": 2}


def test_a_touched_source_is_read_once(world: World):
    """A source with a new etag and the recorded bytes is read once, and its manifest is not read again."""
    world.plan()
    for number in range(10):
        _touch(world, f"{number}.jpg")
    world.source.opened.clear()
    world.destination.opened.clear()
    assert {(each.state, each.why) for each in world.plan()} == {("fresh", "as recorded")}
    assert {(done.outcome.status, done.already_settled) for done in world.sync()} == {("fresh", True)}
    assert (world.source.opened.total(), world.destination.opened.total()) == (10, 0)


def test_a_touched_source_is_recorded_without_a_cache(world: World):
    """Without a cache file the new etag is written to the manifest, so the next run need not read the source."""
    world = world.without_cache()
    before = world.destination.open("3.jpg/icon.webp").info
    _touch(world, "3.jpg")
    assert {each.key: (each.state, each.settled) for each in world.plan()}["3.jpg"] == ("fresh", False)
    done = {each.key: each for each in world.sync()}["3.jpg"]
    assert (done.outcome.status, done.outcome.written, done.already_settled) == ("fresh", 0, False)
    assert world.destination.open("3.jpg/icon.webp").info == before
    world.source.opened.clear()
    assert all(each.settled for each in world.plan())
    assert not world.source.opened


def test_a_replaced_source_of_the_same_size_is_stale(world: World):
    """A source with other bytes of the recorded size is stale, with and without a cache."""
    world.plan()
    data = world.source.open("3.jpg").data
    world.source.put("3.jpg", data[:-1] + bytes([data[-1] ^ 1]), HEADERS)
    for each in (world, world.without_cache()):
        assert {found.key: (found.state, found.why) for found in each.plan()}["3.jpg"] == (
            "stale",
            "the source was replaced",
        )
    assert {done.key for done in world.sync() if done.outcome.status == "made"} == {"3.jpg"}


def test_the_rejection_of_a_touched_source_is_valid(world: World):
    """A rejected source with a new etag stays rejected, unless rejections are retried."""
    world.upload("bad.jpg", BAD)
    world.converge("bad.jpg")
    world.plan()
    _touch(world, "bad.jpg")
    for each in (world.without_cache(), world):
        assert {found.key: found.state for found in each.plan()}["bad.jpg"] == "rejected"
        retried = {found.key: found.state for found in each.plan(Options(retry_rejected=True))}
        assert retried["bad.jpg"] != "rejected"


def test_an_altered_rendition_can_be_restored(world: World):
    """A rendition that was found altered is fresh once the recorded bytes are restored under a new etag."""
    right = world.destination.open("2.jpg/icon.webp").data
    world.destination.put("2.jpg/icon.webp", b"altered", HEADERS)
    assert {each.key: each.state for each in world.plan()}["2.jpg"] == "stale"
    world.destination.put("2.jpg/icon.webp", right, HEADERS)
    assert {each.state for each in world.plan()} == {"fresh"}


def test_sync_opens_only_objects_of_unsettled_keys(world: World):
    """A sync after a plan opens no object of fresh keys."""
    world.plan()
    world.source.opened.clear()
    world.destination.opened.clear()
    assert {done.outcome.status for done in world.sync()} == {"fresh"}
    assert not world.destination.opened
    world.destination.delete("4.jpg/small.jpg")
    assert {done.key for done in world.sync() if done.outcome.status == "made"} == {"4.jpg"}
    assert (world.source.opened, world.destination.opened) == ({"4.jpg": 1}, {MANIFEST: 1})


def test_a_manifest_that_is_replaced_after_the_listing(world: World):
    """The content of a later version is not cached as the content of the listed version."""
    world.plan()
    world.destination.put(f"5.jpg/{MANIFEST}", b"altered", HEADERS)
    listed = list(world.destination.list())
    world.upload("5.jpg")
    world.converge("5.jpg")
    replace(world, destination=_Listed(world.destination, listed)).plan()
    assert {each.state for each in world.plan()} == {"fresh"}
    world.destination.delete(f"5.jpg/{MANIFEST}")
    gone = replace(world, destination=_Listed(world.destination, listed)).plan()
    assert {each.key: each.why for each in gone}["5.jpg"] == "the manifest cannot be read"


def test_a_manifest_that_is_replaced_during_the_read(world: World):
    """It counts as unreadable and is not cached, and its renditions are not orphaned."""
    world.source.delete("6.jpg")
    busy = replace(world, destination=_Busy(world.destination, list(world.destination.list())))
    statuses = {each.key: each for each in busy.plan()}
    assert {statuses[f"{number}.jpg"].why for number in range(6)} == {"the manifest cannot be read"}
    assert (statuses["6.jpg"].orphaned, len(statuses["6.jpg"].foreign)) == ((), 4)
    assert [len(each.orphaned) for each in world.plan() if not each.source] == [4]


def test_bytes_of_a_later_version_are_not_cached(world: World):
    """If a rendition is restored after the listing, the listed version does not count as restored."""
    right = world.destination.open("7.jpg/icon.webp").data
    world.destination.put("7.jpg/icon.webp", b"altered", HEADERS)
    altered, listed = world.destination.open("7.jpg/icon.webp"), list(world.destination.list())
    world.destination.put("7.jpg/icon.webp", right, HEADERS)
    seen = replace(world, destination=_Listed(world.destination, listed)).plan()
    assert {each.state for each in seen} == {"fresh"}
    world.destination._objects["7.jpg/icon.webp"] = altered
    assert {each.key: each.state for each in world.plan()}["7.jpg"] == "stale"


def test_many_shapes_of_manifests(world: World, monkeypatch: pytest.MonkeyPatch):
    """With more shapes than assessments in memory, each key has the right status."""
    monkeypatch.setattr("thumbsmith.bulk.status._MAX_ASSESSMENTS", 2)
    for number, recipe in enumerate(RECIPES):
        world.recipe = recipe
        world.upload(f"{number}.new.jpg")
        world.converge(f"{number}.new.jpg")
    for _ in range(2):
        assert _statuses(world, DEFAULTS) == _oracle(world, DEFAULTS)


@pytest.mark.parametrize("etag", ["a\tb", "a\nsmall.webp\tx\t1", "\udcff"])
def test_a_manifest_with_an_impossible_etag_is_not_cached(world: World, etag: str):
    """A forged manifest does not affect the status of other objects; it is read each time."""
    content = json.loads(world.destination.open(f"1.jpg/{MANIFEST}").data)
    content["renditions"][0]["etag"] = etag
    world.destination.delete(content["renditions"][0]["key"])
    world.destination.put(f"1.jpg/{MANIFEST}", json.dumps(content).encode(), HEADERS)
    world.plan()
    world.destination.opened.clear()
    assert _statuses(world, DEFAULTS) == _oracle(world, DEFAULTS)
    assert world.destination.opened[MANIFEST] >= 1


@pytest.mark.parametrize(
    ("step", "state"),
    [
        (lambda world: world.destination.delete(f"3.jpg/{MANIFEST}"), "missing"),
        (lambda world: world.destination.put(f"3.jpg/{MANIFEST}", b"{}", HEADERS), "stale"),
        (lambda world: world.upload("3.jpg"), "stale"),
    ],
    ids=["no manifest", "unreadable manifest", "another source"],
)
def test_only_obsolete_renditions_are_orphaned(world: World, step: Callable[[World], object], state: str):
    """If a source will be rendered again, renditions of the recipe are not orphaned; others are."""
    world.destination.put("3.jpg/old.webp", b"left", HEADERS)
    step(world)
    status = {each.key: each for each in world.plan()}["3.jpg"]
    assert (status.state, [info.key for info in status.orphaned]) == (state, ["3.jpg/old.webp"])


def test_a_damaged_row_of_the_cache_is_ignored(world: World):
    """If a cached row is damaged, the manifest is read."""
    world.plan()
    database = sqlite3.connect(world.cache)
    with database:
        database.execute("UPDATE record SET objects = substr(objects, 3)")
    database.close()
    world.destination.opened.clear()
    assert {each.state for each in world.plan()} == {"fresh"}
    assert world.destination.opened[MANIFEST] == 10


class _Listed:
    """A store with an earlier listing."""

    def __init__(self, store, listed) -> None:
        self._store, self._listed = store, listed

    def __getattr__(self, name: str):
        return getattr(self._store, name)

    def as_destination(self):
        return self

    def for_one_key(self):
        return nullcontext(self)

    def list(self, prefix: str = "", visitor: object = None):
        return iter(self._listed)

    def list_groups(self, prefix: str = "", *, visitor: object = None):
        return Store.list_groups(self, prefix, visitor=visitor)


class _Busy(_Listed):
    """A store in which every object changes during a read."""

    def open(self, key: str):
        return _Changing(self._store.open(key))


class _Changing:
    def __init__(self, reader) -> None:
        self._reader = reader

    def __getattr__(self, name: str):
        return getattr(self._reader, name)

    def read(self, offset: int, length: int) -> bytes:
        raise SourceChanged("changed during the read")
