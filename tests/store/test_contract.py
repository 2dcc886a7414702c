"""Every store keeps the promises of the contract."""

from pathlib import Path

import pytest

from tests.store.contract import HEADERS, Contract, content_of
from thumbsmith.store import Store, open_store
from thumbsmith.store.memory import MemoryStore

AWKWARD = """a|a/|a//|a/b|A/b|/|//|/a|./a|../a|a/../../b|..|a\\..\\b|%|%/x|%41|%%41|%~|small.webp|small.webp/small.webp
SMALL.WEBP/small.webp|Small.webp/1|manifest.json/x|MANIFEST.JSON/y|.thumbsmith-x|.THUMBSMITH-X/y|é/1|e\u0301/1|ß/1|SS/1
\0|\0/x|\x01A/1|\x01a/1|\x85/x|\u2028/x"""
LONG = ("k" * 1024, "é" * 500 + "/small.webp", "K" * 90 + "/1.webp", "k" * 90 + "/1.webp")
ANY_KEYS = (*Contract.keys, *AWKWARD.replace("\n", "|").split("|"), *LONG, "a\nb")


class TestMemory(Contract):
    """The store in memory."""

    keys = ANY_KEYS

    @pytest.fixture
    def store(self) -> Store:
        """Return an empty store."""
        return MemoryStore("contract")

    def test_headers_are_kept(self, store: MemoryStore) -> None:
        """The headers of an object are stored."""
        store.put("a", b"", HEADERS)
        found = store.open("a")
        assert found is not None
        assert found.headers == HEADERS

    def test_bytes_are_the_stores_own(self, store: MemoryStore) -> None:
        """The store copies the bytes: a buffer that the caller writes to later does not change the object."""
        buffer = bytearray(b"abc")
        store.put("a", buffer, HEADERS)
        buffer[0] = 0
        assert content_of(store, "a") == b"abc"


class TestFolder(Contract):
    """A folder with the literal layout."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        """Return an empty store."""
        (tmp_path / "root").mkdir()
        return open_store(tmp_path / "root")

    @pytest.mark.parametrize(
        "key", ["", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a\0b", "\ud800", ".thumbsmith-a/b"]
    )
    def test_keys_without_a_file(self, store: Store, key: str) -> None:
        """A key that is no path below the root is missing, and nothing can be put under it."""
        assert store.head(key) is None
        assert store.open(key) is None
        assert list(store.children(key)) == []
        store.delete(key)
        with pytest.raises(Exception, match="no object can have this key") as raised:
            store.put(key, b"x", HEADERS)
        assert raised.value.transient is False

    def test_keys_are_paths(self, store: Store) -> None:
        """An object is the file at the path of its key."""
        for key in self.keys:
            store.put(key, key.encode(), HEADERS)
            assert Path(store.url, key).read_bytes() == key.encode()


class TestDestination(Contract):
    """A folder with the mapped layout, which holds every key."""

    keys = ANY_KEYS

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        """Return an empty store."""
        (tmp_path / "root").mkdir()
        return open_store(tmp_path / "root").as_destination()

    def test_order_of_writing_does_not_matter(self, store: Store) -> None:
        """Keys that need the same name are stored in any order, and deleting them leaves no file."""
        for key in reversed(self.keys):
            store.put(key, key.encode(), HEADERS)
        assert sorted(info.key for info in store.list()) == sorted(self.keys)
        assert all(content_of(store, key) == key.encode() for key in self.keys)
        for key in self.keys:
            store.delete(key)
        assert list(Path(store.url).iterdir()) == []

    @pytest.mark.parametrize("key", ["", "\ud800", "a/\udcff.jpg/small.webp"])
    def test_invalid_keys(self, store: Store, key: str) -> None:
        """An empty key, or one that is not UTF-8, is always missing and cannot be put."""
        assert store.head(key) is None
        assert store.open(key) is None
        assert list(store.children(key)) == []
        store.delete(key)
        with pytest.raises(Exception, match="no object can have this key") as raised:
            store.put(key, b"x", HEADERS)
        assert raised.value.transient is False
