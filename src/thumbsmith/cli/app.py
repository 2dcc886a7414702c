"""All commands under one name. Each is loaded when it is asked for: nobody waits for what the others import."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

# In the order of the help. A command is the function of its name in the module of its name, below this package.
COMMANDS: Final = (
    "make",
    "plan",
    "cost",
    "sync",
    "redrive",
    "watch",
    "serve",
    "sign",
    "explain",
    "html",
    "init",
    "conformance",
    "demo",
    "doctor",
)
WITHOUT_ARGUMENTS: Final = frozenset({"serve", "init", "conformance", "demo", "doctor"})


class Commands(TyperGroup):
    """The commands, known by their names."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {name: TyperCommand(name) for name in (*COMMANDS, "aws")}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's signature
        """Return a command of this name, loaded; None where there is none."""
        return loaded(cmd_name) if cmd_name in self.commands else None


@cache
def loaded(name: str) -> Any:
    """Return a command as typer makes it of its function."""
    if name == "aws":
        return typer.main.get_command(import_module("thumbsmith.cli.aws").aws)
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    alone.command(name, no_args_is_help=name not in WITHOUT_ARGUMENTS)(
        getattr(import_module(f"thumbsmith.cli.{name}"), name)
    )
    return typer.main.get_command(alone)


app = typer.Typer(
    cls=Commands,
    name="thumbsmith",
    help="Thumbnails of the images in a bucket or a folder, kept right for ever.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"thumbsmith {version('thumbsmith')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Thumbnails of the images in a bucket or a folder, kept right for ever.

    They are replaced when the source is replaced, removed when it goes, and remade when the recipe changes.
    """
