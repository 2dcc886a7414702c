"""`thumbsmith aws check STACK`: put an image into a deployment, and verify that thumbnails appear and disappear."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, TypeVar

import click

from thumbsmith.backfill.clients import client, stack_outputs, translate_aws_errors
from thumbsmith.cli.arguments import json_option
from thumbsmith.cli.command import Number, command
from thumbsmith.cli.terminal import emit
from thumbsmith.errors import StoreError
from thumbsmith.reconcile.manifest import Manifest, read_manifest
from thumbsmith.store import open_store
from thumbsmith.store.base import Headers, Store
from thumbsmith.worker.isolation import LAYERS

T = TypeVar("T")

SAMPLE: Final = "chelsea.jpg"
POLL_SECONDS: Final = 0.2
LOG_SECONDS: Final = 3600


@command(short_help="Check a deployment: make and delete thumbnails.")
@click.argument("stack", metavar="STACK", help="The name of the stack: Thumbsmith, unless you changed it.")
@click.option(
    "--timeout",
    type=Number(1, fraction=True),
    default=120.0,
    metavar="S",
    help="Maximum time for each step, in seconds. Default: 120.",
)
@json_option
def check(stack: str, timeout: float, as_json: bool) -> None:
    """Check a deployment: put a small image, verify its thumbnails, delete it, and wait for their deletion.

    Examples:
      thumbsmith aws check Thumbsmith
    """
    deployment, key = deployment_of(stack), f"thumbsmith-check-{secrets.token_hex(8)}.jpg"
    image = (files("thumbsmith") / "samples" / SAMPLE).read_bytes()
    source, destination = deployment.source, deployment.destination
    steps = Steps(as_json=as_json)
    try:
        etag = steps.run("put", lambda: source.put(key, image, Headers(content_type="image/jpeg")))
        manifest = steps.run(
            "made", lambda: _wait_for(lambda: read_manifest(destination, key), timeout, "the manifest of the image")
        )
        steps.run("verified", lambda: verify(manifest, destination, key, etag))
    finally:
        steps.run("deleted", lambda: source.delete(key))
    steps.run(
        "gone", lambda: _wait_for(lambda: not list(destination.children(key)), timeout, "deletion of the thumbnails")
    )
    _print_isolation(deployment, as_json=as_json)


@dataclass(frozen=True, slots=True)
class Deployment:
    """The stores of a deployed stack, and the name of its function."""

    source: Store
    destination: Store
    function: str

    def missing_layers(self) -> list[str] | None:
        """Return the isolation layers that were missing when the function last started; None if its log has no entry.

        Raises StoreError if the function or its log cannot be read.
        """
        with translate_aws_errors(f"function {self.function}"):
            found = client("lambda").get_function_configuration(FunctionName=self.function)
            group = found.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{self.function}")
            pages = client("logs").get_paginator("filter_log_events")
            pattern, start = '{ $.event = "isolation" }', int((time.time() - LOG_SECONDS) * 1000)
            lines = [
                each["message"]
                for page in pages.paginate(logGroupName=group, filterPattern=pattern, startTime=start)
                for each in page["events"]
                if '"event": "isolation"' in each["message"]
            ]
        return list(json.loads(lines[-1])["open"]) if lines else None


def deployment_of(stack: str) -> Deployment:
    """Return the deployment that the outputs of the stack describe.

    Raises StoreError, not transient, for a stack that does not exist or has other outputs.
    """
    outputs = stack_outputs(stack)
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


@dataclass(frozen=True, slots=True)
class Steps:
    """Runs the steps of the check, and prints the time of each."""

    as_json: bool

    def run(self, name: str, work: Callable[[], T]) -> T:
        """Run a step and return its result. A step that raises is not printed."""
        started = time.monotonic()
        result = work()
        seconds = round(time.monotonic() - started, 3)
        if self.as_json:
            emit("step", step=name, seconds=seconds)
        else:
            click.echo(f"{name:<9} {seconds:7.3f} s")
        return result


def verify(manifest: Manifest, destination: Store, key: str, etag: str) -> None:
    """Raise StoreError, not transient, unless the manifest is for this etag and all its renditions exist."""
    sizes = {info.key: info.size for info in destination.children(key)}
    wrong = [each.key for each in manifest.renditions if sizes.get(each.key) != each.bytes]
    if manifest.rejection:
        raise StoreError(f"{key}: expected thumbnails, found a rejection: {manifest.rejection.detail}", transient=False)
    if manifest.source.etag != etag:
        raise StoreError(f"{key}: expected the manifest of this image, found that of another one", transient=False)
    if not manifest.renditions or wrong:
        raise StoreError(f"{key}: expected all thumbnails of its manifest, missing {wrong or 'all'}", transient=False)


def _wait_for(attempt: Callable[[], T | None], timeout: float, what: str) -> T:
    """Return the first true result of `attempt`. Raises StoreError, transient, after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not (found := attempt()):
        if time.monotonic() > end:
            raise StoreError(f"waited {timeout:g} seconds for {what}: see docs/runbook.md", transient=True)
        time.sleep(POLL_SECONDS)
    return found


def _print_isolation(deployment: Deployment, *, as_json: bool) -> None:
    """Print the missing isolation layers of the function. A log that cannot be read is not an error."""
    try:
        missing = deployment.missing_layers()
    except StoreError as problem:
        missing, why = None, f"unknown: {problem}"
    else:
        why = "unknown: the log of the function has no entry about isolation from the last hour"
    if as_json:
        emit("step", step="isolation", open=missing)
    elif missing is None:
        click.echo(f"isolation {why}")
    else:
        words = ", ".join(LAYERS[name].blocks if name in LAYERS else name for name in missing)
        click.echo(f"isolation {f'does not block: {words} (docs/security.md)' if words else 'all layers are active'}")
