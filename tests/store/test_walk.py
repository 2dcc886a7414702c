"""Listings of folders of any depth and width."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.contract import HEADERS
from thumbsmith.store import open_store


def nest(root: Path, depth: int) -> None:
    """Create a folder in a folder in a folder: deeper than a path can be long."""
    here = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("a.jpg", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)


def flatten(root: Path) -> None:
    """Remove the folders of `nest` from the top: the cleanup of pytest cannot."""
    while (root / "d" / "d").exists():
        (root / "d" / "d").rename(root / "e")
        (root / "d").rmdir()
        (root / "e").rename(root / "d")


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """Allow a hundred more open files than now: many shells allow 256 for all tests together."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors() + 100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def descriptors() -> int:
    """Return the number of open files."""
    return len([*Path("/dev/fd").iterdir()])


@pytest.mark.usefixtures("few_descriptors")
def test_depth_is_no_limit(tmp_path: Path) -> None:
    """A file 5,000 folders deep is listed."""
    nest(tmp_path, 5000)
    try:
        before = descriptors()
        assert [info.key for info in open_store(tmp_path).list()] == ["d/" * 5000 + "a.jpg"]
        assert descriptors() == before
    finally:
        flatten(tmp_path)


@pytest.mark.usefixtures("few_descriptors")
@pytest.mark.parametrize("abandoned", [False, True])
def test_few_folders_are_open(tmp_path: Path, abandoned: bool) -> None:
    """Folders after a deep one are listed too, with few files open, and none when the caller stops early."""
    store = open_store(tmp_path).as_destination()
    keys = ["d/" * depth + f"{name}/small.webp" for depth in range(150) for name in "ax"]
    for key in keys:
        store.put(key, b"", HEADERS)
    before = descriptors()
    listing = store.list()
    next(listing)
    if abandoned:
        listing.close()
    else:
        assert len(list(listing)) == len(keys) - 1
    assert descriptors() == before


def test_folders_that_become_links_are_left_out(tmp_path: Path) -> None:
    """A folder that is replaced by a link to itself before the listing reaches it is left out."""
    for name in "xyz":
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").touch()
    listing = open_store(tmp_path).list()
    first = next(listing).key
    for name in "xyz".replace(first[0], ""):
        (tmp_path / name).rename(tmp_path / f"was-{name}")
        (tmp_path / name).symlink_to(f"was-{name}")
    assert list(listing) == []


def test_folders_that_vanish_from_far_above_are_left_out(tmp_path: Path) -> None:
    """A folder that was moved away during the listing is not searched for elsewhere."""
    here = tmp_path
    for _ in range(100):
        for name in ("e0", "e1", "e2", "d", "e3", "e4", "e5"):
            (here / name).mkdir()
        for number in range(6):
            (here / f"e{number}" / "a.jpg").touch()
        here /= "d"
    listing = open_store(tmp_path).list()
    next(info for info in listing if info.key.count("d/") > 95)
    (tmp_path / "d").rename(tmp_path / "was-d")
    assert not {info.key.count("d/") for info in listing} & set(range(1, 20))


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    """Such names in a source are listed as the system decodes them, and found by that text."""
    name = os.fsdecode(b"caf\xe9.jpg")
    (tmp_path / name).write_bytes(b"x")
    store = open_store(tmp_path)
    (found,) = store.list()
    assert found.key == name
    assert store.head(name) == found
    (foreign,) = store.as_destination().list()
    assert foreign.key not in {name, found.key}
    assert store.as_destination().head(name) is None


def test_hidden_names_are_listed(tmp_path: Path) -> None:
    """Files whose names begin with a dot are objects: the recipe decides whether they are sources."""
    (tmp_path / ".a").mkdir()
    (tmp_path / ".a" / ".b.jpg").touch()
    assert [info.key for info in open_store(tmp_path).list()] == [".a/.b.jpg"]
