"""What one source costs in a folder, and what a crash of the machine can leave there."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.pictures import picture
from tests.reconcile.scene import InProcess
from thumbsmith import Recipe, converge, open_store
from thumbsmith.recipe.names import MANIFEST
from thumbsmith.store import Headers
from thumbsmith.store.folder import FolderStore

ONE = Recipe.loads("[variants.small]\nwidth = 32\nformats = ['jpeg']")
THREE = Recipe.default()
_opened: list[list[str]] = []  # those that count now


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str):  # a file object for an open descriptor opens nothing
        for opens in _opened:
            opens.append(arguments[0])


sys.addaudithook(_audit)


@contextmanager
def _counted_opens() -> Iterator[list[str]]:
    """Yield a list that gets the path of each `open` of this process, as the interpreter reports it."""
    opens: list[str] = []
    _opened.append(opens)
    try:
        yield opens
    finally:
        _opened.remove(opens)


class Disk:
    """Observes the calls that decide what survives a crash. A name is durable once its folder was synced after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.syncs = 0
        self.synced_files: set[tuple[int, int]] = set()
        self.volatile: dict[tuple[int, int], set[str]] = {}
        self.lies: list[str] = []
        self._fsync, self._rename = os.fsync, os.rename
        monkeypatch.setattr(os, "fsync", self.fsync)
        monkeypatch.setattr(os, "rename", self.rename)

    def fsync(self, fd: int) -> None:
        """Sync, and note what is durable now."""
        self._fsync(fd)
        self.syncs += 1
        self.synced_files.add(_identity(os.fstat(fd)))
        self.volatile.pop(_identity(os.fstat(fd)), None)

    def rename(self, old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        """Rename, and note a name whose content, or whose renditions' names, a crash could lose."""
        if _identity(os.stat(old, dir_fd=src_dir_fd)) not in self.synced_files:
            self.lies.append(f"the content of {new}")
        if new == MANIFEST:
            self.lies += [name for names in self.volatile.values() for name in names if name != MANIFEST]
        self._rename(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        self.volatile.setdefault(_identity(os.fstat(dst_dir_fd)), set()).add(new)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _descriptors() -> set[str]:
    return {each.name for each in Path("/proc/self/fd").iterdir()}


def _converge_two(folder: Path, recipe: Recipe) -> None:
    """Converge a first source, and then a second one in the same folder."""
    for name in ("a.jpg", "b.jpg"):
        path = folder / "photos" / "2026" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture())
        source, destination = open_store(str(folder / "photos")), open_store(str(folder / "thumbs"))
        assert converge(f"2026/{name}", source, destination, recipe, renderer=InProcess()).status == "made"


@pytest.mark.parametrize(("recipe", "opens"), [(ONE, 12), (THREE, 12)])
def test_few_files_are_opened_for_a_source(recipe: Recipe, opens: int, tmp_path: Path):
    """A new source in a folder that exists takes at most 12 calls of `open`, folders included."""
    _converge_two(tmp_path, recipe)
    (tmp_path / "photos/2026/c.jpg").write_bytes(picture())
    source, destination = open_store(str(tmp_path / "photos")), open_store(str(tmp_path / "thumbs"))
    with _counted_opens() as counted:
        converge("2026/c.jpg", source, destination, recipe, renderer=InProcess())
    assert 0 < len(counted) <= opens


@pytest.mark.parametrize(("recipe", "files"), [(ONE, 2), (THREE, 4)])
def test_each_file_is_synced_once_and_its_folder_once(
    recipe: Recipe, files: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A source takes one fsync for each rendition, one for their folder, and one for the manifest."""
    disk = Disk(monkeypatch)
    _converge_two(tmp_path, recipe)
    assert disk.syncs == 2 * (files + 1)


def test_no_manifest_outlives_its_renditions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """When a manifest gets its name, the content and the names of all its renditions are on disk; also at a change."""
    disk = Disk(monkeypatch)
    _converge_two(tmp_path, THREE)
    (tmp_path / "photos/2026/a.jpg").write_bytes(picture(size=(90, 60)))
    _converge_two(tmp_path, ONE)
    assert disk.lies == []


@pytest.mark.parametrize("broken", ["no sync of the folder", "no sync of files"])
def test_a_manifest_that_could_outlive_its_renditions_is_noticed(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The test above fails for a store that leaves out a sync."""
    disk = Disk(monkeypatch)
    if broken == "no sync of the folder":
        monkeypatch.setattr(FolderStore, "put_last", FolderStore.put)
    else:
        monkeypatch.setattr(os, "fsync", lambda _fd: None)
    _converge_two(tmp_path, THREE)
    assert disk.lies


def test_a_folder_that_is_replaced_is_noticed(tmp_path: Path):
    """Within the block for one key, a folder that was moved away is not used any more."""
    thumbs = tmp_path / "thumbs"
    store = open_store(str(thumbs)).as_destination()
    headers = Headers(content_type="image/jpeg")
    with store.for_one_key() as kept:
        kept.put("2026/a.jpg/small.jpg", b"one", headers)
        (thumbs / "2026").rename(tmp_path / "moved")
        assert kept.head("2026/a.jpg/small.jpg") is None
        kept.put("2026/a.jpg/small.jpg", b"two", headers)
        assert (thumbs / "2026/a.jpg/small.jpg").read_bytes() == b"two"
        thumbs.rename(tmp_path / "old")
        kept.put("2026/a.jpg/small.jpg", b"three", headers)
    assert (thumbs / "2026/a.jpg/small.jpg").read_bytes() == b"three"
    assert (tmp_path / "moved/a.jpg/small.jpg").read_bytes() == b"one"


def test_a_link_that_replaces_a_folder_is_not_followed(tmp_path: Path):
    """Within the block for one key, a folder that is replaced by a symbolic link is missing."""
    folder = tmp_path / "photos" / "2026"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"one")
    with open_store(str(tmp_path / "photos")).for_one_key() as kept:
        assert kept.head("2026/a.jpg")
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
        assert kept.head("2026/a.jpg") is None


def test_no_descriptor_stays_open(tmp_path: Path):
    """At the end of the block for one key, all folders are closed, also those of a key with many components."""
    key = "/".join("abcdefghijklmnopqrstuvwxyz")
    before = _descriptors()
    with open_store(str(tmp_path / "thumbs")).as_destination().for_one_key() as kept:
        kept.put(f"{key}/small.jpg", b"one", Headers(content_type="image/jpeg"))
        assert len(before) < len(_descriptors()) <= len(before) + 16
        kept.put_last(f"{key}/{MANIFEST}", b"{}", Headers(content_type="application/json"))
    assert _descriptors() == before
