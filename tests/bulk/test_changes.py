"""Hints of a real folder: which keys they name, and when they say that some may be missing."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from thumbsmith import open_store
from thumbsmith.bulk.changes import BURST, changes, watched_folder
from thumbsmith.errors import StoreError, UsageError

DEADLINE = 60


class Hints:
    """The changes of a folder, taken as a test needs them."""

    def __init__(self, root: Path) -> None:
        """Begin, and see that the first thing said is that anything may have happened."""
        self.stopped = False
        self.changes: Iterator[frozenset[str] | None] = changes(str(root), lambda: self.stopped)
        assert next(self.changes) is None

    def until(self, *keys: str) -> set[str]:
        """Return all keys up to and with these."""
        seen: set[str] = set()
        deadline = time.monotonic() + DEADLINE
        while not seen.issuperset(keys):
            changed = next(self.changes)
            assert changed is not None
            assert time.monotonic() < deadline, seen
            seen |= changed
        return seen

    def until_lost(self) -> None:
        """Return once it is said that changes may have gone unseen."""
        deadline = time.monotonic() + DEADLINE
        while next(self.changes) is not None:
            assert time.monotonic() < deadline


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return an empty folder, by its real path."""
    folder = Path(os.path.realpath(tmp_path)) / "photos"
    folder.mkdir()
    return folder


def test_files_are_named(root: Path):
    """A new, a replaced, a renamed and a deleted file each give their keys, in new folders too."""
    hints = Hints(root)
    (root / "a.jpg").write_bytes(b"1")
    hints.until("a.jpg")
    (root / "sub").mkdir()
    hints.until("sub")
    (root / "sub" / "Été 1.jpg").write_bytes(b"1")
    hints.until("sub/Été 1.jpg")
    (root / "a.jpg").rename(root / "b.jpg")
    hints.until("a.jpg", "b.jpg")
    (root / "b.jpg").unlink()
    hints.until("b.jpg")


def test_a_folder_that_is_moved_is_named(root: Path):
    """A folder moved out or in gives its own key; what happens in it afterwards is seen, where it is in."""
    outside = root.parent / "outside"
    (outside / "deep").mkdir(parents=True)
    hints = Hints(root)
    outside.rename(root / "inside")
    hints.until("inside")
    (root / "inside" / "deep" / "a.jpg").write_bytes(b"1")
    hints.until("inside/deep/a.jpg")
    (root / "inside").rename(outside)
    hints.until("inside")


def test_a_link_beside_a_folder_does_not_hide_it(root: Path):
    """Where symbolic links lead to a folder of the source, changes there are those of the folder itself."""
    (root / "2026").mkdir()
    for number in range(9):
        (root / f"link {number}").symlink_to(root / "2026")
    hints = Hints(root)
    (root / "2026" / "a.jpg").write_bytes(b"1")
    assert hints.until("2026/a.jpg") == {"2026/a.jpg"}


def test_what_lies_outside_has_no_key(root: Path):
    """Changes behind a link that leads out of the folder are none of its keys."""
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "out").symlink_to(outside)
    hints = Hints(root)
    (outside / "a.jpg").write_bytes(b"1")
    (root / "b.jpg").write_bytes(b"1")
    assert hints.until("b.jpg") == {"b.jpg"}


def test_a_large_burst_counts_as_a_loss(root: Path):
    """So many changes at once that the system's queue may have overflowed: all is to be looked at."""
    hints = Hints(root)
    for number in range(BURST + 100):
        (root / str(number)).touch()
    hints.until_lost()
    (root / "after.jpg").touch()
    hints.until("after.jpg")


def test_a_name_that_is_no_text_counts_as_a_loss(root: Path):
    """A file whose name is not UTF-8 breaks the watch: that is said, and a new one is set."""
    hints = Hints(root)
    try:
        Path(os.fsdecode(os.fsencode(root) + b"/\xff.jpg")).touch()
    except OSError:
        pytest.skip("this file system holds no such names")
    hints.until_lost()
    hints.until_lost()
    (root / "after.jpg").touch()
    hints.until("after.jpg")


# In a process of its own: a limit on descriptors would hit the servers that other tests run as threads of this one.
WITHOUT_DESCRIPTORS = """
import resource, sys
from thumbsmith.bulk.changes import changes

tries = changes(sys.argv[1], lambda: False)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
try:
    told = [next(tries), next(tries)]
finally:
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(told)
"""


def test_a_watch_that_cannot_be_set_counts_as_a_loss(root: Path):
    """Where the system has no watch to give, that is said instead."""
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT_DESCRIPTORS, root], capture_output=True, text=True, timeout=DEADLINE, check=True
    )
    assert told.stdout == "[None, frozenset()]\n", told.stderr


def test_who_has_stopped_is_told_no_more(root: Path):
    """Changes end once they are not wanted any more."""
    hints = Hints(root)
    hints.stopped = True
    assert not [each for each in hints.changes if each]


def test_a_folder_whose_name_is_no_text_is_never_watched(root: Path):
    """Of a folder whose own path is not UTF-8 it is said again and again that anything may have happened."""
    odd = Path(os.fsdecode(os.fsencode(root) + b"/\xff"))
    try:
        odd.mkdir()
    except OSError:
        pytest.skip("this file system holds no such names")
    tries = changes(str(odd), lambda: False)
    assert next(tries) is None
    assert next(tries) == frozenset()


def test_another_folder_in_its_place_counts_as_a_loss(root: Path):
    """Where the folder is exchanged for another one of the same path, the new one is watched."""
    (root.parent / "new").mkdir()
    hints = Hints(root)
    root.rename(root.parent / "old")
    (root.parent / "new").rename(root)
    hints.until_lost()
    (root / "a.jpg").touch()
    hints.until("a.jpg")


def test_a_folder_that_is_gone_ends_it(root: Path):
    """Without the folder there is nothing to follow: an error, not an empty folder, which would cost all thumbnails."""
    hints = Hints(root)
    root.rmdir()
    with pytest.raises(StoreError, match="photos: No such file or directory") as raised:
        hints.until_lost()
    assert not raised.value.transient


def test_stopping_ends_it(root: Path):
    """Once stopped, nothing more is said."""
    hints = Hints(root)
    hints.stopped = True
    assert list(hints.changes) == []


def test_only_folders_are_watched(root: Path):
    """A folder has a path to watch; any other store is refused in one sentence."""
    assert watched_folder(open_store(root)) == str(root)
    with pytest.raises(UsageError, match="memory://photos: only a folder can be watched"):
        watched_folder(open_store("memory://photos"))


def test_a_switched_link_loses_nothing(root: Path):
    """Where a link in the path is switched, everything may have changed; then the new folder's files are named."""
    for name in ("1", "2"):
        (root / name / "photos").mkdir(parents=True)
    (root / "current").symlink_to("1")
    hints = Hints(root / "current" / "photos")
    (root / "1" / "photos" / "a.jpg").write_bytes(b"1")
    hints.until("a.jpg")
    (root / "next").symlink_to("2")
    (root / "next").rename(root / "current")
    hints.until_lost()
    (root / "2" / "photos" / "b.jpg").write_bytes(b"1")
    hints.until("b.jpg")


def test_a_folder_made_anew_loses_nothing(root: Path):
    """A folder that is removed and made again at once is watched anew, also where it gets the same inode number."""
    hints = Hints(root)
    root.rmdir()
    root.mkdir()
    hints.until_lost()
    (root / "a.jpg").write_bytes(b"1")
    hints.until("a.jpg")


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is that of inotify")
def test_without_watches_it_is_polled_and_reported(root: Path):
    """A process that gets no inotify instance: everything is looked at again and again, and one sentence says so."""
    script = (
        "import ctypes, itertools, sys; from thumbsmith.bulk.changes import changes, PAUSE\n"
        "import thumbsmith.bulk.changes as module; module.PAUSE = 0.2\n"
        "libc = ctypes.CDLL(None); import watchfiles\n"
        "while libc.inotify_init() != -1: pass\n"
        "told = []; rounds = (each for each in changes(sys.argv[1], lambda: False, told.append) if each is None)\n"
        "print(len(list(itertools.islice(rounds, 3))), len(told), told[0])"
    )
    soft = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
    ran = subprocess.run(
        [sys.executable, "-c", soft + script, str(root)], capture_output=True, text=True, check=False, timeout=DEADLINE
    )
    assert (ran.returncode, ran.stdout.split()[:2]) == (0, ["3", "1"]), ran.stderr
    assert f"{root}: changes cannot be watched (" in ran.stdout
    assert "all of it is looked at every 0 seconds" in ran.stdout
