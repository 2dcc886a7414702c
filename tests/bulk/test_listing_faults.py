"""Errors of the operating system during a listing or a read: the affected keys fail, and the others are synced."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pictures import picture
from thumbsmith.bulk import sync as engine
from thumbsmith.bulk.scan import Scope, scan
from thumbsmith.errors import StoreError
from thumbsmith.recipe import Recipe
from thumbsmith.store import open_store
from thumbsmith.worker import Workers

SICK = "sick"
ERRORS = ("EIO", "ESTALE", "ENOTCONN", "ENAMETOOLONG", "EACCES", "EINVAL", "ENXIO")
NAMES = ("a.jpg", "z.jpg", f"{SICK}/b.jpg", f"{SICK}/deep/c.jpg", "sound/d.jpg")

Run = Callable[[], dict[str, str]]


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Return worker processes for all tests here."""
    with Workers(1) as started:
        yield started


@pytest.fixture
def run(tmp_path: Path, workers: Workers) -> Run:
    """Return a function that syncs a folder whose thumbnails exist, and returns the outcome of each key."""
    recipe = Recipe.loads("[variants.icon]\nwidth = 8\nheight = 8\n")
    scope = Scope(source=open_store(tmp_path / "photos"), destination=open_store(tmp_path / "thumbs"), recipe=recipe)
    for name in NAMES:
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(picture("#102030"))

    def sync() -> dict[str, str]:
        with scan(scope) as found:
            ran = list(engine.sync(found, renderer=workers, threads=2, stop=lambda: False, allow_mass_delete=True))
        return {done.key: "failed" if done.error else done.outcome.status for done in ran if done.outcome or done.error}

    assert set(sync().values()) == {"made"}
    (tmp_path / "photos" / "new.jpg").write_bytes(picture("#405060"))
    return sync


def _in(path_of: object, name: str) -> bool:
    """Return whether an open descriptor belongs to the folder or file of this name."""
    return isinstance(path_of, int) and str(Path(f"/proc/self/fd/{path_of}").readlink()).endswith(f"photos/{name}")


class Breaking:
    """A listing that ends with an error after its first entry."""

    def __init__(self, entries: Iterator[os.DirEntry[str]], number: int) -> None:
        self.entries, self.number = entries, number

    def __enter__(self) -> Iterator[os.DirEntry[str]]:
        return self._some()

    def __exit__(self, *_: object) -> None:
        self.entries.close()  # type: ignore[attr-defined]

    def _some(self) -> Iterator[os.DirEntry[str]]:
        yield next(self.entries)
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("name", ERRORS)
def test_a_listing_that_fails(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, name: str):
    """The folder fails once, no thumbnails below it are deleted, and the other keys are synced."""
    scandir, number = os.scandir, getattr(errno, name)
    monkeypatch.setattr(os, "scandir", lambda at: Breaking(scandir(at), number) if _in(at, SICK) else scandir(at))
    done = run()
    assert done[f"{SICK}/"] == "failed"
    assert (done["new.jpg"], done["sound/d.jpg"], done["a.jpg"]) == ("made", "fresh", "fresh")
    assert "deleted" not in done.values()
    assert (tmp_path / f"thumbs/{SICK}/b.jpg/icon.webp").exists()
    assert (tmp_path / f"thumbs/{SICK}/deep/c.jpg/icon.webp").exists()


@pytest.mark.parametrize("name", ERRORS)
def test_a_folder_that_cannot_be_opened(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, name: str):
    """A listed folder that cannot be opened fails; it does not count as deleted."""
    really, number = os.open, getattr(errno, name)

    def opened(path: object, *rest: int, **more: int) -> int:
        if path == SICK:
            raise OSError(number, os.strerror(number))
        return really(path, *rest, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", opened)
        with scan(
            Scope(
                source=open_store(tmp_path / "photos"),
                destination=open_store(tmp_path / "empty"),
                recipe=Recipe.default(),
            )
        ) as found:
            assert f"{SICK}/" in found.join.unreadable
            assert found.join.may_be_unlisted(f"{SICK}/deep/c.jpg")
            assert found.join.sources == 4
    assert "failed" not in run().values()


@pytest.mark.parametrize("name", ERRORS)
def test_a_file_whose_read_fails(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, name: str):
    """Twelve files that cannot be read fail alone, though ten failures of the store would end the sync."""
    for number in range(12):
        (tmp_path / f"photos/{SICK}/{number}.jpg").write_bytes(picture(f"#1020{number:02}"))
    read, number = os.pread, getattr(errno, name)

    def pread(fd: int, length: int, offset: int) -> bytes:
        if "/photos/sick/" in str(Path(f"/proc/self/fd/{fd}").readlink()):
            raise OSError(number, os.strerror(number))
        return read(fd, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    done = run()
    assert {done[f"{SICK}/{number}.jpg"] for number in range(12)} == {"failed"}
    assert (done["new.jpg"], done["sound/d.jpg"]) == ("made", "fresh")
    assert "deleted" not in done.values()


@pytest.mark.parametrize("name", ["ENAMETOOLONG", "EINVAL", "EILSEQ"])
def test_a_listed_name_is_not_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    """If a file system lists a name and then refuses it, that is a failure; the file does not count as deleted."""
    (tmp_path / "a.jpg").write_bytes(picture())
    store, status, number = open_store(tmp_path), os.stat, getattr(errno, name)

    def refused(path: object, **more: object) -> os.stat_result:
        if path == "a.jpg":
            raise OSError(number, os.strerror(number))
        return status(path, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", refused)
    with pytest.raises(StoreError, match=r"a\.jpg: "):
        store.head("a.jpg")
    assert store.head("x" * 300) is None


def test_an_entry_of_unknown_type_whose_stat_fails(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch):
    """It may be a folder, so the thumbnails of sources below it are kept."""

    class Entry:
        """An entry of a file system that lists no types."""

        def __init__(self, name: str) -> None:
            self.name = name

        def is_dir(self, **_: object) -> bool:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    class Listed(Breaking):
        """A listing in which one folder has no type."""

        def _some(self) -> Iterator[os.DirEntry[str]]:
            for entry in self.entries:
                yield Entry(SICK) if entry.name == SICK else entry  # type: ignore[misc]

    scandir = os.scandir
    monkeypatch.setattr(
        os, "scandir", lambda at: Listed(scandir(at), 0) if _in(at, "") or _in_root(at) else scandir(at)
    )
    done = run()
    assert done[f"{SICK}/"] == "failed"
    assert "deleted" not in done.values()
    assert (tmp_path / f"thumbs/{SICK}/deep/c.jpg/icon.webp").exists()


def _in_root(at: object) -> bool:
    return isinstance(at, int) and str(Path(f"/proc/self/fd/{at}").readlink()).endswith("/photos")


@pytest.mark.parametrize("vanishing", ["photos", "thumbs"])
def test_a_root_that_vanishes_during_a_run(tmp_path: Path, workers: Workers, run: Run, vanishing: str):
    """If the source vanishes, pending keys fail and nothing is deleted. A destination is created again."""
    (tmp_path / "photos/a.jpg").write_bytes(picture("#708090"))
    scope = Scope(
        source=open_store(tmp_path / "photos"),
        destination=open_store(tmp_path / "thumbs"),
        recipe=Recipe.loads("[variants.icon]\nwidth = 8\nheight = 8\n"),
    )
    with scan(scope) as found:
        (tmp_path / vanishing).rename(tmp_path / "elsewhere")
        done = {each.key: each for each in engine.sync(found, renderer=workers, threads=2, stop=lambda: False)}
    if vanishing == "photos":
        assert "the folder was removed, replaced or unmounted" in str(done["a.jpg"].error)
        assert (tmp_path / "thumbs/a.jpg/icon.webp").exists()
    else:
        assert set(run().values()) <= {"made", "fresh"}
