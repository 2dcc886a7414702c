"""`thumbsmith doctor`: versions, formats, and the isolation of the processes that handle images."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import click

from thumbsmith.cli.arguments import json_option, recipe_from, recipe_option
from thumbsmith.cli.command import command
from thumbsmith.cli.terminal import emit
from thumbsmith.recipe import Recipe
from thumbsmith.worker.budget import default_memory_bytes
from thumbsmith.worker.isolation import LAYERS
from thumbsmith.worker.pool import Workers, usable_cores


@command(no_args_is_help=False)
@recipe_option
@json_option
def doctor(recipe: str | None, as_json: bool) -> int:
    """Print versions, the formats that can be read and written, and the isolation of the processes that handle images.

    Such a process tests each isolation layer. The exit code is 1 if a format is missing, or if no worker process can
    start. A layer that this system does not support is printed as refused. With the environment variable
    THUMBSMITH_ISOLATION=required it is an error with exit code 2.

    Examples:
      thumbsmith doctor

      thumbsmith doctor --json
    """
    found = _findings(recipe_from(recipe))
    if as_json:
        emit("doctor", **found)
    else:
        for label, text in _lines(found):
            click.echo(f"{label:10} {text}")
    needed = {**found["reads"], "heic": True} | found["writes"]  # HEIC is an extra
    return 0 if all(needed.values()) else 1


def _findings(recipe: Recipe) -> dict[str, Any]:
    from thumbsmith.image import opening  # noqa: PLC0415 - Pillow is slow to load

    return {
        "thumbsmith": version("thumbsmith"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libraries": opening.library_versions(),
        "reads": opening.decodable_formats(),
        "writes": opening.encodable_formats(),
        "workers": usable_cores(),
        "memory": default_memory_bytes(),
        "limits": {name: getattr(recipe.limits, name) for name in ("max_cpu_seconds", "max_memory", "max_pixels")},
        "isolation": _layers(),
    }


def _layers() -> dict[str, bool]:
    with Workers(1) as workers:
        return workers.layers()


def _lines(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the facts for people: a label and a text."""
    yield "thumbsmith", f"{found['thumbsmith']}, Python {found['python']} ({sys.executable})"
    yield "system", found["system"]
    for name, number in found["libraries"].items():
        yield "library", f"{name} {number}"
    for label in ("reads", "writes"):
        yield label, ", ".join(name for name, available in found[label].items() if available)
        for name in (name for name, available in found[label].items() if not available):
            yield "missing", name + (': pip install "thumbsmith[heic]"' if name == "heic" else "")
    yield "workers", f"{found['workers']}, with {found['memory'] >> 20:,} MiB for all images in progress"
    for name, active in found["isolation"].items():
        layer = LAYERS[name]
        refused = (
            f"{layer.blocks} is not blocked, since this system does not support it: a malicious image {layer.risk}"
        )
        yield ("blocked", layer.blocks) if active else ("refused", refused)
