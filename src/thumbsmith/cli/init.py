"""`thumbsmith init`: write a recipe file with all fields and their meaning."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from thumbsmith.cli.command import FILE_PATH, Words, command
from thumbsmith.cli.wording import printable
from thumbsmith.errors import UsageError
from thumbsmith.migrate.conversion import Conversion, toml_value
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.fields import Option, Table
from thumbsmith.recipe.model import changed_fields
from thumbsmith.recipe.recipe import RECIPE_FILE
from thumbsmith.recipe.schema import DOCUMENT

HEAD: Final = (
    "The recipe of Thumbsmith: which thumbnails to make of which images.",
    'A line such as "#quality = 75" shows a field with its default. Remove the # to change it.',
)


# The programs whose settings can be converted.
KINDS: Final = ("firebase", "aws-lambda-image", "serverless-image-handler")


@command(no_args_is_help=False)
@click.option(
    "--from",
    "origin",
    nargs=2,
    type=(Words(KINDS), FILE_PATH),
    metavar="KIND FILE",
    help="Convert the settings of another program: firebase and a .env file, aws-lambda-image and a config.json, or"
    " serverless-image-handler and a file of requests.",
)
def init(origin: tuple[str, str] | None) -> None:
    """Write ./thumbsmith.toml, a recipe with an explanation of each option.

    An existing file is not changed.
    With --from, the recipe has the thumbnails of another program, and what will be different is printed.

    Examples:
      thumbsmith init

      thumbsmith init && thumbsmith sync ./photos ./thumbs

      thumbsmith init --from firebase extensions/storage-resize-images.env
    """
    conversion = _converted(*origin) if origin else None
    text = conversion.toml(origin[1]) if conversion and origin else commented_recipe()
    try:
        with Path(RECIPE_FILE).open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{RECIPE_FILE} exists already and was not changed: edit it, or rename it first") from None
    except OSError as error:
        raise UsageError(f"{RECIPE_FILE} cannot be written to the working folder: {error.strerror}") from error
    click.echo(f"wrote {RECIPE_FILE}")
    for sentence in conversion.differences if conversion else ():
        click.echo(printable(f"different: {sentence}"))


def _converted(kind: str, path: str) -> Conversion:
    """Return the conversion of a file. Raises UsageError if it cannot be read or converted."""
    from thumbsmith.migrate import aws_lambda_image, firebase, image_handler  # noqa: PLC0415 - only for --from

    convert = dict(zip(KINDS, (firebase.convert, aws_lambda_image.convert, image_handler.convert), strict=True))[kind]
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not text in UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise UsageError(f"{path}: expected a readable file: {reason}") from error
    return convert(text, path)


def commented_recipe() -> str:
    """Return the default recipe as TOML: its variants, and all other fields as comments with their defaults."""
    lines = [line for sentence in HEAD for line in _comment(sentence)]
    for name, option in DOCUMENT.options.items():
        lines += ["", *_comment(option.description)]
        if isinstance(option.kind, Table):
            lines += [f"[{name}]", *_fields(option.kind.options)]
    for variant in Recipe.default().variants:
        lines += ["", f"[variants.{variant.name}]"]
        lines += [f"{name} = {toml_value(value)}" for name, value in changed_fields(variant).items()]
    return "\n".join(lines) + "\n"


def _fields(options: Mapping[str, Option]) -> Iterator[str]:
    """Yield the lines of a table: the meaning of each field, its possible values, and its default."""
    for name, option in options.items():
        yield ""
        yield from _comment(option.description)
        default = "." if option.default is not None else "; no default."
        yield from _comment(f"{name}: {option.kind.expected}{default}")
        if option.default is not None:
            yield f"#{name} = {toml_value(option.default)}"


def _comment(sentence: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(sentence, 98)]
