"""A folder followed: hints in, keys made right, over real folders and a real renderer in this process."""

import json
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.pictures import picture
from tests.reconcile.scene import RECIPE, InProcess
from thumbsmith import Recipe, open_store
from thumbsmith.bulk.scan import Scope
from thumbsmith.bulk.watch import WatchResult, follow
from thumbsmith.errors import StoreError, WorkerError
from thumbsmith.reader import RangeReader
from thumbsmith.recipe.selection import Selection
from thumbsmith.reconcile.effects import Options
from thumbsmith.worker import Work

DEADLINE = 60
QUIET = 0.1
Hints = Iterator[frozenset[str] | None]


@dataclass
class Following:
    """A folder and its thumbnails, and all that became of keys."""

    folder: Path
    options: Options = field(default_factory=Options)
    renderer: object = field(default_factory=InProcess)
    followed: list[WatchResult] = field(default_factory=list)
    syncs: list[float] = field(default_factory=list)
    answer: bool | None = True
    quiet: float = QUIET

    def __post_init__(self) -> None:
        self.photos = self.folder / "photos"
        self.photos.mkdir()
        recipe = Recipe.loads(RECIPE + "[source]\nexclude = ['**/*.xmp']\n")
        self.scope = Scope(
            source=open_store(self.photos),
            destination=open_store(self.folder / "thumbs"),
            recipe=recipe,
            options=self.options,
        )

    def run(self, changes: Hints) -> None:
        """Follow these changes to their end."""
        options = {"renderer": self.renderer, "threads": 4, "sync": self.sync, "quiet": self.quiet}
        for each in follow(self.scope, changes, folder=str(self.photos), **options):
            self.followed.append(each)

    def sync(self) -> bool | None:
        """Stand for what makes everything right: remember when, and give the answer set."""
        self.syncs.append(time.monotonic())
        return self.answer

    def until(self, enough: Callable[[], object]) -> Hints:
        """Yield that nothing changed until it is enough."""
        deadline = time.monotonic() + DEADLINE
        while not enough():
            assert time.monotonic() < deadline, self.followed
            yield frozenset()
            time.sleep(0.01)

    def until_followed(self, *keys: str) -> Hints:
        """Yield that nothing changed until all of these keys are done."""
        return self.until(lambda: set(keys) <= {each.key for each in self.followed})

    def hint(self, *keys: str) -> None:
        """Follow one change of these keys until they are done."""

        def changes() -> Hints:
            yield frozenset(keys)
            yield from self.until_followed(*keys)

        self.followed.clear()
        self.run(changes())

    def outcomes(self) -> dict[str, str]:
        """Return what became of each key last."""
        return {each.key: each.outcome.status if each.outcome else "failed" for each in self.followed}

    def thumbs(self) -> set[str]:
        """Return the sources that have a manifest."""
        root = self.folder / "thumbs"
        return {path.parent.relative_to(root).as_posix() for path in root.rglob("manifest.json")}

    def upload(self, key: str, data: bytes | None = None) -> None:
        """Put a picture."""
        path = self.photos / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture() if data is None else data)


@pytest.fixture
def following(tmp_path: Path) -> Following:
    """Return an empty folder to follow."""
    return Following(tmp_path)


def test_a_hint_makes_the_key_right(following: Following):
    """A new, a replaced, a bad and a deleted file each end as the folder is, whatever the hint was for."""
    following.upload("a.jpg")
    following.upload("b.txt", b"no picture")
    following.hint("a.jpg", "b.txt", "c.jpg")
    assert following.outcomes() == {"a.jpg": "made", "b.txt": "rejected", "c.jpg": "absent"}
    following.upload("a.jpg", picture("#010203", (90, 20)))
    following.hint("a.jpg")
    assert following.outcomes() == {"a.jpg": "made"}
    (following.photos / "a.jpg").unlink()
    following.hint("a.jpg", "b.txt")
    assert following.outcomes() == {"a.jpg": "deleted", "b.txt": "rejected"}
    assert following.thumbs() == {"b.txt"}


def test_hidden_names_are_no_hints(following: Following):
    """Nothing is looked at under a name that begins with a dot."""
    following.upload("a.jpg")
    following.upload(".trash/b.jpg")
    following.run(iter([frozenset({".trash", ".trash/b.jpg", "sub/.x"})]))
    following.hint("a.jpg")
    assert following.outcomes() == {"a.jpg": "made"}


def test_a_folder_that_came_is_looked_through(following: Following):
    """One hint at a folder makes everything in it, however deep, and nothing beside it."""
    for key in ("new/a.jpg", "new/deep/b.jpg", "newer/c.jpg"):
        following.upload(key)

    def changes() -> Hints:
        yield frozenset({"new"})
        yield from following.until_followed("new/a.jpg", "new/deep/b.jpg")

    following.run(changes())
    assert following.thumbs() == {"new/a.jpg", "new/deep/b.jpg"}


def test_a_folder_that_went_is_cleared_away(following: Following):
    """One hint at a folder that is gone deletes what was made of everything in it, and nothing beside it."""
    keys = ("old/a.jpg", "old/deep/b.jpg", "older/c.jpg")
    for key in keys:
        following.upload(key)
    following.hint(*keys)
    (following.photos / "old").rename(following.folder / "elsewhere")

    def changes() -> Hints:
        yield frozenset({"old"})
        yield from following.until_followed("old/a.jpg", "old/deep/b.jpg")

    following.followed.clear()
    following.run(changes())
    assert following.outcomes() == {"old": "absent", "old/a.jpg": "deleted", "old/deep/b.jpg": "deleted"}
    assert following.thumbs() == {"older/c.jpg"}


def test_a_folder_in_place_of_a_file_is_looked_through(following: Following):
    """Where a file gives way to a folder of its name, its thumbnails go and those of the folder's files come."""
    following.upload("x.jpg")
    following.hint("x.jpg")
    (following.photos / "x.jpg").unlink()
    following.upload("x.jpg/y.jpg")

    def changes() -> Hints:
        yield frozenset({"x.jpg"})
        yield from following.until_followed("x.jpg/y.jpg")

    following.followed.clear()
    following.run(changes())
    assert following.thumbs() == {"x.jpg/y.jpg"}


def test_orphans_stay_on_demand(tmp_path: Path):
    """With keep_orphans nothing is deleted when a folder goes."""
    following = Following(tmp_path, options=Options(keep_orphans=True))
    following.upload("old/a.jpg")
    following.hint("old/a.jpg")
    (following.photos / "old").rename(tmp_path / "elsewhere")
    following.hint("old", "old/a.jpg")
    assert following.outcomes() == {"old": "absent", "old/a.jpg": "absent"}
    assert following.thumbs() == {"old/a.jpg"}


def test_a_growing_file_waits(tmp_path: Path):
    """A file written in pieces is made once, whole: no rejection of a half one is ever recorded."""
    following = Following(tmp_path, quiet=1.5)  # far longer than between two pieces, on a busy machine too
    whole = picture("#c04020", (400, 300))

    def changes() -> Hints:
        for end in range(0, len(whole), len(whole) // 20):
            following.upload("a.jpg", whole[:end])
            yield frozenset({"a.jpg"})
            time.sleep(0.02)
        following.upload("a.jpg", whole)
        yield from following.until_followed("a.jpg")

    following.run(changes())
    assert [(each.key, each.outcome.status) for each in following.followed] == [("a.jpg", "made")]


@dataclass
class Counting(InProcess):
    """A renderer that takes its time, and knows how many work on one picture at once, and on all."""

    at_once: dict[int, int] = field(default_factory=dict)
    worst: int = 0
    calls: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def render(self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None) -> Work:
        """Return the pictures, after a while."""
        with self.lock:
            self.calls += 1
            self.at_once[reader.size] = self.at_once.get(reader.size, 0) + 1
            self.worst = max(self.worst, *self.at_once.values())
        time.sleep(0.5)
        with self.lock:
            self.at_once[reader.size] -= 1
        return super().render(reader, recipe, wanted)


def test_no_key_is_in_hand_twice(tmp_path: Path):
    """A hint at a key that is being made waits until that is done, and is not forgotten."""
    renderer = Counting()
    following = Following(tmp_path, renderer=renderer)

    def changes() -> Hints:
        following.upload("a.jpg")
        yield frozenset({"a.jpg"})
        yield from following.until(lambda: renderer.calls)
        following.upload("a.jpg", picture(size=(61, 40)))
        yield frozenset({"a.jpg"})
        yield from following.until(lambda: len(following.followed) >= 2)

    following.run(changes())
    assert [each.outcome.status for each in following.followed] in (["made", "fresh"], ["made", "made"])
    assert renderer.worst == 1
    following.hint("a.jpg")
    assert following.outcomes() == {"a.jpg": "fresh"}


def test_what_is_in_hand_is_finished(tmp_path: Path):
    """When the changes end, what has begun is finished and told, and what only waits is left."""
    renderer = Counting()
    following = Following(tmp_path, renderer=renderer)

    def changes() -> Hints:
        for number in range(9):
            following.upload(f"{number}.jpg")
        yield frozenset(f"{number}.jpg" for number in range(9))
        yield from following.until(lambda: renderer.calls >= 4)

    following.run(changes())
    assert 4 <= len(following.followed) < 9
    assert {each.key for each in following.followed} == following.thumbs()


@dataclass
class Failing(InProcess):
    """A renderer whose processes die over a picture, so many times."""

    times: int = 0

    def render(self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None) -> Work:
        """Return the pictures, once it has failed often enough."""
        if self.times:
            self.times -= 1
            raise WorkerError("the worker died")
        return super().render(reader, recipe, wanted)


def test_what_fails_for_now_is_tried_again(tmp_path: Path):
    """A failure that may pass is told, tried again after a while, and others do not wait for it."""
    following = Following(tmp_path, renderer=Failing(times=1))

    def changes() -> Hints:
        following.upload("a.jpg")
        yield frozenset({"a.jpg"})
        yield from following.until_followed("a.jpg")
        following.upload("b.jpg")
        yield frozenset({"b.jpg"})
        yield from following.until(lambda: len(following.followed) >= 3)

    following.run(changes())
    assert (following.followed[0].key, type(following.followed[0].error)) == ("a.jpg", WorkerError)
    assert following.outcomes() == {"a.jpg": "made", "b.jpg": "made"}


def test_what_fails_for_good_is_told_once(tmp_path: Path):
    """A failure that trying again cannot help is told, and not tried again without a hint."""
    following = Following(tmp_path)
    following.upload("a.jpg")
    (tmp_path / "thumbs").write_text("a file where the folder of thumbnails should be")

    def changes() -> Hints:
        yield frozenset({"a.jpg"})
        yield from following.until_followed("a.jpg")
        ends = time.monotonic() + 3
        yield from following.until(lambda: time.monotonic() > ends)

    following.run(changes())
    (failed,) = following.followed
    assert isinstance(failed.error, StoreError)
    assert not failed.error.transient


def test_a_loss_calls_for_a_sync(following: Following):
    """Everything is synced before anything else, and again when changes may have gone unseen."""

    def changes() -> Hints:
        yield None
        assert len(following.syncs) == 1
        yield frozenset()
        assert len(following.syncs) == 1
        yield None
        yield from following.until(lambda: len(following.syncs) == 2)
        yield frozenset()

    following.run(changes())
    assert len(following.syncs) == 2


def test_a_sync_that_is_interrupted_ends_it(following: Following):
    """When the sync says to end, nothing more is asked for."""
    following.answer = None
    changes = iter([None, frozenset({"a.jpg"})])
    following.run(changes)
    assert next(changes) == frozenset({"a.jpg"})


def test_a_source_that_cannot_be_looked_at_is_told(tmp_path: Path):
    """A key whose file cannot be read for a reason of the store is told as failed, and the others go on."""

    class Unreadable:
        """The folder, but for one key."""

        def __init__(self, store: object) -> None:
            self.store = store

        def __getattr__(self, name: str) -> object:
            return getattr(self.store, name)

        def head(self, key: str) -> object:
            """Return the file, unless it is the one."""
            if key == "bad.jpg":
                raise StoreError("bad.jpg: Permission denied", transient=False)
            return self.store.head(key)

    following = Following(tmp_path)
    following.scope = Scope(
        source=Unreadable(following.scope.source),
        destination=following.scope.destination,
        recipe=following.scope.recipe,
    )
    following.upload("bad.jpg")
    following.upload("good.jpg")
    following.hint("bad.jpg", "good.jpg")
    assert following.outcomes() == {"bad.jpg": "failed", "good.jpg": "made"}


def test_excluded_files_are_let_alone(following: Following):
    """What the recipe excludes is looked at and left: nothing is made, nothing fails."""
    assert following.scope.recipe.selection == Selection(exclude=("**/*.xmp",))
    following.upload("a.xmp")
    following.hint("a.xmp")
    assert following.outcomes() == {"a.xmp": "absent"}
    assert following.thumbs() == set()


def test_a_file_that_changes_all_the_time_is_made(following: Following, monkeypatch: pytest.MonkeyPatch):
    """A file that is replaced at each tick is made of what is there after the longest time, and of its last state."""
    monkeypatch.setattr("thumbsmith.bulk.watch.LONGEST", 0.5)
    contents = [picture(f"#0000{number:02x}") for number in range(2)]

    def replace(number: int) -> None:
        (following.folder / "next").write_bytes(contents[number % 2])
        (following.folder / "next").rename(following.photos / "a.jpg")

    def changes() -> Hints:
        for number, _ in enumerate(following.until(lambda: len(following.followed) >= 2)):
            replace(number)
            yield frozenset({"a.jpg"})
        before = len(following.followed)
        (following.photos / "a.jpg").write_bytes(picture("#ffffff", (123, 45)))
        yield frozenset({"a.jpg"})
        yield from following.until(lambda: len(following.followed) > before and following.outcomes()["a.jpg"] == "made")

    following.run(changes())
    manifest = json.loads((following.folder / "thumbs" / "a.jpg" / "manifest.json").read_text())
    assert manifest["source"]["width"] == 123
