"""Following a folder: hints lead to converged keys, with real folders and a real renderer in this process."""

import json
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import nullcontext
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
from thumbsmith.reconcile.protocol import Options
from thumbsmith.worker import Work

DEADLINE = 60
QUIET = 0.1
Hints = Iterator[frozenset[str] | None]


@dataclass
class Watch:
    """A folder, its thumbnails, and the results for its keys."""

    folder: Path
    options: Options = field(default_factory=Options)
    renderer: object = field(default_factory=InProcess)
    results: list[WatchResult] = field(default_factory=list)
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
        """Follow these changes until they end."""
        options = {"renderer": self.renderer, "threads": 4, "sync": self.sync, "quiet_seconds": self.quiet}
        for each in follow(self.scope, changes, folder=str(self.photos), **options):
            self.results.append(each)

    def sync(self) -> bool | None:
        """Replace a sync: record the time, and return `answer`."""
        self.syncs.append(time.monotonic())
        return self.answer

    def until(self, enough: Callable[[], object]) -> Hints:
        """Yield empty reports until `enough` returns True."""
        deadline = time.monotonic() + DEADLINE
        while not enough():
            assert time.monotonic() < deadline, self.results
            yield frozenset()
            time.sleep(0.01)

    def until_done(self, *keys: str) -> Hints:
        """Yield empty reports until all of these keys are done."""
        return self.until(lambda: set(keys) <= {each.key for each in self.results})

    def hint(self, *keys: str) -> None:
        """Report one change of these keys and follow until they are done."""

        def changes() -> Hints:
            yield frozenset(keys)
            yield from self.until_done(*keys)

        self.results.clear()
        self.run(changes())

    def outcomes(self) -> dict[str, str]:
        """Return the last outcome of each key."""
        return {each.key: each.outcome.status if each.outcome else "failed" for each in self.results}

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
def watch(tmp_path: Path) -> Watch:
    """Return an empty folder."""
    return Watch(tmp_path)


def test_a_hint_converges_the_key(watch: Watch):
    """After a hint, a new, a replaced, an invalid and a deleted file each have the right outcome."""
    watch.upload("a.jpg")
    watch.upload("b.gif", b"no picture")
    watch.hint("a.jpg", "b.gif", "c.jpg")
    assert watch.outcomes() == {"a.jpg": "made", "b.gif": "rejected", "c.jpg": "absent"}
    watch.upload("a.jpg", picture("#010203", (90, 20)))
    watch.hint("a.jpg")
    assert watch.outcomes() == {"a.jpg": "made"}
    (watch.photos / "a.jpg").unlink()
    watch.hint("a.jpg", "b.gif")
    assert watch.outcomes() == {"a.jpg": "deleted", "b.gif": "rejected"}
    assert watch.thumbs() == {"b.gif"}


def test_hints_for_hidden_names_are_ignored(watch: Watch):
    """No key is converged under a name that begins with a dot."""
    watch.upload("a.jpg")
    watch.upload(".trash/b.jpg")
    watch.run(iter([frozenset({".trash", ".trash/b.jpg", "sub/.x"})]))
    watch.hint("a.jpg")
    assert watch.outcomes() == {"a.jpg": "made"}


def test_all_files_of_a_new_folder_are_converged(watch: Watch):
    """One hint at a folder converges every file in it, at any depth, and nothing beside it."""
    for key in ("new/a.jpg", "new/deep/b.jpg", "newer/c.jpg"):
        watch.upload(key)

    def changes() -> Hints:
        yield frozenset({"new"})
        yield from watch.until_done("new/a.jpg", "new/deep/b.jpg")

    watch.run(changes())
    assert watch.thumbs() == {"new/a.jpg", "new/deep/b.jpg"}


def test_thumbnails_of_a_deleted_folder_are_deleted(watch: Watch):
    """One hint at a deleted folder deletes the thumbnails of all its files, and nothing beside it."""
    keys = ("old/a.jpg", "old/deep/b.jpg", "older/c.jpg")
    for key in keys:
        watch.upload(key)
    watch.hint(*keys)
    (watch.photos / "old").rename(watch.folder / "elsewhere")

    def changes() -> Hints:
        yield frozenset({"old"})
        yield from watch.until_done("old/a.jpg", "old/deep/b.jpg")

    watch.results.clear()
    watch.run(changes())
    assert watch.outcomes() == {"old": "absent", "old/a.jpg": "deleted", "old/deep/b.jpg": "deleted"}
    assert watch.thumbs() == {"older/c.jpg"}


def test_a_folder_that_replaces_a_file_is_converged(watch: Watch):
    """If a folder replaces a file, the file's thumbnails are deleted and those of the folder's files are made."""
    watch.upload("x.jpg")
    watch.hint("x.jpg")
    (watch.photos / "x.jpg").unlink()
    watch.upload("x.jpg/y.jpg")

    def changes() -> Hints:
        yield frozenset({"x.jpg"})
        yield from watch.until_done("x.jpg/y.jpg")

    watch.results.clear()
    watch.run(changes())
    assert watch.thumbs() == {"x.jpg/y.jpg"}


def test_orphans_can_be_kept(tmp_path: Path):
    """With keep_orphans nothing is deleted when a folder is moved away."""
    watch = Watch(tmp_path, options=Options(keep_orphans=True))
    watch.upload("old/a.jpg")
    watch.hint("old/a.jpg")
    (watch.photos / "old").rename(tmp_path / "elsewhere")
    watch.hint("old", "old/a.jpg")
    assert watch.outcomes() == {"old": "absent", "old/a.jpg": "absent"}
    assert watch.thumbs() == {"old/a.jpg"}


def test_a_growing_file_waits(tmp_path: Path):
    """A file that is written in pieces is converged once, when it is complete."""
    watch = Watch(tmp_path, quiet=1.5)  # far longer than between two pieces, on a busy machine too
    whole = picture("#c04020", (400, 300))

    def changes() -> Hints:
        for end in range(0, len(whole), len(whole) // 20):
            watch.upload("a.jpg", whole[:end])
            yield frozenset({"a.jpg"})
            time.sleep(0.02)
        watch.upload("a.jpg", whole)
        yield from watch.until_done("a.jpg")

    watch.run(changes())
    assert [(each.key, each.outcome.status) for each in watch.results] == [("a.jpg", "made")]


@dataclass
class Counting(InProcess):
    """A slow renderer that counts its calls, and how many are at once for one source."""

    at_once: dict[int, int] = field(default_factory=dict)
    worst: int = 0
    calls: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def render(self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None) -> Work:
        """Return the renditions, after half a second."""
        with self.lock:
            self.calls += 1
            self.at_once[reader.size] = self.at_once.get(reader.size, 0) + 1
            self.worst = max(self.worst, *self.at_once.values())
        time.sleep(0.5)
        with self.lock:
            self.at_once[reader.size] -= 1
        return super().render(reader, recipe, wanted)


def test_no_key_is_in_progress_twice(tmp_path: Path):
    """A hint at a key in progress waits until the key is done, and is not lost."""
    renderer = Counting()
    watch = Watch(tmp_path, renderer=renderer)

    def changes() -> Hints:
        watch.upload("a.jpg")
        yield frozenset({"a.jpg"})
        yield from watch.until(lambda: renderer.calls)
        watch.upload("a.jpg", picture(size=(61, 40)))
        yield frozenset({"a.jpg"})
        yield from watch.until(lambda: len(watch.results) >= 2)

    watch.run(changes())
    assert [each.outcome.status for each in watch.results] in (["made", "fresh"], ["made", "made"])
    assert renderer.worst == 1
    watch.hint("a.jpg")
    assert watch.outcomes() == {"a.jpg": "fresh"}


def test_keys_in_progress_are_finished(tmp_path: Path):
    """When the changes end, keys in progress are finished and yielded; waiting keys are not."""
    renderer = Counting()
    watch = Watch(tmp_path, renderer=renderer)

    def changes() -> Hints:
        for number in range(9):
            watch.upload(f"{number}.jpg")
        yield frozenset(f"{number}.jpg" for number in range(9))
        yield from watch.until(lambda: renderer.calls >= 4)

    watch.run(changes())
    assert 4 <= len(watch.results) < 9
    assert {each.key for each in watch.results} == watch.thumbs()


@dataclass
class Failing(InProcess):
    """A renderer whose process dies the first `times` times."""

    times: int = 0

    def render(self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None) -> Work:
        """Return the renditions, or raise WorkerError the first times."""
        if self.times:
            self.times -= 1
            raise WorkerError("the worker died")
        return super().render(reader, recipe, wanted)


def test_a_transient_failure_is_tried_again(tmp_path: Path):
    """A transient failure is yielded and tried again later; other keys do not wait for it."""
    watch = Watch(tmp_path, renderer=Failing(times=1))

    def changes() -> Hints:
        watch.upload("a.jpg")
        yield frozenset({"a.jpg"})
        yield from watch.until_done("a.jpg")
        watch.upload("b.jpg")
        yield frozenset({"b.jpg"})
        yield from watch.until(lambda: len(watch.results) >= 3)

    watch.run(changes())
    assert (watch.results[0].key, type(watch.results[0].error)) == ("a.jpg", WorkerError)
    assert watch.outcomes() == {"a.jpg": "made", "b.jpg": "made"}


def test_a_permanent_failure_is_yielded_once(tmp_path: Path):
    """A permanent failure is yielded, and not tried again without a hint."""
    watch = Watch(tmp_path)
    watch.upload("a.jpg")
    (tmp_path / "thumbs").write_text("a file where the folder of thumbnails should be")

    def changes() -> Hints:
        yield frozenset({"a.jpg"})
        yield from watch.until_done("a.jpg")
        ends = time.monotonic() + 3
        yield from watch.until(lambda: time.monotonic() > ends)

    watch.run(changes())
    (failed,) = watch.results
    assert isinstance(failed.error, StoreError)
    assert not failed.error.transient


def test_missed_changes_cause_a_sync(watch: Watch):
    """A sync happens first, and again when changes may have been missed."""

    def changes() -> Hints:
        yield None
        assert len(watch.syncs) == 1
        yield frozenset()
        assert len(watch.syncs) == 1
        yield None
        yield from watch.until(lambda: len(watch.syncs) == 2)
        yield frozenset()

    watch.run(changes())
    assert len(watch.syncs) == 2


def test_an_interrupted_sync_ends_the_watch(watch: Watch):
    """When `sync` returns None, no further change is read."""
    watch.answer = None
    changes = iter([None, frozenset({"a.jpg"})])
    watch.run(changes)
    assert next(changes) == frozenset({"a.jpg"})


def test_an_unreadable_source_is_yielded_as_failed(tmp_path: Path):
    """A key for which the store raises an error is yielded as failed, and other keys are converged."""

    class Unreadable:
        """The folder, in which one key is unreadable."""

        def __init__(self, store: object) -> None:
            self.store = store

        def __getattr__(self, name: str) -> object:
            return getattr(self.store, name)

        def for_one_key(self) -> object:
            """Yield this store, not the folder."""
            return nullcontext(self)

        def head(self, key: str) -> object:
            """Return the file. Raises StoreError for the unreadable key."""
            if key == "bad.jpg":
                raise StoreError("bad.jpg: Permission denied", transient=False)
            return self.store.head(key)

    watch = Watch(tmp_path)
    watch.scope = Scope(
        source=Unreadable(watch.scope.source),
        destination=watch.scope.destination,
        recipe=watch.scope.recipe,
    )
    watch.upload("bad.jpg")
    watch.upload("good.jpg")
    watch.hint("bad.jpg", "good.jpg")
    assert watch.outcomes() == {"bad.jpg": "failed", "good.jpg": "made"}


def test_excluded_files_are_ignored(watch: Watch):
    """A file that the recipe excludes is absent: nothing is rendered, and nothing fails."""
    assert watch.scope.recipe.selection == Selection(exclude=("**/*.xmp",))
    watch.upload("a.xmp")
    watch.hint("a.xmp")
    assert watch.outcomes() == {"a.xmp": "absent"}
    assert watch.thumbs() == set()


def test_a_file_that_always_changes_is_converged(watch: Watch, monkeypatch: pytest.MonkeyPatch):
    """A file that is replaced at each report is converged after the longest time, and again in its last state."""
    monkeypatch.setattr("thumbsmith.bulk.watch.MAX_WAIT_SECONDS", 0.5)
    contents = [picture(f"#0000{number:02x}") for number in range(2)]

    def replace(number: int) -> None:
        (watch.folder / "next").write_bytes(contents[number % 2])
        (watch.folder / "next").rename(watch.photos / "a.jpg")

    def changes() -> Hints:
        for number, _ in enumerate(watch.until(lambda: len(watch.results) >= 2)):
            replace(number)
            yield frozenset({"a.jpg"})
        before = len(watch.results)
        (watch.photos / "a.jpg").write_bytes(picture("#ffffff", (123, 45)))
        yield frozenset({"a.jpg"})
        yield from watch.until(lambda: len(watch.results) > before and watch.outcomes()["a.jpg"] == "made")

    watch.run(changes())
    manifest = json.loads((watch.folder / "thumbs" / "a.jpg" / "manifest.json").read_text())
    assert manifest["source"]["width"] == 123
