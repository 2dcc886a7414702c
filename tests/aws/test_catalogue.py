"""The catalogue: one item for each source, always equal to its manifest."""

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from thumbsmith.aws import catalogue
from thumbsmith.aws.catalogue import Table, attribute, deliver, update
from thumbsmith.errors import StoreError
from thumbsmith.store import Store, open_store
from thumbsmith.store.base import Headers

JSON = Headers(content_type="application/json")
NUMBER = count()


class Items:
    """A table in memory with the interface of DynamoDB's client; `meanwhile` runs before each write."""

    def __init__(self) -> None:
        """Start with an empty table."""
        self.items: dict[str, Any] = {}
        self.meanwhile: Iterator[Callable[[], object]] = iter(())

    def put_item(self, *, TableName: str, Item: dict[str, Any]) -> None:  # noqa: N803 - DynamoDB's words
        """Write an item."""
        next(self.meanwhile, lambda: None)()
        self.items[Item["key"]["S"]] = Item

    def delete_item(self, *, TableName: str, Key: dict[str, Any]) -> None:  # noqa: N803 - DynamoDB's words
        """Delete an item."""
        next(self.meanwhile, lambda: None)()
        self.items.pop(Key["key"]["S"], None)


@pytest.fixture(autouse=True)
def closed_catalogue() -> Iterator[None]:
    """Open the catalogue anew in each test, from the environment of the test."""
    catalogue._open_catalogue.cache_clear()
    yield
    catalogue._open_catalogue.cache_clear()


@pytest.fixture
def items() -> Items:
    """Return an empty table."""
    return Items()


@pytest.fixture
def thumbs() -> Store:
    """Return an empty destination."""
    return open_store(f"memory://catalogue-{next(NUMBER)}")


def manifest(key: str, etag: str) -> bytes:
    """Return the smallest valid manifest, of a rejected source."""
    source = {"key": key, "etag": etag, "bytes": 3}
    rejection = {"code": "corrupt", "detail": "no picture"}
    content = {
        "thumbsmith": 1,
        "recipe": "r",
        "limits": "l",
        "source": source,
        "rejection": rejection,
        "renditions": [],
    }
    return json.dumps({**content, "status": "rejected"}).encode()


def put(store: Store, key: str, etag: str) -> None:
    """Write a manifest."""
    store.put(f"{key}/manifest.json", manifest(key, etag), JSON)


def etag_of(items: Items, key: str) -> str:
    """Return the source's etag in an item."""
    return items.items[key]["source"]["M"]["etag"]["S"]


def message(store: Store, *keys: str) -> dict[str, Any]:
    """Return a queue message with an EventBridge event about a key."""
    bucket = store.url.rpartition("/")[2]
    detail = {"bucket": {"name": bucket}, "object": {"key": keys[0]}}
    body = {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
    return {"messageId": keys[0], "body": json.dumps(body)}


def test_every_json_value_has_a_form():
    """Every JSON value has a DynamoDB form: numbers stay exact, nesting is preserved."""
    assert attribute({"a": [1, 1.5, True, None, "x", {}]}) == {
        "M": {"a": {"L": [{"N": "1"}, {"N": "1.5"}, {"BOOL": True}, {"NULL": True}, {"S": "x"}, {"M": {}}]}}
    }


def test_an_item_equals_the_manifest(thumbs: Store, items: Items):
    """An item contains all members of its manifest, and is deleted with it."""
    put(thumbs, "a/b c.jpg", "1")
    event = {"Records": [message(thumbs, "a/b c.jpg/manifest.json")]}
    assert deliver(event, thumbs, Table("t", items)) == {"batchItemFailures": []}
    item = items.items["a/b c.jpg"]
    assert item["status"] == {"S": "rejected"}
    assert item["rejection"]["M"]["code"] == {"S": "corrupt"}
    thumbs.delete("a/b c.jpg/manifest.json")
    deliver(event, thumbs, Table("t", items))
    assert items.items == {}


def test_a_manifest_that_changes_is_read_again(thumbs: Store, items: Items):
    """If the manifest is replaced, deleted or written meanwhile, the item is equal to the last one."""
    put(thumbs, "a", "1")
    items.meanwhile = iter([lambda: put(thumbs, "a", "2")])
    update("a", thumbs, Table("t", items))
    assert etag_of(items, "a") == "2"
    items.meanwhile = iter([lambda: thumbs.delete("a/manifest.json")])
    update("a", thumbs, Table("t", items))
    assert items.items == {}
    items.meanwhile = iter([lambda: put(thumbs, "a", "3")])
    update("a", thumbs, Table("t", items))
    assert etag_of(items, "a") == "3"


def test_a_manifest_that_keeps_changing_is_retried(thumbs: Store, items: Items):
    """After five reads of a changing manifest the error is transient."""
    put(thumbs, "a", "1")
    items.meanwhile = (lambda n=n: put(thumbs, "a", f"more {n}") for n in count())
    with pytest.raises(StoreError) as failed:
        update("a", thumbs, Table("t", items))
    assert failed.value.transient


@pytest.mark.parametrize("content", [b"{}", b"no json", manifest("other", "1")])
def test_an_invalid_manifest_is_no_item(thumbs: Store, items: Items, content: bytes):
    """A file that is not this source's manifest makes no item."""
    thumbs.put("a/manifest.json", content, JSON)
    update("a", thumbs, Table("t", items))
    assert items.items == {}


def test_other_keys_are_ignored(thumbs: Store, items: Items):
    """Events about other objects and other buckets are acknowledged and change nothing."""
    other = message(open_store("memory://elsewhere"), "a/manifest.json")
    event = {"Records": [message(thumbs, "a/small.webp"), other]}
    assert deliver(event, thumbs, Table("t", items)) == {"batchItemFailures": []}
    assert items.items == {}


def test_one_unreadable_message_fails_alone(thumbs: Store, items: Items, capsys: pytest.CaptureFixture[str]):
    """An unreadable message is logged and retried; the others of its batch are done."""
    put(thumbs, "a", "1")
    event = {"Records": [{"messageId": "m", "body": "no json"}, message(thumbs, "a/manifest.json")]}
    assert deliver(event, thumbs, Table("t", items)) == {"batchItemFailures": [{"itemIdentifier": "m"}]}
    assert set(items.items) == {"a"}
    assert json.loads(capsys.readouterr().out)["message"] == "m"


def test_missing_settings_are_named(monkeypatch: pytest.MonkeyPatch):
    """Without settings, the error names the missing variables."""
    monkeypatch.delenv("THUMBSMITH_CATALOGUE", raising=False)
    monkeypatch.delenv("THUMBSMITH_DESTINATION", raising=False)
    with pytest.raises(Exception, match="THUMBSMITH_DESTINATION, THUMBSMITH_CATALOGUE"):
        catalogue.handler({"Records": []}, None)


def test_a_missing_table_is_a_transient_failure(ministack: str, thumbs: Store, monkeypatch: pytest.MonkeyPatch):
    """With a real client and a missing table, the message is retried."""
    monkeypatch.setenv("THUMBSMITH_DESTINATION", ministack)
    monkeypatch.setenv("THUMBSMITH_CATALOGUE", "nowhere")
    bucket = ministack.rpartition("/")[2]
    detail = {"bucket": {"name": bucket}, "object": {"key": "a/manifest.json"}}
    body = json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": detail})
    answer = catalogue.handler({"Records": [{"messageId": "m", "body": body}]}, None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m"}]}
