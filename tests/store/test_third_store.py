"""A store of another kind keeps the contract, and every command and application accepts it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import md5
from pathlib import Path

import httpx
import pytest

from tests.pictures import picture
from tests.store.contract import HEADERS, Contract
from tests.web.serving import run_application, url
from thumbsmith import Recipe
from thumbsmith.bulk.changes import watched_folder
from thumbsmith.bulk.explain import explain
from thumbsmith.bulk.scan import Scope, scan
from thumbsmith.bulk.sync import sync
from thumbsmith.conformance.cases import cases
from thumbsmith.conformance.checks import run_local
from thumbsmith.dispatch.settings import StoreAddress
from thumbsmith.errors import UsageError
from thumbsmith.store.base import STRICT, Headers, ObjectInfo, Store, Visitor
from thumbsmith.store.folder import FolderStore
from thumbsmith.store.memory import MemoryObject
from thumbsmith.worker import Workers

RECIPE = Recipe.loads("[variants.small]\nwidth = 30\nformats = ['webp']")


@dataclass
class DictStore(Store):
    """The objects of a dict whose keys begin with a prefix: what a store of another cloud would be."""

    prefix: str = ""
    objects: dict[str, MemoryObject] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Return an address with the prefix."""
        return f"dict://bucket/{self.prefix}"

    def head(self, key: str) -> ObjectInfo | None:
        """Return the object or None."""
        found = self.open(key)
        return found.info if found else None

    def open(self, key: str) -> MemoryObject | None:
        """Return a reader or None."""
        return self.objects.get(self.prefix + key)

    def put(self, key: str, data: bytes, headers: Headers) -> str:
        """Store the object; return the etag."""
        etag = md5(data, usedforsecurity=False).hexdigest()
        self.objects[self.prefix + key] = MemoryObject(ObjectInfo(key, etag, len(data)), data, headers)
        return etag

    def delete(self, key: str) -> None:
        """Remove the object."""
        self.objects.pop(self.prefix + key, None)

    def list(self, prefix: str = "", *, after: str = "", visitor: Visitor = STRICT) -> Iterator[ObjectInfo]:
        """Yield the objects whose keys start with the prefix."""
        start = len(self.prefix)
        for key, each in list(self.objects.items()):
            if key.startswith(self.prefix + prefix) and key[start:] > after:
                yield replace(each.info, key=key[start:])


class TestDictStore(Contract):
    """The smallest store keeps the contract by its defaults."""

    @pytest.fixture
    def store(self) -> Store:
        """Return an empty store."""
        return DictStore()


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Return one worker for all tests."""
    with Workers(1) as workers:
        yield workers


@pytest.fixture
def scope() -> Scope:
    """Return two separate parts of one dict, with one picture in the source."""
    objects: dict[str, MemoryObject] = {}
    scope = Scope(source=DictStore("in/", objects), destination=DictStore("out/", objects), recipe=RECIPE)
    scope.source.put("a.jpg", picture(), HEADERS)
    return scope


def _sync(scope: Scope, workers: Workers) -> list[str]:
    with scan(scope) as found:
        done = list(sync(found, renderer=workers, threads=1, stop=lambda: False))
    return [each.outcome.status for each in done if each.outcome]


def test_a_second_sync_changes_nothing(scope: Scope, workers: Workers):
    """The first run makes the thumbnails, the second finds them fresh, and those of a deleted source are deleted."""
    assert _sync(scope, workers) == ["made"]
    before = dict(scope.source.objects)
    assert sorted(before) == ["in/a.jpg", "out/a.jpg/manifest.json", "out/a.jpg/small.webp"]
    assert _sync(scope, workers) == ["fresh"]
    assert scope.source.objects == before
    scope.source.put("b.jpg", picture(), HEADERS)
    assert sorted(_sync(scope, workers)) == ["fresh", "made"]
    scope.source.delete("a.jpg")
    assert sorted(_sync(scope, workers)) == ["deleted", "fresh"]
    assert sorted(scope.source.objects) == ["in/b.jpg", "out/b.jpg/manifest.json", "out/b.jpg/small.webp"]


@pytest.mark.parametrize(("source", "destination"), [("", "thumbs/"), ("photos/thumbs/", "photos/"), ("a/", "a/")])
def test_thumbnails_are_never_taken_for_sources(source: str, destination: str, workers: Workers):
    """A destination within the source, or around it, is refused: a second run would make thumbnails of thumbnails."""
    objects: dict[str, MemoryObject] = {}
    scope = Scope(source=DictStore(source, objects), destination=DictStore(destination, objects), recipe=RECIPE)
    scope.source.put("a.jpg", picture(), HEADERS)
    before = sorted(objects)
    for _ in range(2):
        with pytest.raises(UsageError, match="overlap"):
            _sync(scope, workers)
    assert sorted(objects) == before


@dataclass
class Mounted(DictStore):
    """A store that knows more about a folder than the folder does about the store."""

    def overlaps(self, other: Store) -> bool:
        """Return whether the other one is a folder: this one is kept in it."""
        return other.local_root is not None


def test_one_store_that_knows_of_the_overlap_is_enough(tmp_path: Path):
    """The check asks both stores."""
    folder = FolderStore(str(tmp_path))
    for source, destination in ((folder, Mounted()), (Mounted(), folder)):
        with (
            pytest.raises(UsageError, match="overlap"),
            scan(Scope(source=source, destination=destination, recipe=RECIPE)),
        ):
            pass


def test_a_key_is_explained(scope: Scope, workers: Workers):
    """What is made of a source, and that a missing one does not exist."""
    _sync(scope, workers)
    assert explain(scope, "a.jpg").state == "fresh"
    assert "no such object" in explain(scope, "b.jpg").why


def test_watching_is_refused_in_one_sentence(scope: Scope):
    """Only a folder reports its changes."""
    with pytest.raises(UsageError, match=r"^dict://bucket/in/: only a folder can be watched$"):
        watched_folder(scope.source)


def test_events_name_it_by_the_end_of_its_address(scope: Scope):
    """A function with this store uses the last part of its address as the name of the bucket."""
    assert StoreAddress.of(scope.source) == ("in", "")


def test_it_is_served(scope: Scope):
    """An upload arrives in the source, its thumbnail is made, and the page allows uploads to no other host."""
    data = picture(kind="png")
    with run_application(scope, jobs=1) as address, httpx.Client(base_url=url(address), timeout=60) as client:
        granted = client.post("/uploads", json={"name": "b.png", "type": "image/png", "bytes": len(data)})
        upload = granted.json()["upload"]
        stored = client.put(upload["url"], content=data, headers=upload["headers"])
        image = client.get("/images/b.png?wait=60")
        page = client.get("/")
    assert (granted.status_code, stored.status_code, image.json()["status"]) == (201, 201, "ok")
    assert "connect-src 'self';" in page.headers["content-security-policy"]
    assert {"in/b.png", "out/b.png/small.webp"} <= set(scope.source.objects)


def test_its_thumbnails_conform(scope: Scope, workers: Workers):
    """A case of the conformance suite is right in it, and is removed afterwards."""
    case = next(iter(cases()))
    results = list(run_local((case,), Recipe.default(), workers, scope.destination, "conformance/"))
    assert [result.wrong for result in results] == [(), ()]
    assert list(scope.destination.list()) == []
