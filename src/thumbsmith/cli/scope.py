"""What the commands that compare two stores have in common: their stores, recipe and options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from thumbsmith.bulk.manifest_cache import cache_file
from thumbsmith.bulk.scan import Scope
from thumbsmith.cli.arguments import STORE_TIMEOUT_SECONDS, recipe_from
from thumbsmith.environment import cache_folder
from thumbsmith.reconcile.protocol import Options
from thumbsmith.store import open_store


def scope_of(
    source: str,
    destination: str,
    recipe: str | None,
    options: Options,
    prefix: str = "",
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> Scope:
    """Return the stores, the recipe and the options of a command. Raises UsageError, StoreError.

    The globs `include` and `exclude` are added to the recipe's.
    """
    loaded = recipe_from(recipe)
    if include or exclude:
        loaded = replace(loaded, selection=loaded.selection.with_globs(include, exclude))
    images = open_store(source, outage_seconds=STORE_TIMEOUT_SECONDS)
    thumbnails = open_store(destination, outage_seconds=STORE_TIMEOUT_SECONDS)
    return Scope(
        source=images,
        destination=thumbnails,
        recipe=loaded,
        options=options,
        prefix=prefix,
        cache=cache_file(cache_folder(), images.url, thumbnails.url),
    )
