"""A source folder that another one replaces during a run, as when a disk is unmounted: nothing is deleted."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bulk.world import RECIPE, DigestRenderer
from thumbsmith.bulk.scan import Scope, scan
from thumbsmith.bulk.sync import SyncResult, sync
from thumbsmith.bulk.watch import follow
from thumbsmith.reconcile.converge import Result
from thumbsmith.store import open_store

PICTURES = ("a.jpg", "b.jpg", "sub/c.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder for the sources, which is unmounted at the end."""
    photos = tmp_path / "photos"
    photos.mkdir()
    yield photos
    while os.path.ismount(photos):
        subprocess.run(["umount", photos], check=True)


def _fill(folder: Path, version: str = "") -> None:
    for name in PICTURES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name + version)


def _mount(folder: Path) -> None:
    command = ["mount", "-t", "tmpfs", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounts need rights that this process does not have")


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", folder], check=True)


def _replace(folder: Path) -> None:
    folder.rename(folder.with_name("before"))
    folder.mkdir()


def _remove(folder: Path) -> None:
    folder.rename(folder.with_name("before"))


WAYS = pytest.mark.parametrize(
    ("begin", "replace"),
    [(_mount, _unmount), (lambda _: None, _mount), (lambda _: None, _replace), (lambda _: None, _remove)],
    ids=["unmounted", "mounted over", "replaced", "removed"],
)


def _scope(folder: Path) -> Scope:
    thumbs = folder.with_name("thumbs")
    return Scope(source=open_store(str(folder)), destination=open_store(str(thumbs)), recipe=RECIPE)


def _run(scope: Scope, meanwhile: Callable[[], object] = lambda: None) -> dict[str, SyncResult]:
    with scan(scope) as found:
        meanwhile()
        results = sync(found, renderer=DigestRenderer(), threads=2, stop=lambda: False, allow_mass_delete=True)
        return {each.key: each for each in results}


def _followed(scope: Scope, folder: Path, changes: Iterator[frozenset[str] | None]) -> Iterator[Result]:
    renderer = DigestRenderer()
    return follow(
        scope, changes, folder=str(folder), renderer=renderer, threads=1, sync=lambda: True, quiet_seconds=0.0
    )


def _thumbnails(folder: Path) -> set[str]:
    return {str(path) for path in folder.with_name("thumbs").rglob("*") if path.is_file()}


@WAYS
def test_sync_deletes_nothing(folder: Path, begin: Callable[[Path], None], replace: Callable[[Path], None]):
    """Changed sources and thumbnails of deleted ones fail; the next run over the sources makes and deletes them."""
    begin(folder)
    _fill(folder)
    scope = _scope(folder)
    _run(scope)
    before = _thumbnails(folder)
    _fill(folder, "2")
    (folder / "b.jpg").unlink()
    results = _run(scope, lambda: replace(folder))
    assert {each.word for each in results.values()} == {"failed"}
    assert set(results) == set(PICTURES)
    assert _thumbnails(folder) == before
    assert all(str(folder) in str(each.error) for each in results.values())


@WAYS
def test_watch_deletes_nothing_of_one_key(folder: Path, begin: Callable[[Path], None], replace: Callable[[Path], None]):
    """A key that changed before the folder was replaced fails, and keeps its thumbnails."""
    begin(folder)
    _fill(folder)
    scope = _scope(folder)
    _run(scope)
    before = _thumbnails(folder)

    def changes() -> Iterator[frozenset[str] | None]:
        yield None
        replace(folder)
        yield frozenset(PICTURES)
        while len(seen) < len(PICTURES):
            yield frozenset()

    seen: list[Result] = []
    seen.extend(_followed(scope, folder, changes()))
    assert {each.word for each in seen} == {"failed"}
    assert _thumbnails(folder) == before


def test_a_replaced_folder_counts_from_the_next_run(folder: Path):
    """A run that begins after another folder took the place deletes what is missing there."""
    _fill(folder)
    scope = _scope(folder)
    _run(scope)
    _replace(folder)
    (folder / "a.jpg").write_text("a.jpg")
    results = _run(scope)
    assert {key for key, each in results.items() if each.word == "deleted"} == {"b.jpg", "sub/c.jpg"}
