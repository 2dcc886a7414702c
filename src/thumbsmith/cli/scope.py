"""What the commands that compare two stores have in common: their stores, recipe and options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from os.path import lexists

from thumbsmith.bulk.scan import Scope, StoreScan, scan
from thumbsmith.bulk.stores import scope_between
from thumbsmith.cli.arguments import STORE_TIMEOUT_SECONDS, recipe_from
from thumbsmith.cli.terminal import Console
from thumbsmith.cli.wording import nearest_path, plural, printable
from thumbsmith.errors import RecipeError, StoreError, UsageError
from thumbsmith.recipe.selection import EVERYTHING
from thumbsmith.reconcile.protocol import Options
from thumbsmith.store import Store, open_store


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
        try:
            loaded = replace(loaded, selection=loaded.selection.with_globs(include, exclude))
        except RecipeError as error:
            raise UsageError(f"--{str(error).removeprefix('Selection: ')}") from None
    images = open_source(source)
    thumbnails = open_store(destination, outage_seconds=STORE_TIMEOUT_SECONDS)
    return scope_between(images, thumbnails, loaded, options, prefix)


def open_source(address: str) -> Store:
    """Return the store with the images. Raises StoreError, for a folder that does not exist with the nearest name."""
    store = open_store(address, outage_seconds=STORE_TIMEOUT_SECONDS)
    if store.local_root and not lexists(store.local_root):
        raise StoreError(
            f"{store.local_root}: No such file or directory{nearest_path(store.local_root)}", transient=False
        )
    return store


@contextmanager
def listed_stores(scope: Scope, console: Console, stop: Callable[[], bool]) -> Iterator[StoreScan]:
    """List both stores, with progress on a terminal, and yield the scan. Raises as `scan` does."""
    with ExitStack() as opened:
        with console.progress("listing", None) as advance:
            total = 0

            def count(more: int) -> None:
                nonlocal total
                total += more
                advance(plural(total, "object"), more)

            found = opened.enter_context(scan(scope, stop, count))
        yield found


def explain_no_sources(found: StoreScan, console: Console) -> None:
    """Print why a source may have no images, and what to do."""
    scope, selection = found.scope, found.scope.recipe.selection
    where = printable(scope.source.url)
    if found.sources:
        return
    if found.join.links:
        console.note(
            f"Links are not followed: the source has {plural(found.join.links, 'symbolic link')} and no other files."
            " Copy the files there, or name the folder to which the links lead."
        )
    elif found.join.ignored:
        console.note(
            f"{where} has only files that are no pictures, by their suffixes: name a suffix in include to try them"
        )
    elif scope.prefix:
        console.note(f"{where} has no images whose keys begin with {printable(scope.prefix)}: check --prefix")
    elif selection.exclude or selection.include != EVERYTHING:
        console.note(f"{where} has no images that include and exclude select: check the recipe and the options")
    else:
        console.note(f"{where} has no images: check the path")
