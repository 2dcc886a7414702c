"""What the function's environment says, checked once: from where, to where, and by which recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from thumbsmith.environment import (
    DESTINATION,
    SOURCE,
    destination_setting,
    function_folder,
    large_setting,
    recipe_setting,
    source_setting,
)
from thumbsmith.errors import UsageError
from thumbsmith.events import Ignored, KeyChanged, backfill_message
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.load import recipe_set
from thumbsmith.store import Store, open_store, refuse_overlap


class StoreAddress(NamedTuple):
    """Where a store is, as events tell it: keys of `bucket` that begin with `prefix`."""

    bucket: str
    prefix: str

    def holds(self, hint: KeyChanged) -> bool:
        """Return whether the key is within: not the "folder" that the prefix itself may be."""
        return hint.bucket == self.bucket and hint.key.startswith(self.prefix) and hint.key != self.prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSettings:
    """What is kept right: a source, a destination and the recipe between them."""

    source: Store
    destination: Store
    recipe: Recipe

    def key_of(self, hint: KeyChanged) -> str | Ignored:
        """Return the source's key that a hint is about, or why it is about none: no key of anything else is touched."""
        place = place_of(self.source)
        if place_of(self.destination).holds(hint):
            return Ignored("loop_guard", f"{hint.bucket}/{hint.key}")
        if hint.bucket != place.bucket:
            return Ignored("foreign_bucket", f"{hint.bucket}/{hint.key}")
        if not place.holds(hint):
            return Ignored("outside_prefix", hint.key)
        return Ignored("folder", hint.key) if hint.key.endswith("/") else hint.key[len(place.prefix) :]


def from_environment() -> FunctionSettings:
    """Return the settings that the environment variables hold.

    THUMBSMITH_SOURCE and THUMBSMITH_DESTINATION are addresses as `open_store` takes them. THUMBSMITH_RECIPE is the TOML
    or a path, from the folder of the function's code where it is relative. Raises UsageError, StoreError.
    """
    source, destination = _opened(SOURCE, source_setting()), _opened(DESTINATION, destination_setting())
    refuse_overlap(source, destination)
    recipe = recipe_set(recipe_setting(), function_folder())
    return FunctionSettings(source=source, destination=destination, recipe=recipe)


def larger_machine(settings: FunctionSettings) -> Callable[[str], None] | None:
    """Return what sends a source's key to the queue of larger machines; None where there are none.

    It raises StoreError where the queue does not take the key. It is asked once: the event comes again anyway, and a
    pause before another attempt may be longer than the time that is left.
    """
    url = large_setting()
    if url is None:
        return None

    def send(key: str) -> None:
        from thumbsmith.backfill.clients import open_queue  # noqa: PLC0415 - most invocations need none

        place = place_of(settings.source)
        open_queue(url, attempts=1).send([backfill_message(place.bucket, place.prefix + key, retry=True)])

    return send


def place_of(store: Store) -> StoreAddress:
    """Return where a store is. One that is no bucket goes by the last name in its address, as if it were one."""
    if store.s3_location is not None:
        return StoreAddress(*store.s3_location)
    return StoreAddress(store.url.rstrip("/").rpartition("/")[2], "")


def _opened(name: str, address: str | None) -> Store:
    if address is None:
        raise UsageError(f"{name}: expected s3://BUCKET/PREFIX, found nothing")
    return open_store(address)
