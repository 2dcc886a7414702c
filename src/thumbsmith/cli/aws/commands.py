"""`thumbsmith aws deploy` and its like: `cdk` on the ready app, without a Node.js or `cdk` of one's own."""

from __future__ import annotations

from typing import Final

import typer

from thumbsmith.cli.aws.check import check
from thumbsmith.cli.aws.toolkit import toolkit

PASS_ON: Final = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

COMMANDS: Final = {
    "deploy": "Deploy the application, or what has changed of it.",
    "synth": "Print the CloudFormation template.",
    "diff": "Say what a deployment would change.",
    "list": "List the stacks.",
    "bootstrap": "Prepare an account and region for deployments, once.",
    "destroy": "Remove the stack. Buckets that it made stay, unless it was deployed with -c keep=false.",
}

aws = typer.Typer(
    name="aws",
    help="Thumbnails on AWS: deploy, check, remove. All options of AWS's cdk, as -c source=my-bucket, are passed on.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
)


def _add(name: str, does: str) -> None:
    """Add a command that passes all its arguments on to cdk."""

    @aws.command(name, help=does, context_settings=PASS_ON)
    def run(context: typer.Context) -> None:
        raise typer.Exit(toolkit().run(name, context.args))


for _name, _does in COMMANDS.items():
    _add(_name, _does)

aws.command("check", no_args_is_help=True)(check)
