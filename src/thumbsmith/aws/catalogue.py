"""The catalogue's function, thumbsmith.aws.catalogue.handler: one DynamoDB item for each source, from its manifest.

A message about a manifest is only a hint. The function reads the manifest, writes the item, and reads the manifest's
etag again; if it changed, it repeats all of this. So when two invocations write at once, the last writer also checks
last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from thumbsmith.dispatch.settings import StoreAddress
from thumbsmith.dispatch.telemetry import log
from thumbsmith.environment import Setting, aws_region
from thumbsmith.errors import StoreError, ThumbsmithError, UsageError
from thumbsmith.events import KeyChanged, Unreadable, parse_event_text
from thumbsmith.recipe.names import MANIFEST
from thumbsmith.reconcile.manifest import read_manifest_version
from thumbsmith.store import Store, open_store

# A manifest that changes more often than this while it is read is tried again with the next delivery.
MAX_READS: Final = 5


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Update the items for a batch of queue messages; return the messages to deliver again. Raises UsageError."""
    return deliver(event, *_open_catalogue())


@cache
def _open_catalogue() -> tuple[Store, Table]:
    """Return destination and table from the environment, once for the process. Raises UsageError, StoreError."""
    from botocore.session import get_session  # noqa: PLC0415 - no other function uses DynamoDB

    address, name = Setting.DESTINATION.read(), Setting.CATALOGUE.read()
    if address is None or name is None:
        variables = f"{Setting.DESTINATION}, {Setting.CATALOGUE}"
        raise UsageError(f"{variables}: expected s3://BUCKET/PREFIX and a table's name, found nothing")
    return open_store(address), Table(name, get_session().create_client("dynamodb", region_name=aws_region()))


def deliver(event: dict[str, Any], destination: Store, table: Table) -> dict[str, Any]:
    """Update the items for a batch of queue messages; return the messages to deliver again."""
    failed = []
    for message in event["Records"]:
        try:
            for key in keys_in(message["body"], destination):
                update(key, destination, table)
        except ThumbsmithError as error:
            log(level="ERROR", event="catalogue", message=message["messageId"], detail=str(error))
            failed.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failed}


def keys_in(body: str, destination: Store) -> Iterator[str]:
    """Yield the keys of the sources whose manifests a message names. Raises StoreError for an unreadable message."""
    address = StoreAddress.of(destination)
    for event in parse_event_text(body):
        if isinstance(event, Unreadable):
            raise StoreError(event.detail, transient=False)
        if isinstance(event, KeyChanged) and address.contains(event) and event.key.endswith(f"/{MANIFEST}"):
            yield event.key[len(address.prefix) : -len(MANIFEST) - 1]


def update(key: str, destination: Store, table: Table) -> None:
    """Make the item of a source equal to its manifest. Raises StoreError, transient if the manifest keeps changing."""
    for _ in range(MAX_READS):
        found = read_manifest_version(destination, key)
        if found and found.manifest:
            table.put(key, found.manifest.as_dict())
        else:
            table.delete(key)
        now = destination.head(f"{key}/{MANIFEST}")
        if (now.etag if now else None) == (found.info.etag if found else None):
            return
    raise StoreError(f"{key}: its manifest changed {MAX_READS} times while it was read", transient=True)


@dataclass(frozen=True, slots=True)
class Table:
    """A DynamoDB table with the partition key `key`."""

    name: str
    client: Any

    def put(self, key: str, content: dict[str, Any]) -> None:
        """Write the whole item. Raises StoreError."""
        item = {"key": {"S": key}, **{name: attribute(value) for name, value in content.items()}}
        self._call(self.client.put_item, Item=item)

    def delete(self, key: str) -> None:
        """Delete the item if it exists. Raises StoreError."""
        self._call(self.client.delete_item, Key={"key": {"S": key}})

    def _call(self, operation: Callable[..., object], **arguments: Any) -> None:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - the client has loaded it

        try:
            operation(TableName=self.name, **arguments)
        except (BotoCoreError, ClientError) as error:
            raise StoreError(f"table {self.name}: {error}", transient=True) from error


def attribute(value: Any) -> dict[str, Any]:
    """Return a JSON value in DynamoDB's form.

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
