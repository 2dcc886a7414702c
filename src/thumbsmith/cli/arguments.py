"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os.path import lexists
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from thumbsmith.cli.command import FILE_PATH, FOLDER_PATH, LEVEL, Number
from thumbsmith.environment import Setting
from thumbsmith.errors import UsageError

if TYPE_CHECKING:
    from thumbsmith.recipe import Recipe

F = TypeVar("F", bound=Callable[..., Any])

# A command repeats requests to a bucket that fails temporarily for this time.
STORE_TIMEOUT_SECONDS: Final = 120.0

source_argument: Final = click.argument(
    "source", metavar="SRC", type=FOLDER_PATH, help="The folder, or s3://BUCKET/PREFIX, with the images."
)
destination_argument: Final = click.argument(
    "destination",
    metavar="DST",
    type=FOLDER_PATH,
    help="The folder, or s3://BUCKET/PREFIX, for the thumbnails. A missing folder is created.",
)
recipe_option: Final = click.option(
    "--recipe",
    metavar="FILE",
    type=FILE_PATH,
    help="The recipe file. Default: $THUMBSMITH_RECIPE (a path or TOML text), else ./thumbsmith.toml, else the"
    " built-in recipe.",
)
jobs_option: Final = click.option(
    "--jobs",
    "-j",
    type=Number(1, 256),
    metavar="N",
    help="Number of images to process at the same time. Default: one for each processor core.",
)
json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per line, and nothing else, on stdout."
)
keep_orphans_option: Final = click.option(
    "--keep-orphans", is_flag=True, help="Keep thumbnails whose image or variant does not exist any more."
)
retry_rejected_option: Final = click.option("--retry-rejected", is_flag=True, help="Try rejected sources again.")
prefix_option: Final = click.option(
    "--prefix",
    metavar="P",
    default="",
    help="Only sources whose keys begin with P, and their thumbnails. Default: all.",
)
yes_option: Final = click.option(
    "--yes", "-y", is_flag=True, help="Allow deletion of more than half of all thumbnails. Default: refuse it."
)


def selection_options(function: F) -> F:
    """Add --include and --exclude to a command."""
    include = click.option(
        "--include",
        metavar="GLOB",
        multiple=True,
        help="Only images whose key matches GLOB, such as '**.jpg'. Repeatable. Added to the recipe's include."
        " Thumbnails of other images are orphaned.",
    )
    exclude = click.option(
        "--exclude",
        metavar="GLOB",
        multiple=True,
        help="No images whose key matches GLOB, such as 'drafts/**'. Repeatable. Added to the recipe's exclude."
        " Thumbnails of these images are orphaned.",
    )
    return include(exclude(function))


def _set_level(context: click.Context, parameter: click.Parameter, given: bool) -> None:
    if given:
        context.meta[LEVEL] = parameter.name


def level_options(function: F) -> F:
    """Add -q and -v to a command."""
    quiet = click.option(
        "--quiet", "-q", is_flag=True, expose_value=False, callback=_set_level, help="Print only errors."
    )
    verbose = click.option(
        "--verbose", "-v", is_flag=True, expose_value=False, callback=_set_level, help="Print each image."
    )
    return quiet(verbose(function))


def is_given(context: click.Context, name: str) -> bool:
    """Return whether the user gave the option or argument of this parameter, with any value."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def refuse_unused(context: click.Context, names: Iterable[str], where: str) -> None:
    """Raise UsageError if the user gave one of these parameters. `where` states which runs use it."""
    for name in names:
        if is_given(context, name):
            option = next(each.opts[0] for each in context.command.params if each.name == name)
            if context.params[name] is False:
                option = f"--no-{option.removeprefix('--')}"
            raise UsageError(f"{option}: expected only {where}; this run would ignore it")


def recipe_from(option: str | None) -> Recipe:
    """Return the recipe: that of the option, the environment, the working folder, or the default.

    Raises UsageError.
    """
    from thumbsmith.recipe.recipe import Recipe, find_recipe  # noqa: PLC0415 - not for --version, --help and mistakes

    if option and not lexists(option):
        from thumbsmith.cli.wording import nearest_path  # noqa: PLC0415 - only needed after a mistake

        raise UsageError(f"{option}: expected a readable file, found none{nearest_path(option)}")
    return Recipe.load(option) if option else find_recipe(Setting.RECIPE.read())
