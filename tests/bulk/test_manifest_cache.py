"""The index: a cache that may be lost, damaged and shared."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thumbsmith.bulk.manifest_cache import CachedManifest, ManifestCache, ManifestShape, cache_file

FACTS = ManifestShape(recipe="r", limits="l", format="jpeg", alpha=False, renditions=(("icon.webp", "f"),))
RECORD = CachedManifest(
    manifest="m",
    facts=FACTS,
    source="s",
    size=7,
    sha256="0a",
    objects="icon.webp\te\t1\nmanifest.json\tm\t2",
    altered=(("icon.webp", "x"),),
)
UNREADABLE = CachedManifest(manifest="m")
REJECTED = CachedManifest(
    manifest="m",
    facts=ManifestShape(recipe="r", limits="l", rejection=("corrupt", "damaged")),
    source="s",
    objects="manifest.json\tm\t2",
)


def _remembered(path: Path | None, *keys: str) -> dict[str, CachedManifest]:
    with ManifestCache(path) as index:
        return index.get_many(keys)


def _filled(path: Path) -> None:
    with ManifestCache(path) as index:
        index.put_many({"a": RECORD, "b\udcff\0": UNREADABLE, "é": REJECTED})


def test_what_is_remembered_is_recalled(tmp_path: Path):
    """Another run recalls the same records, under any key that a file may have."""
    path = tmp_path / "new" / "folder" / "index"
    _filled(path)
    wanted = {"a": RECORD, "b\udcff\0": UNREADABLE, "é": REJECTED}
    assert _remembered(path, "a", "b\udcff\0", "z", "é") == wanted
    assert path.parent.stat().st_mode & 0o077 == 0


def test_records_of_keys_that_are_gone_are_dropped(tmp_path: Path):
    """A record between two keys that are asked for together is of a key that is gone; it is dropped."""
    _filled(tmp_path / "index")
    with ManifestCache(tmp_path / "index") as index:
        assert index.get_many(["a", "é"]).keys() == {"a", "é"}
        index.put_many({})
    assert _remembered(tmp_path / "index", "a", "b\udcff\0", "é").keys() == {"a", "é"}


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
def test_what_is_damaged_is_made_anew(spoil, tmp_path: Path):
    """A file that is no index of this version, or is damaged, is as good as none; soon there is a sound one again."""
    path = tmp_path / "index"
    _filled(path)
    spoil(path)
    assert _remembered(path, "a", "é").get("a") is None
    _filled(path)
    assert _remembered(path, "a", "é") == {"a": RECORD, "é": REJECTED}


def _execute(path: Path, statement: str) -> None:
    database = sqlite3.connect(path)
    with database:
        database.execute(statement)
    database.close()


@settings(max_examples=60)
@given(place=st.integers(0, 100_000), byte=st.integers(0, 255))
def test_a_flipped_byte_stops_nothing(place: int, byte: int, tmp_path_factory: pytest.TempPathFactory):
    """Whichever byte of the file is another one, no exception comes out."""
    path = tmp_path_factory.mktemp("flipped") / "index"
    _filled(path)
    content = bytearray(path.read_bytes())
    content[place % len(content)] = byte
    path.write_bytes(content)
    with ManifestCache(path) as index:
        records = index.get_many(["a", "é"])
        index.put_many({"a": RECORD})
        index.get_many(["a", "é"])
    for key, record in records.items():
        try:
            record.as_manifest(key)
        except (ValueError, KeyError):
            continue


def test_where_nothing_can_be_written_nothing_is_remembered(tmp_path: Path):
    """Without a file, or where there can be none, the index is empty and takes what it is given."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (None, tmp_path / "file" / "index", tmp_path / "folder"):
        with ManifestCache(path) as index:
            index.put_many({"a": RECORD})
            assert index.get_many(["a"]) == {"a": RECORD}
        assert _remembered(path, "a") == {}


def test_two_runs_at_once(tmp_path: Path):
    """Two runs may hold the same file; what each remembers is there for both."""
    path = tmp_path / "index"
    with ManifestCache(path) as one, ManifestCache(path) as other:
        one.put_many({"a": RECORD})
        other.put_many({"b": UNREADABLE})
        one.put_many({"c": REJECTED})
        assert (
            one.get_many(["a", "b", "c"])
            == other.get_many(["a", "b", "c"])
            == {"a": RECORD, "b": UNREADABLE, "c": REJECTED}
        )


def test_a_file_that_is_locked_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """While somebody else has the file, nothing is remembered or recalled, and it is not damaged."""
    monkeypatch.setattr("thumbsmith.bulk.manifest_cache._WAIT_SECONDS", 0.05)
    path = tmp_path / "index"
    _filled(path)
    with ManifestCache(path) as index:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        index.put_many({"z": RECORD})
        assert index.get_many(["a"]) == {}
        assert _remembered(path, "a") == {}
        other.execute("ROLLBACK")
        other.close()
    assert _remembered(path, "a", "z") == {"a": RECORD}


def test_each_pair_of_stores_has_a_file(tmp_path: Path):
    """The file's name tells stores apart, also in which is which; without a folder there is no file."""
    names = {cache_file(str(tmp_path), *urls) for urls in (("a", "b"), ("b", "a"), ("a", "bc"), ("\udcff", "b"))}
    assert len(names) == 4
    assert cache_file(None, "a", "b") is None
