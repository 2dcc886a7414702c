"""The promises of the contract of stores, as tests. A subclass has a `store` fixture and the keys that it can hold."""

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from thumbsmith.errors import UsageError
from thumbsmith.store import Headers, Store, refuse_overlap
from thumbsmith.store.memory import MemoryStore

HEADERS = Headers(content_type="image/webp")


def content_of(store: Store, key: str) -> bytes | None:
    """Return the bytes of an object, or None where it is missing."""
    reader = store.open(key)
    if reader is None:
        return None
    try:
        return reader.read(0, reader.size)
    finally:
        reader.close()


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Run the block without the right of the superuser to read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


class Contract:
    """Each test is a promise of the contract in store/base.py."""

    keys: tuple[str, ...] = ("a.jpg", "b/c.jpg/small.webp", "b/c.jpg/manifest.json", "b/Été 1 #%.jpg", "b/😀/-x", "c:d")

    @pytest.fixture
    def store(self) -> Store:
        """Return an empty store."""
        raise NotImplementedError

    def test_missing_objects_are_none(self, store: Store) -> None:
        """A missing object is no failure: head and open return None, delete does nothing."""
        for key in self.keys:
            assert store.head(key) is None
            assert store.open(key) is None
            store.delete(key)
            assert list(store.children(key)) == []
        assert list(store.list()) == []

    def test_put_objects_are_found(self, store: Store) -> None:
        """An object that was put is found by head, open and list, with the etag that put returned."""
        etags = {key: store.put(key, key.encode() * 3, HEADERS) for key in self.keys}
        for key, etag in etags.items():
            found = store.head(key)
            assert found is not None
            assert (found.key, found.etag, found.size) == (key, etag, len(key.encode()) * 3)
            assert content_of(store, key) == key.encode() * 3
        assert {info.key: info.etag for info in store.list()} == etags

    def test_each_object_is_listed_once(self, store: Store) -> None:
        """A listing contains every object once, however often it was put."""
        for key in (*self.keys, *self.keys):
            store.put(key, b"x", HEADERS)
        assert sorted(info.key for info in store.list()) == sorted(self.keys)

    def test_list_keeps_to_its_prefix(self, store: Store) -> None:
        """A prefix is compared as text, not by components."""
        for key in self.keys:
            store.put(key, b"", HEADERS)
        for prefix in {key[:length] for key in self.keys for length in range(len(key) + 2)} | {
            "zz",
            "b/c.jpg/small.webpx",
        }:
            assert {info.key for info in store.list(prefix)} == {key for key in self.keys if key.startswith(prefix)}

    def test_list_begins_after_a_key(self, store: Store) -> None:
        """A listing after a key, existing or not, contains the keys that are greater by their code points."""
        for key in self.keys:
            store.put(key, b"", HEADERS)
        for after in (*self.keys, "b", "zz"):
            assert {info.key for info in store.list(after=after)} == {key for key in self.keys if key > after}

    def test_children_are_direct(self, store: Store) -> None:
        """Children are the objects whose rest of the key has no further slash."""
        for key in self.keys:
            store.put(key, b"", HEADERS)
        for folder in {key.rpartition("/")[0] for key in self.keys if "/" in key} | set(self.keys):
            expected = {key for key in self.keys if "/" in key and key.rpartition("/")[0] == folder}
            assert {info.key for info in store.children(folder)} == expected

    def test_delete_removes_exactly_one(self, store: Store) -> None:
        """Delete removes one object, and none whose key begins with its key."""
        left = list(self.keys)
        for key in left:
            store.put(key, b"x", HEADERS)
        while left:
            store.delete(left.pop())
            assert sorted(info.key for info in store.list()) == sorted(left)

    def test_put_replaces(self, store: Store) -> None:
        """The last put counts, and its etag is another one."""
        first = store.put("b/a.jpg", b"first", HEADERS)
        second = store.put("b/a.jpg", b"second", HEADERS)
        found = store.head("b/a.jpg")
        assert found is not None
        assert found.etag == second != first
        assert content_of(store, "b/a.jpg") == b"second"

    @pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
    def test_reads_are_ranges(self, store: Store, size: int) -> None:
        """A read returns the bytes from the offset, fewer at the end of the object, none after it."""
        data = hashlib.shake_256(b"seed").digest(size)
        store.put("a.jpg", data, HEADERS)
        reader = store.open("a.jpg")
        assert reader is not None
        assert reader.size == reader.info.size == size
        ranges = [
            (0, size),
            (0, 0),
            (0, size + 10),
            (size // 2, 7),
            (size - 1, 5),
            (size, 5),
            (size + 5, 5),
            (0, 10**12),
        ]
        for offset, length in [each for each in ranges if each[0] >= 0]:
            assert reader.read(offset, length) == data[offset : offset + length]
        reader.close()
        reader.close()

    def test_reader_stays_on_its_version(self, store: Store) -> None:
        """A reader still reads the version that it was opened on after the object is replaced or deleted."""
        store.put("a.jpg", b"old" * 1000, HEADERS)
        reader = store.open("a.jpg")
        assert reader is not None
        store.put("a.jpg", b"new" * 1000, HEADERS)
        assert reader.read(0, 6) == b"oldold"
        store.delete("a.jpg")
        assert reader.read(3, 6) == b"oldold"
        reader.close()

    def test_listing_survives_changes(self, store: Store) -> None:
        """Objects that are deleted during a listing are no failure, and the others are listed."""
        for number in range(40):
            store.put(f"{number}/small.webp", b"", HEADERS)
        seen = []
        for info in store.list():
            seen.append(info.key)
            for number in range(0, 40, 2):
                store.delete(f"{number}/small.webp")
        assert {f"{number}/small.webp" for number in range(1, 40, 2)} <= set(seen)

    def test_destination_of_a_destination_is_the_same(self, store: Store) -> None:
        """The view of a destination as a destination is itself, and it has the same address."""
        destination = store.as_destination()
        assert destination.as_destination() is destination
        assert destination.url == store.url

    def test_sweep_spares_objects(self, store: Store) -> None:
        """A sweep finds nothing where no writer died."""
        for key in self.keys:
            store.put(key, b"x", HEADERS)
        assert store.sweep() == 0
        store.check_reachable()
        assert {info.key for info in store.list()} == set(self.keys)

    def test_a_store_overlaps_itself(self, store: Store) -> None:
        """A store and its view as a destination share objects, so that they are no source and destination."""
        for one, other in ((store, store), (store, store.as_destination()), (store.as_watched(), store)):
            assert one.overlaps(other)
            assert other.overlaps(one)
            with pytest.raises(UsageError, match="overlap"):
                refuse_overlap(one, other)

    def test_a_store_elsewhere_does_not_overlap(self, store: Store) -> None:
        """A store of another kind shares no objects with it."""
        other = MemoryStore("elsewhere")
        assert not store.overlaps(other)
        assert not other.overlaps(store)
        refuse_overlap(store, other)

    def test_the_watched_view_has_the_same_objects(self, store: Store) -> None:
        """A process that runs long reads and writes the same objects."""
        watched = store.as_watched()
        etag = store.put("a.jpg", b"x", HEADERS)
        found = watched.head("a.jpg")
        assert found is not None
        assert found.etag == etag
        assert watched.url == store.url

    def test_only_keys_that_fit_can_be_held(self, store: Store) -> None:
        """Every key of these tests fits; the empty key, one that is too long, and one that is not UTF-8 do not."""
        assert all(map(store.can_hold, self.keys))
        assert not any(map(store.can_hold, ("", "k" * (store.max_key_bytes + 1), "\ud800")))

    def test_an_object_in_the_store_can_be_read(self, store: Store) -> None:
        """The checks say nothing against a store that works, an object that exists, and one that is missing."""
        store.put("a.jpg", b"x", HEADERS)
        store.check_absence()
        store.check_readable("a.jpg")
        store.check_readable("b.jpg")
        store.check_writable()
        assert store.explain_absence("b.jpg") is None

    @pytest.mark.parametrize("pieces", [[], [b""], [b"one"], [b"one", b"", b"two" * 100_000]])
    def test_an_object_arrives_in_pieces(self, store: Store, pieces: list[bytes]) -> None:
        """It is in the store after the commit, whole, and not before; without a commit it never is."""
        for key, commits in (("b/a.jpg", True), ("b/c.jpg", False)):
            pending = store.receive(key, HEADERS)
            for piece in pieces:
                pending.write(piece)
            assert store.head(key) is None
            if commits:
                assert pending.commit(replace=False)
            pending.close()
            pending.close()
        assert content_of(store, "b/a.jpg") == b"".join(pieces)
        assert [info.key for info in store.list()] == ["b/a.jpg"]

    def test_an_object_that_arrives_replaces_only_with_leave(self, store: Store) -> None:
        """Without `replace` an object that is there meanwhile stays as it is."""
        for replace, expected in ((False, b"old"), (True, b"new")):
            store.put("a.jpg", b"old", HEADERS)
            pending = store.receive("a.jpg", HEADERS)
            pending.write(b"new")
            assert pending.commit(replace=replace) is replace
            pending.close()
            assert content_of(store, "a.jpg") == expected

    def test_one_of_several_new_objects_is_stored(self, store: Store) -> None:
        """Of several writers of one new object, one gets the answer that it was stored, and its bytes are complete."""
        contents = [bytes([number]) * 50_000 for number in range(8)]
        start = threading.Barrier(len(contents))

        def write(content: bytes) -> bool:
            pending = store.receive("a.jpg", HEADERS)
            pending.write(content)
            start.wait(60)
            try:
                return pending.commit(replace=False)
            finally:
                pending.close()

        with ThreadPoolExecutor(len(contents)) as threads:
            stored = list(threads.map(write, contents))
        assert stored.count(True) == 1
        assert content_of(store, "a.jpg") == contents[stored.index(True)]

    def test_direct_requests_are_bound_to_an_origin(self, store: Store) -> None:
        """A store that signs uploads names their origins, and one that does not has none."""
        upload = store.presigned_put("a.jpg", "image/jpeg", 3, replace=False, seconds=60)
        download = store.presigned_get("a.jpg", 60)
        assert (upload is None) == (download is None) == (not store.upload_origins)
        if upload is not None:
            assert upload.url.startswith(store.upload_origins)
            assert upload.headers["Content-Type"] == "image/jpeg"
