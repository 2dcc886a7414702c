"""The settings of a function: source, destination and recipe, read from its environment and checked once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self

from thumbsmith.environment import Setting, function_folder
from thumbsmith.errors import UsageError
from thumbsmith.events import Ignored, KeyChanged, backfill_message, not_a_bucket
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.recipe import find_recipe
from thumbsmith.store import Store, open_store, refuse_overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSettings:
    """The two stores and the recipe that a function works with."""

    source: Store
    destination: Store
    recipe: Recipe

    @classmethod
    def from_environment(cls) -> Self:
        """Return the settings from the environment variables.

        THUMBSMITH_SOURCE and THUMBSMITH_DESTINATION are addresses for `open_store`. THUMBSMITH_RECIPE is TOML text or
        a path; a relative path starts at the folder of the function's code. Raises UsageError, StoreError.
        """
        source, destination = _open(Setting.SOURCE), _open(Setting.DESTINATION)
        refuse_overlap(source, destination)
        kind = not_a_bucket(StoreAddress.of(source).bucket)
        if kind:
            raise UsageError(f"{Setting.SOURCE}: expected a bucket, found {kind}: name the bucket itself")
        return cls(source=source, destination=destination, recipe=find_recipe(Setting.RECIPE.read(), function_folder()))

    def key_of(self, event: KeyChanged) -> str | Ignored:
        """Return the source's key that an event is about. An event about any other object is ignored."""
        source = StoreAddress.of(self.source)
        if StoreAddress.of(self.destination).contains(event):  # our own thumbnails must not start another run
            return Ignored("loop_guard", f"{event.bucket}/{event.key}")
        if event.bucket != source.bucket:
            return Ignored("foreign_bucket", f"{event.bucket}/{event.key}")
        if not source.contains(event):
            return Ignored("outside_prefix", event.key)
        return Ignored("folder", event.key) if event.key.endswith("/") else event.key[len(source.prefix) :]


class StoreAddress(NamedTuple):
    """The bucket and the prefix of a store, to compare with events."""

    bucket: str
    prefix: str

    @classmethod
    def of(cls, store: Store) -> StoreAddress:
        """Return the address of a store. For a store that is not a bucket, the last name of its URL is the bucket."""
        if store.s3_location is not None:
            return cls(*store.s3_location)
        return cls(store.url.rstrip("/").rpartition("/")[2], "")

    def contains(self, event: KeyChanged) -> bool:
        """Return whether the key is inside. The prefix itself may be an object (a "folder"), which is not inside."""
        return event.bucket == self.bucket and event.key.startswith(self.prefix) and event.key != self.prefix

    def message(self, key: str, *, retry: bool = False) -> str:
        """Return the backfill message that requests a key of the store."""
        return backfill_message(self.bucket, self.prefix + key, retry=retry)


def larger_machines(settings: FunctionSettings) -> Callable[[str], None] | None:
    """Return a function that sends a source's key to the queue of larger machines. Returns None without such a queue.

    The function raises StoreError where the queue refuses the key. It tries once: the event is delivered again anyway,
    and a pause before a second attempt may be longer than the time left.
    """
    url = Setting.LARGE.read()
    if url is None:
        return None

    def send(key: str) -> None:
        from thumbsmith.backfill.clients import open_queue  # noqa: PLC0415 - most invocations do not need it

        open_queue(url, attempts=1).send([StoreAddress.of(settings.source).message(key, retry=True)])

    return send


def _open(setting: Setting) -> Store:
    address = setting.read()
    if address is None:
        raise UsageError(f"{setting}: expected s3://BUCKET/PREFIX, found nothing")
    return open_store(address)
