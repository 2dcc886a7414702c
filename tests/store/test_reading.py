"""A reader reads one version or reports that it is replaced; an etag identifies one version."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from thumbsmith.errors import SourceChanged, StoreError
from thumbsmith.store import OpenObject, Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a source with one file."""
    (tmp_path / "a.jpg").write_bytes(b"old" * 1000)
    os.utime(tmp_path / "a.jpg", ns=(1, 1))
    return open_store(tmp_path)


def opened(store: Store) -> OpenObject:
    """Return a reader over the file."""
    reader = store.open("a.jpg")
    assert reader is not None
    return reader


def rewrite(path: Path) -> None:
    """Write other bytes of the same number."""
    path.write_bytes(b"new" * 1000)


def append(path: Path) -> None:
    """Write more bytes after the end."""
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    """Truncate the file."""
    os.truncate(path, 10)


def rewrite_in_disguise(path: Path) -> None:
    """Write other bytes of the same number, and set the time back."""
    path.write_bytes(b"new" * 1000)
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [rewrite, append, shrink, rewrite_in_disguise])
def test_a_file_written_to_is_another_version(store: Store, tmp_path: Path, change: object) -> None:
    """A reader of a file that was written to in place reports it, also where size and times were set back."""
    reader = opened(store)
    assert reader.read(0, 3) == b"old"
    change(tmp_path / "a.jpg")
    for _ in range(2):
        with pytest.raises(SourceChanged, match=r"^a\.jpg: written to while it was read$") as raised:
            reader.read(0, 3)
    assert raised.value.transient
    found = store.head("a.jpg")
    assert found is not None
    assert found.etag != reader.info.etag
    reader.close()


@pytest.mark.parametrize("replace", [os.replace, shutil.copy2])
def test_a_replaced_file_has_another_etag(store: Store, tmp_path: Path, replace: object) -> None:
    """An etag changes with the version, also where a file of the same size and time replaces it."""
    reader = opened(store)
    (tmp_path / "b").write_bytes(b"new" * 1000)
    os.utime(tmp_path / "b", ns=(1, 1))
    replace(tmp_path / "b", tmp_path / "a.jpg")
    found = store.head("a.jpg")
    assert found is not None
    assert found.etag != reader.info.etag
    reader.close()


def test_a_replaced_file_is_read_to_its_end(store: Store, tmp_path: Path) -> None:
    """A file that is replaced by a rename, or removed, can still be read through an open reader."""
    reader = opened(store)
    (tmp_path / "b").write_bytes(b"new")
    (tmp_path / "b").rename(tmp_path / "a.jpg")
    assert reader.read(0, 3000) == b"old" * 1000
    (tmp_path / "a.jpg").unlink()
    assert reader.read(2997, 30) == b"old"
    reader.close()


def test_an_unchanged_file_keeps_its_etag(store: Store) -> None:
    """Head, list and open return the same etag."""
    reader = opened(store)
    reader.read(0, 10)
    reader.close()
    assert [info.etag for info in store.list()] == [reader.info.etag]
    assert [store.head("a.jpg")] == [reader.info]


def test_a_reader_that_was_closed_reads_nothing(store: Store) -> None:
    """A read after close is an error of the caller, and raises as one."""
    reader = opened(store)
    reader.close()
    with pytest.raises(ValueError, match="closed file"):
        reader.read(0, 1)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that is there and cannot be read")
def test_a_read_that_fails_is_a_failure() -> None:
    """An error of the system during a read names the key."""
    reader = open_store("/proc/self").open("mem")
    assert reader is not None
    reader = replace(reader, info=replace(reader.info, size=1))  # it says 0
    with pytest.raises(StoreError, match=r"^mem: Input/output error$") as raised:
        reader.read(0, 1)
    assert raised.value.transient
    reader.close()
