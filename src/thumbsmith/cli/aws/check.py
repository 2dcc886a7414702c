"""`thumbsmith aws check STACK`: put a picture into a deployment, and see its thumbnails come and go."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Final, TypeVar

import typer

from thumbsmith import manifest as manifests
from thumbsmith.cli.arguments import Json
from thumbsmith.cli.aws.deployment import Deployment, deployment_of
from thumbsmith.cli.output import emit
from thumbsmith.errors import StoreError
from thumbsmith.keys import MANIFEST
from thumbsmith.manifest import Manifest
from thumbsmith.store.types import Headers, Store
from thumbsmith.worker.layers import LAYERS

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


def read_manifest(destination: Store, key: str) -> Manifest | None:
    """Return the manifest of the key, None while there is none."""
    reader = destination.open(f"{key}/{MANIFEST}")
    if reader is None:
        return None
    with closing(reader):
        return manifests.parse(reader.read(0, manifests.MAX_BYTES))


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
