"""Arguments and options that several commands share, and what they mean."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from thumbsmith.bulk.manifest_cache import cache_file
from thumbsmith.bulk.scan import Scope
from thumbsmith.environment import Setting, cache_folder
from thumbsmith.errors import UsageError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.recipe import RECIPE_FILE, find_recipe
from thumbsmith.reconcile.protocol import Options
from thumbsmith.store import open_store

# A command repeats requests to a bucket that fails temporarily for this time.
STORE_TIMEOUT_SECONDS: Final = 120.0

RecipeOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--recipe",
        metavar="FILE",
        readable=False,  # reading it gives a better message
        help=f"The recipe file. Default: $THUMBSMITH_RECIPE (a path or TOML text), else ./{RECIPE_FILE}, else the"
        " built-in recipe.",
    ),
]
Source: TypeAlias = Annotated[
    str, typer.Argument(metavar="SRC", help="The folder, or s3://BUCKET/PREFIX, with the images.")
]
Destination: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="DST", help="The folder, or s3://BUCKET/PREFIX, for the thumbnails. A missing folder is created."
    ),
]
Jobs: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        max=256,
        metavar="N",
        help="Number of images to process at the same time. Default: one for each processor core.",
    ),
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", metavar="", help="Print one JSON object per line, and nothing else, on stdout.")
]
KeepOrphans: TypeAlias = Annotated[
    bool,
    typer.Option("--keep-orphans", metavar="", help="Keep thumbnails whose image or variant does not exist any more."),
]
RetryRejected: TypeAlias = Annotated[
    bool, typer.Option("--retry-rejected", metavar="", help="Try rejected sources again.")
]
Prefix: TypeAlias = Annotated[
    str,
    typer.Option(
        "--prefix",
        metavar="P",
        help="Only sources whose keys begin with P, and their thumbnails. Default: all.",
        show_default=False,
    ),
]


def is_given(context: typer.Context, name: str) -> bool:
    """Return whether the user gave the option or argument of this parameter, with any value."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def refuse_unused(context: typer.Context, names: Iterable[str], where: str) -> None:
    """Raise UsageError if the user gave one of these parameters. `where` states which runs use it."""
    for name in names:
        if is_given(context, name):
            option = next(each.opts[0] for each in context.command.params if each.name == name)
            if context.params[name] is False:
                option = f"--no-{option.removeprefix('--')}"
            raise UsageError(f"{option}: expected only {where}; this run would ignore it")


def recipe_from(option: Path | None) -> Recipe:
    """Return the recipe: that of the option, the environment, the working folder, or the default.

    Raises UsageError.
    """
    return Recipe.load(option) if option else find_recipe(Setting.RECIPE.read())


def scope_of(source: str, destination: str, recipe: Path | None, options: Options, prefix: str = "") -> Scope:
    """Return the stores, the recipe and the options of a command. Raises UsageError, StoreError."""
    loaded = recipe_from(recipe)
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
