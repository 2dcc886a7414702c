"""`thumbsmith init`: write a recipe file with all fields and their meaning."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from thumbsmith.cli.command import command
from thumbsmith.errors import UsageError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.fields import Option, Table
from thumbsmith.recipe.model import changed_fields
from thumbsmith.recipe.recipe import RECIPE_FILE
from thumbsmith.recipe.schema import DOCUMENT

HEAD: Final = (
    "The recipe of Thumbsmith: which thumbnails to make of which images.",
    'A line such as "#quality = 75" shows a field with its default. Remove the # to change it.',
)


@command(no_args_is_help=False)
def init() -> None:
    """Write ./thumbsmith.toml, a recipe with an explanation of each option.

    An existing file is not changed.

    Examples:
      thumbsmith init

      thumbsmith init && thumbsmith sync ./photos ./thumbs
    """
    try:
        with Path(RECIPE_FILE).open("x", encoding="utf-8") as file:
            file.write(commented_recipe())
    except FileExistsError:
        raise UsageError(f"{RECIPE_FILE} exists already and was not changed: edit it, or rename it first") from None
    except OSError as error:
        raise UsageError(f"{RECIPE_FILE} cannot be written to the working folder: {error.strerror}") from error
    click.echo(f"wrote {RECIPE_FILE}")


def commented_recipe() -> str:
    """Return the default recipe as TOML: its variants, and all other fields as comments with their defaults."""
    lines = [line for sentence in HEAD for line in _comment(sentence)]
    for name, option in DOCUMENT.options.items():
        lines += ["", *_comment(option.description)]
        if isinstance(option.kind, Table):
            lines += [f"[{name}]", *_fields(option.kind.options)]
    for variant in Recipe.default().variants:
        lines += ["", f"[variants.{variant.name}]"]
        lines += [f"{name} = {_toml(value)}" for name, value in changed_fields(variant).items()]
    return "\n".join(lines) + "\n"


def _fields(options: Mapping[str, Option]) -> Iterator[str]:
    """Yield the lines of a table: the meaning of each field, its possible values, and its default."""
    for name, option in options.items():
        yield ""
        yield from _comment(option.description)
        default = "." if option.default is not None else "; no default."
        yield from _comment(f"{name}: {option.kind.expected}{default}")
        if option.default is not None:
            yield f"#{name} = {_toml(option.default)}"


def _comment(sentence: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(sentence, 98)]


def _toml(value: object) -> str:
    """Return a value as TOML: tables as inline tables, other values as JSON, whose syntax is the same."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + " }"
    return json.dumps(value)
