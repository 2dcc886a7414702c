"""Changes in a real folder: the keys that are reported, and the reports that some may be missing."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from thumbsmith import open_store
from thumbsmith.bulk.changes import BURST_PATHS, changes, watched_folder
from thumbsmith.errors import StoreError, UsageError

DEADLINE = 60


class Reports:
    """The reports about a folder, which a test reads one by one."""

    def __init__(self, root: Path) -> None:
        """Start the watch; check that the first report is None."""
        self.stopped = False
        self.changes: Iterator[frozenset[str] | None] = changes(str(root), lambda: self.stopped)
        assert next(self.changes) is None

    def until(self, *keys: str) -> set[str]:
        """Read reports until they contained these keys; return all their keys."""
        seen: set[str] = set()
        deadline = time.monotonic() + DEADLINE
        while not seen.issuperset(keys):
            changed = next(self.changes)
            assert changed is not None
            assert time.monotonic() < deadline, seen
            seen |= changed
        return seen

    def until_lost(self) -> None:
        """Read reports until one says that changes may have been missed."""
        deadline = time.monotonic() + DEADLINE
        while next(self.changes) is not None:
            assert time.monotonic() < deadline


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return an empty folder, by its real path."""
    folder = Path(os.path.realpath(tmp_path)) / "photos"
    folder.mkdir()
    return folder


def test_changed_files_are_reported(root: Path):
    """The keys of new, replaced, renamed and deleted files are reported, also in new folders."""
    reports = Reports(root)
    (root / "a.jpg").write_bytes(b"1")
    reports.until("a.jpg")
    (root / "sub").mkdir()
    reports.until("sub")
    (root / "sub" / "Été 1.jpg").write_bytes(b"1")
    reports.until("sub/Été 1.jpg")
    (root / "a.jpg").rename(root / "b.jpg")
    reports.until("a.jpg", "b.jpg")
    (root / "b.jpg").unlink()
    reports.until("b.jpg")


def test_a_moved_folder_is_reported(root: Path):
    """The key of a folder that is moved in or out is reported; after a move in, changes in it are too."""
    outside = root.parent / "outside"
    (outside / "deep").mkdir(parents=True)
    reports = Reports(root)
    outside.rename(root / "inside")
    reports.until("inside")
    (root / "inside" / "deep" / "a.jpg").write_bytes(b"1")
    reports.until("inside/deep/a.jpg")
    (root / "inside").rename(outside)
    reports.until("inside")


def test_a_link_beside_a_folder_does_not_hide_it(root: Path):
    """If symbolic links lead to a folder of the source, its changes are reported under the folder's key."""
    (root / "2026").mkdir()
    for number in range(9):
        (root / f"link {number}").symlink_to(root / "2026")
    reports = Reports(root)
    (root / "2026" / "a.jpg").write_bytes(b"1")
    assert reports.until("2026/a.jpg") == {"2026/a.jpg"}


def test_a_file_outside_the_folder_has_no_key(root: Path):
    """Changes behind a link that leads out of the folder are not reported."""
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "out").symlink_to(outside)
    reports = Reports(root)
    (outside / "a.jpg").write_bytes(b"1")
    (root / "b.jpg").write_bytes(b"1")
    assert reports.until("b.jpg") == {"b.jpg"}


def test_a_large_burst_counts_as_a_loss(root: Path):
    """If the system's queue may have overflowed, None is reported."""
    reports = Reports(root)
    for number in range(BURST_PATHS + 100):
        (root / str(number)).touch()
    reports.until_lost()
    (root / "after.jpg").touch()
    reports.until("after.jpg")


def test_a_name_that_is_no_text_counts_as_a_loss(root: Path):
    """A file name that is not UTF-8 ends the watch: None is reported, and a new watch starts."""
    reports = Reports(root)
    try:
        Path(os.fsdecode(os.fsencode(root) + b"/\xff.jpg")).touch()
    except OSError:
        pytest.skip("this file system holds no such names")
    reports.until_lost()
    reports.until_lost()
    (root / "after.jpg").touch()
    reports.until("after.jpg")


# In a process of its own: a limit on descriptors would hit the servers that other tests run as threads of this one.
WITHOUT_DESCRIPTORS = """
import resource, sys
from thumbsmith.bulk.changes import changes

tries = changes(sys.argv[1], lambda: False)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
try:
    reports = [next(tries), next(tries)]
finally:
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(reports)
"""


def test_a_watch_that_cannot_start_counts_as_a_loss(root: Path):
    """If the system refuses a watch, None is reported instead."""
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_DESCRIPTORS, root], capture_output=True, text=True, timeout=DEADLINE, check=True
    )
    assert ran.stdout == "[None, frozenset()]\n", ran.stderr


def test_a_stop_ends_the_changes(root: Path):
    """After a stop no further key is reported."""
    reports = Reports(root)
    reports.stopped = True
    assert not [each for each in reports.changes if each]


def test_a_folder_whose_name_is_no_text_is_never_watched(root: Path):
    """For a folder whose path is not UTF-8, None is reported again and again."""
    odd = Path(os.fsdecode(os.fsencode(root) + b"/\xff"))
    try:
        odd.mkdir()
    except OSError:
        pytest.skip("this file system holds no such names")
    tries = changes(str(odd), lambda: False)
    assert next(tries) is None
    assert next(tries) == frozenset()


def test_another_folder_in_its_place_counts_as_a_loss(root: Path):
    """If another folder replaces the folder at the same path, None is reported and the new one is watched."""
    (root.parent / "new").mkdir()
    reports = Reports(root)
    root.rename(root.parent / "old")
    (root.parent / "new").rename(root)
    reports.until_lost()
    (root / "a.jpg").touch()
    reports.until("a.jpg")


def test_a_missing_folder_is_an_error(root: Path):
    """A missing folder is an error. It does not count as empty, which would delete all thumbnails."""
    reports = Reports(root)
    root.rmdir()
    with pytest.raises(StoreError, match="photos: No such file or directory") as raised:
        reports.until_lost()
    assert not raised.value.transient


def test_a_stop_ends_the_reports(root: Path):
    """After a stop nothing more is reported."""
    reports = Reports(root)
    reports.stopped = True
    assert list(reports.changes) == []


def test_only_folders_are_watched(root: Path):
    """A folder can be watched; any other store is refused with one sentence."""
    assert watched_folder(open_store(root)) == str(root)
    with pytest.raises(UsageError, match="memory://photos: only a folder can be watched"):
        watched_folder(open_store("memory://photos"))


def test_a_switched_link_loses_nothing(root: Path):
    """If a link in the path changes, None is reported, and then the changes in the new folder."""
    for name in ("1", "2"):
        (root / name / "photos").mkdir(parents=True)
    (root / "current").symlink_to("1")
    reports = Reports(root / "current" / "photos")
    (root / "1" / "photos" / "a.jpg").write_bytes(b"1")
    reports.until("a.jpg")
    (root / "next").symlink_to("2")
    (root / "next").rename(root / "current")
    reports.until_lost()
    (root / "2" / "photos" / "b.jpg").write_bytes(b"1")
    reports.until("b.jpg")


def test_a_folder_that_is_created_again_loses_nothing(root: Path):
    """A folder that is deleted and created again is watched again, even if it gets the same inode number."""
    reports = Reports(root)
    root.rmdir()
    root.mkdir()
    reports.until_lost()
    (root / "a.jpg").write_bytes(b"1")
    reports.until("a.jpg")


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is that of inotify")
def test_without_watches_it_is_polled_and_reported(root: Path):
    """If a process gets no inotify instance, None is reported again and again, and one sentence explains it."""
    script = (
        "import ctypes, itertools, sys; from thumbsmith.bulk.changes import changes, RESTART_SECONDS\n"
        "import thumbsmith.bulk.changes as module; module.RESTART_SECONDS = 0.2\n"
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
    assert "all of it is scanned every 0 seconds" in ran.stdout
