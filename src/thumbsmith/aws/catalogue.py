"""The catalogue's function, thumbsmith.aws.catalogue.handler: one item a source, with all that its manifest says.

That a manifest was written or removed is taken as a hint. The function looks at the manifest as it is now, writes the
item, and looks again: of two that do so at once, whichever writes last looks last, and does it once more if need be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from thumbsmith.aws.settings import place_of
from thumbsmith.aws.telemetry import tell
from thumbsmith.environment import CATALOGUE, DESTINATION, aws_region, catalogue_setting, destination_setting
from thumbsmith.errors import StoreError, ThumbsmithError, UsageError
from thumbsmith.events import KeyChanged, Unreadable, parse_event_text
from thumbsmith.recipe.names import MANIFEST
from thumbsmith.reconcile.manifest import read_manifest_version
from thumbsmith.store import Store, open_store

# A manifest changes with its source: one that changed so often while it was looked at is looked at later.
MAX_LOOKS: Final = 5


@dataclass(frozen=True, slots=True)
class Table:
    """A table of DynamoDB whose items are found by `key`."""

    name: str
    client: Any

    def put(self, key: str, content: dict[str, Any]) -> None:
        """Write the whole item. Raises StoreError where DynamoDB does not."""
        item = {"key": {"S": key}, **{name: attribute(value) for name, value in content.items()}}
        self._call(self.client.put_item, Item=item)

    def delete(self, key: str) -> None:
        """Remove the item, if it is there. Raises StoreError where DynamoDB does not."""
        self._call(self.client.delete_item, Key={"key": {"S": key}})

    def _call(self, operation: Callable[..., object], **arguments: Any) -> None:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - it came with the client

        try:
            operation(TableName=self.name, **arguments)
        except (BotoCoreError, ClientError) as error:
            raise StoreError(f"table {self.name}: {error}", transient=True) from error


def attribute(value: Any) -> dict[str, Any]:
    """Return a JSON value as DynamoDB spells it.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
    """
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case list():
            return {"L": [attribute(each) for each in value]}
        case dict():
            return {"M": {name: attribute(each) for name, each in value.items()}}
    return {"N": str(value)}


def record(key: str, destination: Store, table: Table) -> None:
    """Make the item of a source say what its manifest says. Raises StoreError where it does not, for now."""
    for _ in range(MAX_LOOKS):
        etag, content = _look(key, destination)
        if content is None:
            table.delete(key)
        else:
            table.put(key, content)
        now = destination.head(f"{key}/{MANIFEST}")
        if (now.etag if now else None) == etag:
            return
    raise StoreError(f"{key}: its manifest changed {MAX_LOOKS} times while it was read", transient=True)


def _look(key: str, destination: Store) -> tuple[str | None, dict[str, Any] | None]:
    """Return the manifest's etag and what it says, nothing of one that is not there or is not this source's."""
    found = read_manifest_version(destination, key)
    if found is None:
        return None, None
    return found.info.etag, found.manifest.as_dict() if found.manifest else None


def keys_in(body: str, destination: Store) -> Iterator[str]:
    """Yield the sources whose manifests a message is about. Raises StoreError for one that nobody understands."""
    place = place_of(destination)
    for said in parse_event_text(body):
        if isinstance(said, Unreadable):
            raise StoreError(said.detail, transient=False)
        if isinstance(said, KeyChanged) and place.holds(said) and said.key.endswith(f"/{MANIFEST}"):
            yield said.key[len(place.prefix) : -len(MANIFEST) - 1]


def deliver(event: dict[str, Any], destination: Store, table: Table) -> dict[str, Any]:
    """Record what a batch of a queue's messages is about; return those that are to be delivered again."""
    failed = []
    for message in event["Records"]:
        try:
            for key in keys_in(message["body"], destination):
                record(key, destination, table)
        except ThumbsmithError as error:
            tell(level="ERROR", event="catalogue", message=message["messageId"], detail=str(error))
            failed.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failed}


def _opened() -> tuple[Store, Table]:
    """Return what the environment names. Raises UsageError, StoreError."""
    from botocore.session import get_session  # noqa: PLC0415 - only this function speaks to DynamoDB

    address, name = destination_setting(), catalogue_setting()
    if address is None or name is None:
        raise UsageError(f"{DESTINATION}, {CATALOGUE}: expected s3://BUCKET/PREFIX and a table's name, found nothing")
    return open_store(address), Table(name, get_session().create_client("dynamodb", region_name=aws_region()))


_OPENED: Final[list[tuple[Store, Table]]] = []


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Record what a batch of messages is about. What is opened for the first of them serves for all."""
    if not _OPENED:
        _OPENED.append(_opened())
    return deliver(event, *_OPENED[0])
