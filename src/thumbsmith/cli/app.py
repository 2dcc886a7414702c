"""All commands under one name."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Final

import typer

from thumbsmith.cli import (
    conformance,
    cost,
    demo,
    doctor,
    explain,
    html,
    init,
    make,
    plan,
    redrive,
    serve,
    sign,
    sync,
    watch,
)
from thumbsmith.cli.aws.commands import aws

app = typer.Typer(
    name="thumbsmith",
    help="Thumbnails of the images in a bucket or a folder, kept right for ever.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS: Final = (
    make.make,
    plan.plan,
    cost.cost,
    sync.sync,
    redrive.redrive,
    watch.watch,
    serve.serve,
    sign.sign,
    explain.explain,
    html.html,
    init.init,
    conformance.conformance,
    demo.demo,
    doctor.doctor,
)
WITHOUT_ARGUMENTS: Final = (serve.serve, init.init, conformance.conformance, demo.demo, doctor.doctor)

for command in COMMANDS:
    app.command(no_args_is_help=command not in WITHOUT_ARGUMENTS)(command)
app.add_typer(aws)


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
