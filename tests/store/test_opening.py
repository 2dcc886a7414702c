"""Addresses, missing roots, and stores that share objects."""

import errno
import os
import socket
from pathlib import Path

import pytest

from tests.store.contract import HEADERS
from thumbsmith.errors import StoreError
from thumbsmith.store import open_store
from thumbsmith.store.base import printable_key
from thumbsmith.store.os_errors import translate_os_errors


@pytest.mark.parametrize("name", ["photos", "a:b", "C:\\photos", "x y#1?%41", "./s3:/bucket", "Été", "a~b", "-x", "s3"])
def test_paths_are_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A path with a colon in it is still a path; a relative one is relative to the working folder."""
    monkeypatch.chdir(tmp_path)
    assert open_store(name).url == str(tmp_path.resolve() / name)


@pytest.mark.parametrize("name", ["photos", "a:b", "C:\\photos", "Été", "~there/x", "there:/x"])
def test_path_objects_are_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A Path is a folder too; one that looks like another address is accepted if the folder exists."""
    monkeypatch.chdir(tmp_path)
    Path("~there").mkdir()
    Path("there:").mkdir()
    assert open_store(Path(name)).url == open_store(name).url == str(tmp_path.resolve() / name)


@pytest.mark.parametrize(
    ("address", "found"),
    [
        *((slip, "an address without its ://") for slip in ("s3:/x", "s3//x", "s3:x", "S3:/x", "s3:", "gs:/b", "az:b")),
        *(
            (slip, "an address without its ://")
            for slip in ("file:/x", "http:/h/x", "https:h", "memory:a", "arn:aws:s3")
        ),
        *((slip, "a place on another machine") for slip in ("nas:/photos", "me@nas:/photos", "word:/x")),
        *((slip, "a home folder, which only a shell resolves") for slip in ("~", "~/photos", "~me/photos", "~me")),
        ("-", "a dash, which means standard input or output"),
    ],
)
def test_probable_mistakes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, found: str
) -> None:
    """An address that was probably meant otherwise is no folder, as text or as a Path, and nothing is created."""
    monkeypatch.chdir(tmp_path)
    for given in {address, Path(address) if str(Path(address)) == address else address}:
        with pytest.raises(StoreError) as raised:
            open_store(given)
        assert str(raised.value).startswith(f"{address}: expected a folder's path, file:///PATH, s3://BUCKET/PREFIX")
        assert f", found {found}" in str(raised.value)
        assert not raised.value.transient
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "pipe", "device", "socket"])
def test_a_source_that_is_no_folder(tmp_path: Path, kind: str) -> None:
    """A file, a pipe, a device or a socket in place of the folder: one sentence, at once, and permanent."""
    path = tmp_path / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    else:
        path = Path(os.devnull) if kind == "device" else path
        path.touch()
    store = open_store(path)
    with pytest.raises(StoreError, match="Not a directory: expected a folder, found another kind of file") as raised:
        store.check_reachable()
    assert not raised.value.transient
    with pytest.raises(StoreError, match="Not a directory"):
        list(store.as_destination().list())


def test_file_addresses_are_folders(tmp_path: Path) -> None:
    """A file:// address is the absolute path of a folder, percent-encoded."""
    assert open_store((tmp_path / "Été 1").as_uri()).url == str(tmp_path.resolve() / "Été 1")
    assert open_store(f"FILE://localhost{tmp_path}/b%FF").url == str(tmp_path.resolve() / os.fsdecode(b"b\xff"))


def test_a_memory_store_is_one_for_its_name() -> None:
    """Opening a memory store by the same name returns the same store."""
    assert open_store("memory://a") is open_store("memory://a")
    assert open_store("memory://a") is not open_store("memory://b")
    assert open_store("memory://a").url == "memory://a"


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        (
            "ftp://host",
            "ftp:// is no known store: give a folder's path, file:///PATH, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX,"
            " az://CONTAINER/PREFIX or memory://NAME",
        ),
        ("s3://", "s3://: expected s3:// and a bucket's name"),
        ("s3:///key", "s3:///key: expected s3:// and a bucket's name"),
        ("s3://two words/key", "s3://two words/key: expected s3:// and a bucket's name"),
        ("file://host/a", "file://host/a: expected file:/// and an absolute path"),
        ("file://", "file://: expected file:/// and an absolute path"),
        ("file:///a%00", "'/a\\x00': expected the path of a folder"),
        ("", "nothing: expected the path of a folder"),
    ],
)
def test_other_addresses_are_refused(address: str, sentence: str) -> None:
    """An invalid address is one sentence, and not transient."""
    with pytest.raises(StoreError) as raised:
        open_store(address)
    assert str(raised.value) == sentence
    assert raised.value.transient is False


def test_a_missing_root_is_empty_but_not_reachable(tmp_path: Path) -> None:
    """A destination that does not exist is empty; the first object creates it."""
    for store in (open_store(tmp_path / "a" / "b"), open_store(tmp_path / "c").as_destination()):
        assert store.head("a.jpg") is None
        assert store.open("a.jpg") is None
        assert list(store.children("a.jpg")) == list(store.list()) == []
        assert store.sweep() == 0
        store.delete("a.jpg")
        with pytest.raises(StoreError, match="No such file or directory") as raised:
            store.check_reachable()
        assert raised.value.transient is False
        assert not Path(store.url).exists()
        store.put("a.jpg", b"", HEADERS)
        store.check_reachable()


def test_a_root_that_is_a_file_is_a_failure(tmp_path: Path) -> None:
    """A root that is no folder is reported at once, by every method."""
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        store = open_store(root)
        for ask in (store.check_reachable, lambda store=store: list(store.list()), lambda store=store: store.head("a")):
            with pytest.raises(StoreError, match="Not a directory") as raised:
                ask()
            assert raised.value.transient is False


def test_overlapping_folders(tmp_path: Path) -> None:
    """Folders overlap where one is the other or in it, by path or by what the path leads to."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a/b")
    (tmp_path / "ab").mkdir()
    together = [
        ("a", "a"),
        ("a", "a/b"),
        ("a", "link"),
        ("a", "a/not/there"),
        ("link/x", "a"),
        ("", "not/there"),
        ("x", "x/y"),
    ]
    apart = [("a", "ab"), ("a/b", "a/c"), ("link", "ab"), ("a/b", "a/b2"), ("x", "y")]
    for one, other in together:
        assert open_store(tmp_path / one).overlaps(open_store(tmp_path / other))
        assert open_store(tmp_path / other).overlaps(open_store(tmp_path / one).as_destination())
    for one, other in apart:
        assert not open_store(tmp_path / one).overlaps(open_store(tmp_path / other))
        assert not open_store(tmp_path / other).overlaps(open_store(tmp_path / one))


def test_overlapping_memories(tmp_path: Path) -> None:
    """A store in memory overlaps only itself."""
    assert open_store("memory://a").overlaps(open_store("memory://a").as_destination())
    assert not open_store("memory://a").overlaps(open_store("memory://b"))
    assert not open_store("memory://a").overlaps(open_store(tmp_path))


@pytest.mark.parametrize(
    ("number", "transient"),
    [*((getattr(errno, name), True) for name in ("ENOSPC", "EDQUOT", "EMFILE", "EIO", "ESTALE", "EBUSY")),
     *((getattr(errno, name), False) for name in ("EACCES", "EPERM", "EROFS", "ENAMETOOLONG", "ELOOP", "EFBIG"))],
)  # fmt: skip
def test_failures_say_whether_to_try_again(number: int, transient: bool) -> None:
    """A full disk or a server may recover; a missing right stays missing."""
    with pytest.raises(StoreError) as raised, translate_os_errors("photos/a.jpg"):
        raise OSError(number, "words of the system")
    assert str(raised.value) == f"photos/a.jpg: {os.strerror(number)}"
    assert raised.value.transient is transient


def test_failures_are_one_line() -> None:
    """A key that would break a line, or is not UTF-8, is quoted."""
    assert printable_key("Été 1.jpg") == "Été 1.jpg"
    assert printable_key("a\nb\udcff") == "'a\\nb\\udcff'"
    with pytest.raises(StoreError, match=r"^a: something$"), translate_os_errors("a"):
        raise OSError("something")
