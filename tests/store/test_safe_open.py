"""Nothing outside of the root is read, written or removed, and only regular files are objects."""

import contextlib
import os
import shutil
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from tests.store.contract import HEADERS, content_of, unprivileged
from thumbsmith.errors import StoreError
from thumbsmith.store import Store, open_store
from thumbsmith.store.safe_open import DirectoryCache, locked, open_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder beside one that must not be touched."""
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    (tmp_path / "outside" / "small.webp").write_bytes(b"outside")
    (tmp_path / "outside" / "deep" / "small.webp").write_bytes(b"outside")
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture(params=["source", "destination"])
def store(root: Path, request: pytest.FixtureRequest) -> Store:
    """Return a store in that folder, in both layouts."""
    store = open_store(root)
    return store if request.param == "source" else store.as_destination()


def outside_is_whole(root: Path) -> bool:
    """Return whether the folder outside is unchanged."""
    outside = root.parent / "outside"
    files = {str(path.relative_to(outside)): path.read_bytes() for path in outside.rglob("*") if not path.is_dir()}
    return files == {"small.webp": b"outside", "deep/small.webp": b"outside"}


def test_linked_folders_are_no_folders(store: Store, root: Path) -> None:
    """A link to a folder is not followed: not to read, list, write or delete."""
    (root / "a.jpg").symlink_to(root.parent / "outside")
    (root / "b.jpg").symlink_to("../outside")
    (root / "loop").symlink_to("loop")
    keys = ("a.jpg/small.webp", "b.jpg/deep/small.webp", "a.jpg", "b.jpg/deep", "loop", "loop/small.webp")
    for key in keys:
        assert store.head(key) is None
        assert store.open(key) is None
        assert list(store.children(key)) == []
        store.delete(key)
    assert list(store.list()) == []
    for key in keys:
        with contextlib.suppress(StoreError):
            store.put(f"{key}/small.webp", b"ours", HEADERS)
        assert content_of(store, f"{key}/small.webp") in {None, b"ours"}
    assert outside_is_whole(root)


def test_special_files_are_no_objects(store: Store, root: Path) -> None:
    """A link to a file, a FIFO and a socket are no objects; opening never waits for the other end of a FIFO."""
    (root / "link.webp").symlink_to(root.parent / "outside" / "small.webp")
    (root / "dangling.webp").symlink_to("nowhere")
    os.mkfifo(root / "fifo.webp")
    here = os.open(".", os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(root)  # a socket's path may be 108 bytes long at most
        listener.bind("socket.webp")
        os.fchdir(here)
        os.close(here)
        for name in ("link.webp", "dangling.webp", "fifo.webp", "socket.webp"):
            assert store.head(name) is None
            assert store.open(name) is None
            store.delete(name)
            assert os.path.lexists(root / name)
        assert list(store.list()) == []
    store.put("link.webp", b"ours", HEADERS)
    assert content_of(store, "link.webp") == b"ours"
    assert outside_is_whole(root)


def test_hard_links_are_read_and_never_written_through(store: Store, root: Path) -> None:
    """A hard link is a file like any other; replacing it does not change its other name."""
    os.link(root.parent / "outside" / "small.webp", root / "small.webp")
    assert content_of(store, "small.webp") == b"outside"
    store.put("small.webp", b"ours", HEADERS)
    assert content_of(store, "small.webp") == b"ours"
    assert outside_is_whole(root)


def test_hard_links_that_differ_in_case(store: Store, root: Path) -> None:
    """Two names of one file are two objects, also where they differ only in case."""
    (root / "icon.webp").write_bytes(b"x")
    if not (root / "ICON.WEBP").exists():
        os.link(root / "icon.webp", root / "ICON.WEBP")
        assert store.head("ICON.WEBP") is not None
    assert store.head("icon.webp") is not None
    assert [info.key for info in store.list("icon")] == ["icon.webp"]


def test_a_root_may_be_a_link(root: Path, tmp_path: Path) -> None:
    """The root itself is resolved once, when the store is opened."""
    (tmp_path / "link").symlink_to(root)
    store = open_store(tmp_path / "link")
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("outside")
    store.put("a", b"x", HEADERS)
    assert (root / "a").read_bytes() == b"x"
    assert outside_is_whole(root)


def swap(folder: Path, outside: Path, stop: threading.Event) -> None:
    """Replace a folder by a link to another one and back, repeatedly."""
    while not stop.is_set():
        with contextlib.suppress(OSError):
            folder.rename(folder.with_name("aside"))
        with contextlib.suppress(OSError):
            folder.symlink_to(outside)
        with contextlib.suppress(OSError):
            folder.unlink()
        with contextlib.suppress(OSError):
            folder.with_name("aside").rename(folder)


def test_links_that_come_and_go(store: Store, root: Path) -> None:
    """A folder that becomes a link at any moment never leads outside."""
    stop = threading.Event()
    (root / "a.jpg").mkdir()
    swapper = threading.Thread(target=swap, args=(root / "a.jpg", root.parent / "outside", stop))
    swapper.start()
    try:
        for _ in range(300):
            for key in ("a.jpg/small.webp", "a.jpg/deep/small.webp"):
                with contextlib.suppress(StoreError):
                    store.put(key, b"ours", HEADERS)
                assert content_of(store, key) != b"outside"
                assert all(info.size != len(b"outside") for info in store.list())
                store.delete(key)
    finally:
        stop.set()
        swapper.join()
    assert outside_is_whole(root)
    assert {path.name for path in (root.parent / "outside").iterdir()} == {"small.webp", "deep"}


def test_unreadable_folders_fail_a_listing() -> None:
    """A folder that may not be read fails the listing, which names it: its files would seem to be deleted."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        root.chmod(0o755)
        (root / "open").mkdir()
        (root / "open" / "a.jpg").write_bytes(b"x")
        (root / "open" / "private").mkdir(mode=0o700)
        (root / "open" / "private").chmod(0)
        try:
            for store in (open_store(root), open_store(root).as_destination()):
                with unprivileged(), pytest.raises(StoreError, match=r"^open/private: Permission denied$") as raised:
                    list(store.list())
                assert raised.value.transient is False
                with unprivileged(), pytest.raises(StoreError, match=r"^open/private/small\.webp: Permission denied$"):
                    store.head("open/private/small.webp")
                with unprivileged(), pytest.raises(StoreError, match=r"^open/private/small\.webp: Permission denied$"):
                    store.open("open/private/small.webp")
            root.chmod(0)
            with unprivileged(), pytest.raises(StoreError, match="Permission denied"):
                open_store(root).check_reachable()
            with unprivileged(), pytest.raises(StoreError, match="Permission denied"):
                list(open_store(root).list())
        finally:
            root.chmod(0o755)
            (root / "open" / "private").chmod(0o755)


def test_files_that_may_not_be_read_fail() -> None:
    """A file that exists and may not be read is a failure, not a missing object."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        root.chmod(0o755)
        (root / "a.jpg").touch(mode=0)
        with unprivileged(), pytest.raises(StoreError, match=r"^a\.jpg: Permission denied$"):
            open_store(root).open("a.jpg")


def test_a_lock_excludes_other_threads(root: Path) -> None:
    """While a folder is locked no other thread gets its lock."""
    order: list[str] = []
    first, second = (open_root(str(root), DirectoryCache()) for _ in range(2))
    assert first is not None
    assert second is not None

    def wait() -> None:
        with locked(second):
            order.append("second")

    with first, second:
        with locked(first):
            waiting = threading.Thread(target=wait)
            waiting.start()
            waiting.join(0.2)
            order.append("first")
        waiting.join()
    assert order == ["first", "second"]


def test_folders_that_ignore_case_are_exact(store: Store, root: Path) -> None:
    """Also where the file system ignores case a key is found only by its exact spelling."""
    (root / "probe").touch()
    if not (root / "PROBE").exists():
        pytest.skip("this file system tells cases apart")
    (root / "probe").unlink()
    store.put("A.jpg/small.webp", b"x", HEADERS)
    assert store.head("a.jpg/small.webp") is None
    assert store.head("A.jpg/SMALL.webp") is None


def test_cached_entries_notice_changes(root: Path) -> None:
    """Cached entries are used until another process changes the folder."""
    cache = DirectoryCache()
    folder = open_root(str(root), cache)
    assert folder is not None
    with folder:
        cache.add(folder.fd, "not asked for before")
        assert cache.entries(folder.fd).names == set()
        (root / "É").mkdir()
        cache.add(folder.fd, "É")
        assert cache.entries(folder.fd).names == {"É"}
        (root / "b").mkdir()
        assert cache.entries(folder.fd).names == {"É", "b"}
        shutil.rmtree(root / "É")
        assert cache.entries(folder.fd).names == {"b"}
