"""The catalogue: one item a source, which says what its manifest says, whatever happens in between."""

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from thumbsmith.aws import catalogue
from thumbsmith.aws.catalogue import Table, attribute, deliver, record
from thumbsmith.errors import StoreError
from thumbsmith.store import Store, open_store
from thumbsmith.store.base import Headers

JSON = Headers(content_type="application/json")
NUMBER = count()


class Items:
    """A table in memory, which answers as DynamoDB's client does; `meanwhile` happens before each write."""

    def __init__(self) -> None:
        """Begin empty."""
        self.items: dict[str, Any] = {}
        self.meanwhile: Iterator[Callable[[], object]] = iter(())

    def put_item(self, *, TableName: str, Item: dict[str, Any]) -> None:  # noqa: N803 - DynamoDB's words
        """Write an item."""
        next(self.meanwhile, lambda: None)()
        self.items[Item["key"]["S"]] = Item

    def delete_item(self, *, TableName: str, Key: dict[str, Any]) -> None:  # noqa: N803 - DynamoDB's words
        """Remove an item."""
        next(self.meanwhile, lambda: None)()
        self.items.pop(Key["key"]["S"], None)


@pytest.fixture
def items() -> Items:
    """Return an empty table."""
    return Items()


@pytest.fixture
def thumbs() -> Store:
    """Return an empty destination."""
    return open_store(f"memory://catalogue-{next(NUMBER)}")


def manifest(key: str, etag: str) -> bytes:
    """Return a manifest of a rejected source: the least that is one."""
    source = {"key": key, "etag": etag, "bytes": 3}
    rejection = {"code": "corrupt", "detail": "no picture"}
    said = {"thumbsmith": 1, "recipe": "r", "limits": "l", "source": source, "rejection": rejection, "renditions": []}
    return json.dumps({**said, "status": "rejected"}).encode()


def put(store: Store, key: str, etag: str) -> None:
    """Write a manifest."""
    store.put(f"{key}/manifest.json", manifest(key, etag), JSON)


def etag_of(items: Items, key: str) -> str:
    """Return the source's etag that the item tells."""
    return items.items[key]["source"]["M"]["etag"]["S"]


def message(store: Store, *keys: str) -> dict[str, Any]:
    """Return a message as EventBridge puts it into a queue, or text that is none."""
    bucket = store.url.rpartition("/")[2]
    detail = {"bucket": {"name": bucket}, "object": {"key": keys[0]}}
    body = {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
    return {"messageId": keys[0], "body": json.dumps(body)}


def test_every_json_value_has_its_spelling():
    """Numbers stay exact, and what is nested stays nested."""
    assert attribute({"a": [1, 1.5, True, None, "x", {}]}) == {
        "M": {"a": {"L": [{"N": "1"}, {"N": "1.5"}, {"BOOL": True}, {"NULL": True}, {"S": "x"}, {"M": {}}]}}
    }


def test_an_item_says_what_the_manifest_says(thumbs: Store, items: Items):
    """A manifest that is there is an item with all of its members; one that is gone is none."""
    put(thumbs, "a/b c.jpg", "1")
    event = {"Records": [message(thumbs, "a/b c.jpg/manifest.json")]}
    assert deliver(event, thumbs, Table("t", items)) == {"batchItemFailures": []}
    item = items.items["a/b c.jpg"]
    assert item["status"] == {"S": "rejected"}
    assert item["rejection"]["M"]["code"] == {"S": "corrupt"}
    thumbs.delete("a/b c.jpg/manifest.json")
    deliver(event, thumbs, Table("t", items))
    assert items.items == {}


def test_a_manifest_that_changes_meanwhile_is_looked_at_again(thumbs: Store, items: Items):
    """Replaced, removed or written between look and write: the item ends as the manifest is, in every case."""
    put(thumbs, "a", "1")
    items.meanwhile = iter([lambda: put(thumbs, "a", "2")])
    record("a", thumbs, Table("t", items))
    assert etag_of(items, "a") == "2"
    items.meanwhile = iter([lambda: thumbs.delete("a/manifest.json")])
    record("a", thumbs, Table("t", items))
    assert items.items == {}
    items.meanwhile = iter([lambda: put(thumbs, "a", "3")])
    record("a", thumbs, Table("t", items))
    assert etag_of(items, "a") == "3"


def test_one_that_never_stands_still_is_handed_back(thumbs: Store, items: Items):
    """After five looks it is a failure for now."""
    put(thumbs, "a", "1")
    items.meanwhile = (lambda n=n: put(thumbs, "a", f"more {n}") for n in count())
    with pytest.raises(StoreError) as failed:
        record("a", thumbs, Table("t", items))
    assert failed.value.transient


@pytest.mark.parametrize("content", [b"{}", b"no json", manifest("other", "1")])
def test_what_is_no_manifest_of_the_source_is_no_item(thumbs: Store, items: Items, content: bytes):
    """A file of that name that says something else is not recorded."""
    thumbs.put("a/manifest.json", content, JSON)
    record("a", thumbs, Table("t", items))
    assert items.items == {}


def test_other_keys_are_nobodys_business(thumbs: Store, items: Items):
    """Events about other objects and other buckets change nothing, and are done."""
    other = message(open_store("memory://elsewhere"), "a/manifest.json")
    event = {"Records": [message(thumbs, "a/small.webp"), other]}
    assert deliver(event, thumbs, Table("t", items)) == {"batchItemFailures": []}
    assert items.items == {}


def test_a_message_that_fails_fails_alone(thumbs: Store, items: Items, capsys: pytest.CaptureFixture[str]):
    """What nobody understands is handed back and told of, and the others of its batch are recorded."""
    put(thumbs, "a", "1")
    event = {"Records": [{"messageId": "m", "body": "no json"}, message(thumbs, "a/manifest.json")]}
    assert deliver(event, thumbs, Table("t", items)) == {"batchItemFailures": [{"itemIdentifier": "m"}]}
    assert set(items.items) == {"a"}
    assert json.loads(capsys.readouterr().out)["message"] == "m"


def test_without_settings_one_sentence_says_which(monkeypatch: pytest.MonkeyPatch):
    """The function names the variables that it needs."""
    monkeypatch.delenv("THUMBSMITH_CATALOGUE", raising=False)
    monkeypatch.delenv("THUMBSMITH_DESTINATION", raising=False)
    with pytest.raises(Exception, match="THUMBSMITH_DESTINATION, THUMBSMITH_CATALOGUE"):
        catalogue.handler({"Records": []}, None)


def test_a_table_that_is_not_there_is_a_failure_for_now(ministack: str, thumbs: Store, monkeypatch: pytest.MonkeyPatch):
    """DynamoDB's own refusal hands the message back; with a real client, on an emulator."""
    monkeypatch.setenv("THUMBSMITH_DESTINATION", ministack)
    monkeypatch.setenv("THUMBSMITH_CATALOGUE", "nowhere")
    monkeypatch.setattr(catalogue, "_OPENED", [])
    bucket = ministack.rpartition("/")[2]
    detail = {"bucket": {"name": bucket}, "object": {"key": "a/manifest.json"}}
    body = json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": detail})
    answer = catalogue.handler({"Records": [{"messageId": "m", "body": body}]}, None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m"}]}
