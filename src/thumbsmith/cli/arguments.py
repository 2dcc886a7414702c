"""What several commands are given: the recipe, stores, the number of jobs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from thumbsmith.bulk.manifest_cache import cache_file
from thumbsmith.bulk.scan import Scope
from thumbsmith.environment import cache_folder, recipe_setting
from thumbsmith.errors import UsageError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.load import RECIPE_FILE, recipe_set
from thumbsmith.reconcile.effects import Options
from thumbsmith.store import open_store

# Seconds that a run waits for a bucket that fails for now.
PATIENCE: Final = 120.0

RecipeOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--recipe",
        metavar="FILE",
        readable=False,  # reading it reports what is wrong
        help=f"The recipe. Else $THUMBSMITH_RECIPE (a path, or TOML), else ./{RECIPE_FILE}, else the default.",
    ),
]
Source: TypeAlias = Annotated[
    str, typer.Argument(metavar="SRC", help="The folder or s3://BUCKET/PREFIX that holds the images.")
]
Destination: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="DST", help="The folder, made where there is none, or s3://BUCKET/PREFIX for the thumbnails."
    ),
]
Jobs: TypeAlias = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, max=256, metavar="N", help="Pictures at once. Else one a core.")
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", metavar="", help="Print one JSON object a line, and nothing else.")
]
KeepOrphans: TypeAlias = Annotated[
    bool, typer.Option("--keep-orphans", metavar="", help="Leave thumbnails that nothing wants any more.")
]
RetryRejected: TypeAlias = Annotated[
    bool, typer.Option("--retry-rejected", metavar="", help="Try sources again that were rejected earlier.")
]
Prefix: TypeAlias = Annotated[
    str, typer.Option("--prefix", metavar="P", help="Only sources whose keys begin with P, and what is made of them.")
]


def is_given(context: typer.Context, name: str) -> bool:
    """Return whether the user gave the option or argument of this parameter, with any value."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def refuse_ignored(context: typer.Context, names: Iterable[str], where: str) -> None:
    """Raise UsageError for the first of these parameters that the user gave: `where` says where it is used instead."""
    for name in names:
        if is_given(context, name):
            spelled = next(each.opts[0] for each in context.command.params if each.name == name)
            if context.params[name] is False:
                spelled = f"--no-{spelled.removeprefix('--')}"
            raise UsageError(f"{spelled}: expected only {where}; this run would ignore it")


def recipe_from(option: Path | None) -> Recipe:
    """Return the recipe that holds here: the option's, the environment's, the working folder's, or the default.

    Raises UsageError.
    """
    return Recipe.load(option) if option else recipe_set(recipe_setting())


def scope_of(source: str, destination: str, recipe: Path | None, options: Options, prefix: str = "") -> Scope:
    """Return what the arguments name. Raises UsageError, StoreError."""
    wanted, sources, thumbs = (
        recipe_from(recipe),
        open_store(source, patience=PATIENCE),
        open_store(destination, patience=PATIENCE),
    )
    return Scope(
        source=sources,
        destination=thumbs,
        recipe=wanted,
        options=options,
        prefix=prefix,
        index=cache_file(cache_folder(), sources.url, thumbs.url),
    )
