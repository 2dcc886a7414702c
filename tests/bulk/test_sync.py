"""Sync of whole stores, and the plan that predicts it."""

from collections.abc import Callable, Collection, Iterator
from contextlib import nullcontext

import pytest

from tests.bulk.world import DigestRenderer, OpaqueStore, World
from tests.pictures import picture
from tests.reconcile.scene import HEADERS, Scene
from thumbsmith.bulk.parallel import each
from thumbsmith.bulk.scan import scan
from thumbsmith.bulk.status import MAX_FAILURES_IN_A_ROW, READERS, KeyStatus, inspect
from thumbsmith.bulk.sync import SyncResult, sync
from thumbsmith.errors import MassDeletionRefused, StoreError
from thumbsmith.reader import RangeReader
from thumbsmith.recipe import Recipe
from thumbsmith.reconcile.protocol import DEFAULTS, Options
from thumbsmith.store.base import ObjectInfo
from thumbsmith.worker import Work


def _never() -> bool:
    return False


def _sync(
    scene: Scene, options: Options = DEFAULTS, stop: Callable[[], bool] = _never, *, allow_mass_delete: bool = False
) -> list[SyncResult]:
    with scan(scene.scope(options)) as found:
        return list(sync(found, renderer=scene.renderer, threads=3, stop=stop, allow_mass_delete=allow_mass_delete))


def _plan(scene: Scene, options: Options = DEFAULTS) -> dict[str, KeyStatus]:
    with scan(scene.scope(options)) as found:
        return {each.key: each for each in inspect(found, stop=_never)}


def _filled(count: int = 5) -> Scene:
    scene = Scene()
    for number in range(count):
        scene.upload(f"{number}.jpg", picture(f"#0000{number:02x}"))
    return scene


def test_every_source_is_made_and_then_fresh():
    """The first pass makes every source, the second finds all of them fresh."""
    scene = _filled()
    assert {(done.key, done.outcome.status) for done in _sync(scene)} == {(f"{n}.jpg", "made") for n in range(5)}
    assert {done.outcome.status for done in _sync(scene)} == {"fresh"}


class _ListedKeys(OpaqueStore):
    """A store that records the keys whose renditions are listed."""

    listed: list[str]

    def __init__(self, name: str) -> None:
        OpaqueStore.__init__(self, name)
        object.__setattr__(self, "listed", [])

    def children(self, key: str) -> Iterator[ObjectInfo]:
        self.listed.append(key)
        return OpaqueStore.children(self, key)


def test_new_sources_are_not_listed_again():
    """The scan has listed the destination: only a source with objects there is listed once more."""
    listed = _ListedKeys("destination")
    world = World(destination=listed)
    world.upload("old.jpg")
    world.converge("old.jpg")
    world.upload("left.jpg")
    listed.put("left.jpg/small.webp", b"of a run that was killed", HEADERS)
    world.upload("old.jpg")
    world.upload("new.jpg")
    listed.listed.clear()
    assert {each.outcome.status for each in world.sync() if each.outcome} == {"made"}
    assert sorted(listed.listed) == ["left.jpg", "old.jpg"]


def test_thumbnails_of_deleted_sources_are_deleted():
    """Thumbnails of a deleted source are deleted, and do not count as a source."""
    scene = _filled()
    _sync(scene)
    scene.source.delete("3.jpg")
    (deleted,) = [done for done in _sync(scene) if not done.listed]
    assert (deleted.key, deleted.outcome.status, deleted.outcome.deleted) == ("3.jpg", "deleted", 4)
    assert not [key for key in scene.objects() if key.startswith("3.jpg")]


def test_orphans_can_be_kept():
    """With keep_orphans the key of a deleted source is not converged."""
    scene = _filled(2)
    _sync(scene)
    scene.source.delete("1.jpg")
    assert [done.key for done in _sync(scene, Options(keep_orphans=True))] == ["0.jpg"]
    assert "1.jpg/icon.webp" in scene.objects()


class _Broken:
    """A memory store whose writes fail for keys for which `broken` returns True."""

    def __init__(self, store, broken: Callable[[str], bool]) -> None:
        self._store, self._broken = store, broken

    def __getattr__(self, name: str):
        return getattr(self._store, name)

    def as_destination(self):
        return self

    def for_one_key(self):
        return nullcontext(self)

    def put(self, key, data, headers) -> str:
        if self._broken(key):
            raise StoreError(f"{key}: No space left on device", transient=True)
        return self._store.put(key, data, headers)

    put_last = put


def test_one_failure_affects_one_source():
    """A source whose thumbnails cannot be written fails with its reason; the others are made."""
    scene = _filled()
    scene.destination = _Broken(scene.destination, lambda key: key.startswith("2"))  # type: ignore[assignment]
    failed = [done for done in _sync(scene) if done.error]
    assert [(done.key, str(done.error)) for done in failed] == [("2.jpg", "2.jpg/icon.webp: No space left on device")]


def test_a_store_that_always_fails_is_given_up():
    """After ten consecutive failures no further key is tried, but every source is yielded as failed."""
    scene = _filled(40)
    scene.destination = _Broken(scene.destination, lambda key: True)  # type: ignore[assignment]
    results = _sync(scene)
    assert len(results) == 40
    assert all(done.error and done.error.transient for done in results)
    assert MAX_FAILURES_IN_A_ROW <= len(scene.renderer.requested) <= MAX_FAILURES_IN_A_ROW + 3


def test_stop_finishes_the_keys_in_progress():
    """After a stop no further source is begun; the sources in progress are complete."""
    scene = _filled(20)
    results = _sync(scene, stop=lambda: len(scene.renderer.requested) >= 3)
    assert 3 <= len(results) <= 6
    assert all(done.outcome.status == "made" for done in results)
    assert len(scene.objects()) == 4 * len(results)


def test_the_plan_says_what_sync_does():
    """The plan gives every state with its reason and changes nothing; sync then does what it says."""
    scene = _filled(6)
    scene.upload("bad.gif", b"no image at all")
    _sync(scene)
    scene.upload("0.jpg", picture("#ffffff"))
    scene.upload("new.jpg")
    scene.destination.delete("1.jpg/icon.webp")
    scene.destination.put("2.jpg/manifest.json", b"?", HEADERS)
    scene.destination.put("4.jpg/old.webp", b"an earlier variant", HEADERS)
    before = scene.objects()
    plan = _plan(scene)
    assert {key: (status.state, status.why) for key, status in plan.items()} == {
        "0.jpg": ("stale", "the source was replaced"),
        "1.jpg": ("stale", "missing or altered: icon.webp"),
        "2.jpg": ("stale", "the manifest cannot be read"),
        "3.jpg": ("fresh", "as recorded"),
        "4.jpg": ("fresh", "as recorded"),
        "5.jpg": ("fresh", "as recorded"),
        "bad.gif": ("rejected", plan["bad.gif"].why),
        "new.jpg": ("missing", "there is no manifest"),
    }
    assert [info.key for info in plan["4.jpg"].orphaned] == ["4.jpg/old.webp"]
    assert scene.objects() == before
    made = {done.key for done in _sync(scene) if done.outcome.status == "made"}
    assert made == {"0.jpg", "1.jpg", "2.jpg", "new.jpg"}
    assert {status.state for status in _plan(scene).values()} == {"fresh", "rejected"}


def test_the_plan_names_what_a_changed_recipe_changes():
    """After a change of the recipe the plan names the renditions that change."""
    scene = _filled(1)
    _sync(scene)
    scene.recipe = Recipe.loads("[variants.icon]\nwidth = 9\nheight = 8\nfit = 'cover'")
    status = _plan(scene)["0.jpg"]
    assert (status.state, status.why) == ("stale", "the recipe changed: icon.webp")
    assert [info.key for info in status.orphaned] == ["0.jpg/small.jpg", "0.jpg/small.webp"]
    assert _plan(scene, Options(keep_orphans=True))["0.jpg"].orphaned == ()
    scene.recipe = Recipe.loads("[variants.icon]\nwidth = 8\nheight = 8\nfit = 'cover'")
    assert _plan(scene)["0.jpg"].why == "the recipe changed"


def test_the_plan_continues_after_an_unreadable_manifest():
    """A key that is too long is rejected, and an unreadable manifest is a failure of that key."""
    scene = _filled(2)
    scene.upload("x" * 1020)
    _sync(scene)
    scene.destination = _Unreadable(scene.destination)  # type: ignore[assignment]
    plan = _plan(scene)
    assert (plan["x" * 1020].state, plan["x" * 1020].code) == ("rejected", "key_too_long")
    assert str(plan["0.jpg"].error) == "0.jpg/manifest.json: Input/output error"
    assert plan["1.jpg"].state == "fresh"


def test_an_unreadable_store_is_given_up():
    """After ten consecutive failures no further manifest is read, but every key is yielded as failed."""
    scene = _filled(60)
    _sync(scene)
    scene.destination = broken = _Unreadable(scene.destination, "")  # type: ignore[assignment]
    plan = _plan(scene)
    assert len(plan) == 60
    assert all(status.error for status in plan.values())
    assert MAX_FAILURES_IN_A_ROW <= broken.tried <= MAX_FAILURES_IN_A_ROW + READERS


class _Unreadable(_Broken):
    """A store in which some keys cannot be read."""

    def __init__(self, store, start: str = "0") -> None:
        super().__init__(store, lambda key: False)
        self._start, self.tried = start, 0

    def open(self, key: str):
        if key.startswith(self._start):
            self.tried += 1
            raise StoreError(f"{key}: Input/output error", transient=True)
        return self._store.open(key)


def test_thumbnails_with_an_unreadable_manifest_are_not_deleted():
    """If the manifest of a deleted source cannot be read, the key fails and nothing is deleted."""
    scene = _filled(3)
    _sync(scene)
    scene.source.delete("0.jpg")
    scene.destination = _Unreadable(scene.destination)  # type: ignore[assignment]
    (failed,) = [done for done in _sync(scene) if done.error]
    assert (failed.key, failed.listed) == ("0.jpg", False)
    assert "0.jpg/icon.webp" in {info.key for info in scene.destination.list()}


def test_deleting_more_than_half_is_refused():
    """If sources are missing, a sync that would delete more than half of the thumbnails does nothing."""
    scene = _filled(4)
    _sync(scene)
    before = scene.objects()
    for key in ("0.jpg", "1.jpg"):
        scene.source.delete(key)
    assert sum(done.outcome.deleted for done in _sync(scene)) == 8
    scene.source.delete("2.jpg")
    scene.source.delete("3.jpg")
    with pytest.raises(MassDeletionRefused, match="6 of 6 thumbnails belong to sources that no longer exist"):
        _sync(scene)
    assert scene.objects() == {key: data for key, data in before.items() if key[0] in "23"}
    assert _sync(scene, Options(keep_orphans=True)) == []
    _sync(scene, allow_mass_delete=True)
    assert scene.objects() == {}


def test_an_empty_destination_is_not_refused():
    """An empty destination has no thumbnails that could be deleted."""
    assert _sync(Scene()) == []


class _Killed(BaseException):
    """The end of a process."""


class _Mortal(OpaqueStore):
    """A store that ends its process during a write, after `left` writes."""

    left = -1

    def put(self, key, data, headers) -> str:
        object.__setattr__(self, "left", self.left - 1)
        if self.left == 0:
            raise _Killed
        return super().put(key, data, headers)


class _Counting(DigestRenderer):
    made = 0

    def render(self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None) -> Work:
        self.made += 1
        return super().render(reader, recipe, wanted)


@pytest.mark.parametrize("sources", [300, pytest.param(5_000, marks=pytest.mark.deep)])
def test_no_source_is_rendered_again(sources: int):
    """After many kills and stops, only sources in progress at a kill were rendered again."""
    thumbs, renderer, threads, kills = _Mortal("thumbs"), _Counting(), 3, 0
    world = World(destination=thumbs)
    for number in range(sources):
        world.upload(f"{number}.jpg")
    for writes in (1, 5, 6, 7, 8, sources, sources + 1):
        object.__setattr__(thumbs, "left", writes)
        with scan(world.scope()) as found, pytest.raises(_Killed):
            list(sync(found, renderer=renderer, threads=threads, stop=_never))
        object.__setattr__(thumbs, "left", -1)
        kills += 1
        enough = renderer.made + sources // 20
        with scan(world.scope()) as found:
            list(sync(found, renderer=renderer, threads=threads, stop=lambda enough=enough: renderer.made >= enough))
    with scan(world.scope()) as found:
        list(sync(found, renderer=renderer, threads=threads, stop=_never))
    assert sources <= renderer.made <= sources + threads * kills
    assert {each.state for each in world.plan()} == {"fresh"}


def test_a_stop_during_the_inspection_changes_nothing():
    """If it is stopped before all keys are inspected, a sync writes, deletes and refuses nothing."""
    scene = _filled(3)
    _sync(scene)
    scene.source.delete("0.jpg")
    scene.source.delete("1.jpg")
    before = scene.objects()
    assert {done.key for done in _sync(scene, stop=lambda: True)} <= {"2.jpg"}
    assert scene.objects() == before


def test_items_in_progress_are_limited():
    """No more items are in progress than there are threads."""
    taken: list[int] = []

    def items():
        for number in range(50):
            taken.append(number)
            yield number

    done = 0
    for _ in each(lambda number: number, items(), threads=4, stop=_never):
        assert len(taken) <= done + 4
        done += 1
    assert done == 50


def test_an_unexpected_exception_is_raised():
    """An exception that is no ThumbsmithError ends the run."""
    with pytest.raises(ZeroDivisionError):
        list(each(lambda number: 1 // number, [1, 0, 1], threads=2, stop=_never))
