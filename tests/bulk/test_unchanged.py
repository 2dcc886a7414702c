"""A run with nothing to do: what it costs, and that it still notices every change."""

import os
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bulk.world import DigestRenderer
from thumbsmith import open_store
from thumbsmith.bulk.scan import Scope, scan
from thumbsmith.bulk.sync import SyncResult, sync
from thumbsmith.recipe import Recipe

RECIPE = Recipe.loads("[variants.icon]\nwidth = 8\n[variants.small]\nwidth = 16\nformats = ['jpeg']")
_counting: list[Counter[str]] = []


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    for counter in _counting:
        if event == "os.scandir" or (event == "open" and isinstance(arguments[0], str)):
            counter[event] += 1


sys.addaudithook(_audit)


@contextmanager
def _counted() -> Iterator[Counter[str]]:
    """Yield a counter of opened files and folders, and of listed folders, as the interpreter reports them."""
    counter: Counter[str] = Counter()
    _counting.append(counter)
    try:
        yield counter
    finally:
        _counting.remove(counter)


def _library(folder: Path, sources: int) -> Scope:
    """Return a scope whose sources all have thumbnails, and are in the manifest cache."""
    (folder / "photos" / "2026").mkdir(parents=True)
    for number in range(sources):
        (folder / "photos" / "2026" / f"{number:04}.jpg").write_bytes(b"picture %d" % number)
    scope = Scope(
        source=open_store(str(folder / "photos")),
        destination=open_store(str(folder / "thumbs")),
        recipe=RECIPE,
        cache=folder / "cache.sqlite",
    )
    _sync(scope)
    assert Counter(each.word for each in _sync(scope)) == {"fresh": sources}
    return scope


def _sync(scope: Scope) -> list[SyncResult]:
    with scan(scope) as found:
        return list(sync(found, renderer=DigestRenderer(), threads=2, stop=lambda: False))


def test_an_unchanged_source_costs_one_listing(tmp_path: Path):
    """Each folder is opened and listed once. No source, thumbnail or manifest is opened."""
    scope = _library(tmp_path, 40)
    with _counted() as counted:
        assert Counter(each.word for each in _sync(scope)) == {"fresh": 40}
    folders = 2 + 2 + 40  # the roots, 2026 in both, and one for each source
    assert folders <= counted["os.scandir"] <= folders + 4  # the roots are also checked
    assert folders <= counted["open"] <= folders + 4


@pytest.mark.parametrize("kind", ["files", "folders"])
def test_memory_of_a_listing(kind: str, tmp_path: Path):
    """A folder with twice as many entries takes no more memory for files, and only their names for folders."""
    peaks = []
    for entries in (3_000, 6_000):
        root = tmp_path / str(entries)
        root.mkdir()
        for number in range(entries):
            path = root / f"{number:05}.jpg"
            path.touch() if kind == "files" else path.mkdir()
        tracemalloc.start()
        listed = sum(len(group.objects) for group in open_store(str(root)).list_groups())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert listed == (entries if kind == "files" else 0)
    assert peaks[1] <= peaks[0] + (50_000 if kind == "files" else 3_000 * 24)


def _replace(path: Path) -> None:
    """Replace a file by another of the same size and times."""
    status = path.stat()
    content = bytes(byte ^ 1 for byte in path.read_bytes())
    path.unlink()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "thumbs/2026/0001.jpg/small.jpg").unlink(),
        lambda folder: _replace(folder / "thumbs/2026/0001.jpg/small.jpg"),
        lambda folder: _replace(folder / "thumbs/2026/0001.jpg/icon.webp"),
        lambda folder: _replace(folder / "photos/2026/0001.jpg"),
        lambda folder: (folder / "thumbs/2026/0001.jpg/manifest.json").unlink(),
        lambda folder: (folder / "thumbs/2026/0001.jpg/icon.webp").write_bytes(b""),
        lambda folder: (folder / "thumbs/2026/0001.jpg").rename(folder / "elsewhere"),
    ],
    ids=["deleted", "replaced", "another", "source", "manifest", "emptied", "moved"],
)
def test_one_change_among_many_is_noticed(change: Callable[[Path], object], tmp_path: Path):
    """Of sources that are otherwise unchanged, exactly the one with a change is made again."""
    scope = _library(tmp_path, 5)
    change(tmp_path)
    assert {each.key: each.word for each in _sync(scope)} == {
        f"2026/{number:04}.jpg": "made" if number == 1 else "fresh" for number in range(5)
    }


def test_only_a_leftover_file_causes_a_search_for_more(tmp_path: Path):
    """A temporary file of a killed writer is seen in the listing, and then removed."""
    scope = _library(tmp_path, 3)
    left = tmp_path / "thumbs/2026/0001.jpg/.thumbsmith-999999999-1-00000000-0123456789abcdef.tmp"
    left.touch()
    os.utime(left, (0, 0))
    _sync(scope)
    assert not left.exists()
