"""All commands under one name. Each command loads its module on first use, so no command pays for the others."""

from __future__ import annotations

import gc
from importlib import import_module
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from thumbsmith import __version__
from thumbsmith.cli.arguments import level_options
from thumbsmith.cli.command import Context
from thumbsmith.errors import UsageError

# In the order of the help. A command is the object of this name in the module of this name in this package.
COMMANDS: Final = {
    "make": "Make thumbnails of image files.",
    "sync": "Make the thumbnails of a folder or bucket match its images.",
    "watch": "Sync, then follow the changes of a folder.",
    "plan": "Print what sync would do, and why.",
    "explain": "Print the state of one image, and why.",
    "html": "Print a <picture> element for one image.",
    "init": "Write a recipe file with all options and their meaning.",
    "work": "Handle the messages of queues, as the function on AWS does.",
    "serve": "Serve an HTTP API and a page for a folder.",
    "sign": "Print the signed address of a thumbnail on demand.",
    "demo": "Make thumbnails of sample photographs.",
    "doctor": "Print versions, formats and isolation layers.",
    "conformance": "Check the thumbnails of difficult test images.",
    "cost": "Print the estimated cost of many images on AWS.",
    "redrive": "Send dead letters back to their queue.",
    "aws": "Deploy to AWS, check and delete a deployment.",
}

# What other programs call a command, and what it is here.
OTHER_NAMES: Final = {
    "help": "--help",
    "version": "--version",
    "completion": "--install-completion",
    "resize": "make",
    "convert": "make",
    "thumbnail": "make",
    "generate": "make",
    "create": "make",
    "copy": "sync",
    "run": "sync",
    "update": "sync",
    "diff": "plan",
    "status": "plan",
    "check": "plan",
    "info": "explain",
    "why": "explain",
    "server": "serve",
    "web": "serve",
    "worker": "work",
    "consume": "work",
    "deploy": "aws deploy",
}


class Commands(click.Group):
    """The group of all commands. It knows their names without their modules."""

    context_class = Context

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Return the command of this name; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"thumbsmith.cli.{cmd_name}"), cmd_name)
        # Modules live as long as the process. Garbage collections during their import and at the end of the process
        # took a quarter of the CPU time of a command.
        gc.freeze()
        gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """Write the list of commands, without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin with this text, without loading the commands."""
        found = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name. Raises UsageError, with the command that was probably meant."""
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            from thumbsmith.cli.mistakes import unknown_command  # noqa: PLC0415 - only needed after a mistake

            raise UsageError(unknown_command(args, COMMANDS, OTHER_NAMES))
        return super().resolve_command(ctx, args)


def _print_version(context: click.Context, _: click.Parameter, requested: bool) -> None:
    if requested and not context.resilient_parsing:
        click.echo(f"thumbsmith {__version__}")
        context.exit()


def _install_completion(context: click.Context, _: click.Parameter, requested: str | None) -> None:
    if requested is not None and not context.resilient_parsing:
        from thumbsmith.cli.completion import install  # noqa: PLC0415 - only this option needs it

        click.echo(install(requested))
        context.exit()


@click.group(
    cls=Commands,
    name="thumbsmith",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog='"thumbsmith COMMAND --help" explains a command and shows examples.',
)
@click.option(
    "--version",
    "-V",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version and exit.",
)
@click.option(
    "--install-completion",
    metavar="[SHELL]",
    is_flag=False,
    flag_value="",
    expose_value=False,
    is_eager=True,
    callback=_install_completion,
    help="Let bash, zsh or fish complete commands and options. Default: the shell in use.",
)
@level_options
def app(**_: Any) -> None:
    """Make thumbnails of the images in a bucket or a folder, and keep them up to date.

    A new version of an image replaces its thumbnails. A deleted image deletes them. A new recipe makes them again.
    """
