"""All commands under one name. Each command loads its module on first use, so no command pays for the others."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

# In the order of the help. A command is the function of this name in the module of this name in this package.
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
    """The group of all commands. It knows their names without their modules."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {name: TyperCommand(name) for name in (*COMMANDS, "aws")}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's signature
        """Return the command of this name; None for an unknown name."""
        return load_command(cmd_name) if cmd_name in self.commands else None


@cache
def load_command(name: str) -> Any:
    """Return a command as typer builds it from its function."""
    if name == "aws":
        return typer.main.get_command(import_module("thumbsmith.cli.aws").aws)
    single = typer.Typer(add_completion=False, rich_markup_mode="rich")
    single.command(name, no_args_is_help=name not in WITHOUT_ARGUMENTS)(
        getattr(import_module(f"thumbsmith.cli.{name}"), name)
    )
    return typer.main.get_command(single)


app = typer.Typer(
    cls=Commands,
    name="thumbsmith",
    help="Makes thumbnails of the images in a bucket or a folder, and keeps them up to date.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(requested: bool) -> None:
    if requested:
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
    """Make thumbnails of the images in a bucket or a folder, and keep them up to date.

    A new version of an image replaces its thumbnails. A deleted image deletes them. A new recipe makes them again.
    """
