"""The manifest cache: its file may be lost, damaged and shared."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thumbsmith.bulk.manifest_cache import CachedManifest, ManifestCache, ManifestShape, cache_file

SHAPE = ManifestShape(recipe="r", limits="l", format="jpeg", alpha=False, renditions=(("icon.webp", "f"),))
CACHED = CachedManifest(
    etag="m",
    shape=SHAPE,
    source_etag="s",
    source_bytes=7,
    source_sha256="0a",
    objects="icon.webp\te\t1\nmanifest.json\tm\t2",
    altered=(("icon.webp", "x"),),
)
UNREADABLE = CachedManifest(etag="m")
REJECTED = CachedManifest(
    etag="m",
    shape=ManifestShape(recipe="r", limits="l", rejection=("corrupt", "damaged")),
    source_etag="s",
    objects="manifest.json\tm\t2",
)


def _read(path: Path | None, *keys: str) -> dict[str, CachedManifest]:
    with ManifestCache(path) as cache:
        return cache.get_many(keys)


def _fill(path: Path) -> None:
    with ManifestCache(path) as cache:
        cache.put_many({"a": CACHED, "b\udcff\0": UNREADABLE, "é": REJECTED})


def test_a_later_run_reads_what_was_stored(tmp_path: Path):
    """Another run reads the same manifests, under any key that a file can have."""
    path = tmp_path / "new" / "folder" / "cache"
    _fill(path)
    expected = {"a": CACHED, "b\udcff\0": UNREADABLE, "é": REJECTED}
    assert _read(path, "a", "b\udcff\0", "z", "é") == expected
    assert path.parent.stat().st_mode & 0o077 == 0


def test_rows_of_deleted_keys_are_deleted(tmp_path: Path):
    """A row between two keys of one request belongs to a deleted key; it is deleted."""
    _fill(tmp_path / "cache")
    with ManifestCache(tmp_path / "cache") as cache:
        assert cache.get_many(["a", "é"]).keys() == {"a", "é"}
        cache.put_many({})
    assert _read(tmp_path / "cache", "a", "b\udcff\0", "é").keys() == {"a", "é"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"no database" * 999),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096)),
        lambda path: _execute(path, "PRAGMA user_version = 99"),
        lambda path: _execute(path, "DROP TABLE record"),
        lambda path: _execute(path, "UPDATE facts SET content = 'no JSON' || id"),
        lambda path: _execute(path, "DELETE FROM facts"),
        lambda path: _execute(path, "UPDATE record SET altered = '[7]'"),
    ],
)
def test_a_damaged_file_is_replaced(spoil, tmp_path: Path):
    """A file that is damaged, or no cache of this version, counts as empty and is replaced."""
    path = tmp_path / "cache"
    _fill(path)
    spoil(path)
    assert _read(path, "a", "é").get("a") is None
    _fill(path)
    assert _read(path, "a", "é") == {"a": CACHED, "é": REJECTED}


def _execute(path: Path, statement: str) -> None:
    database = sqlite3.connect(path)
    with database:
        database.execute(statement)
    database.close()


@settings(max_examples=60)
@given(place=st.integers(0, 100_000), byte=st.integers(0, 255))
def test_a_changed_byte_raises_no_exception(place: int, byte: int, tmp_path_factory: pytest.TempPathFactory):
    """No exception is raised, whichever byte of the file is changed."""
    path = tmp_path_factory.mktemp("flipped") / "cache"
    _fill(path)
    content = bytearray(path.read_bytes())
    content[place % len(content)] = byte
    path.write_bytes(content)
    with ManifestCache(path) as cache:
        cached = cache.get_many(["a", "é"])
        cache.put_many({"a": CACHED})
        cache.get_many(["a", "é"])
    for key, manifest in cached.items():
        try:
            manifest.as_manifest(key)
        except (ValueError, KeyError):
            continue


def test_without_a_writable_file_the_cache_is_temporary(tmp_path: Path):
    """Without a file, or if none can be written, the cache starts empty and works for one run."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (None, tmp_path / "file" / "cache", tmp_path / "folder"):
        with ManifestCache(path) as cache:
            cache.put_many({"a": CACHED})
            assert cache.get_many(["a"]) == {"a": CACHED}
        assert _read(path, "a") == {}


def test_two_runs_at_once(tmp_path: Path):
    """Two runs can use the same file; each reads what the other stored."""
    path = tmp_path / "cache"
    with ManifestCache(path) as one, ManifestCache(path) as other:
        one.put_many({"a": CACHED})
        other.put_many({"b": UNREADABLE})
        one.put_many({"c": REJECTED})
        assert (
            one.get_many(["a", "b", "c"])
            == other.get_many(["a", "b", "c"])
            == {"a": CACHED, "b": UNREADABLE, "c": REJECTED}
        )


def test_a_locked_file_is_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """While another process locks the file, nothing is stored or read, and the file is not replaced."""
    monkeypatch.setattr("thumbsmith.bulk.manifest_cache._LOCK_TIMEOUT_SECONDS", 0.05)
    path = tmp_path / "cache"
    _fill(path)
    with ManifestCache(path) as cache:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        cache.put_many({"z": CACHED})
        assert cache.get_many(["a"]) == {}
        assert _read(path, "a") == {}
        other.execute("ROLLBACK")
        other.close()
    assert _read(path, "a", "z") == {"a": CACHED}


def test_each_pair_of_stores_has_its_own_file(tmp_path: Path):
    """The name of the file depends on both stores and their order. Without a folder there is no file."""
    names = {cache_file(str(tmp_path), *urls) for urls in (("a", "b"), ("b", "a"), ("a", "bc"), ("\udcff", "b"))}
    assert len(names) == 4
    assert cache_file(None, "a", "b") is None
