"""`thumbsmith doctor`: versions, formats, and the isolation of the processes that handle images."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from thumbsmith import __version__
from thumbsmith.cli.arguments import json_option, recipe_from, recipe_option
from thumbsmith.cli.command import command
from thumbsmith.cli.terminal import emit, styled
from thumbsmith.image.formats import SOURCE_FORMATS
from thumbsmith.recipe import Recipe
from thumbsmith.worker import Workers, usable_cores
from thumbsmith.worker.budget import default_memory_bytes
from thumbsmith.worker.isolation import LAYERS


@command(no_args_is_help=False)
@recipe_option
@json_option
def doctor(recipe: str | None, as_json: bool) -> int:
    """Print versions, the formats that can be read and written, and the isolation of the processes that handle images.

    Such a process tests each isolation layer. The exit code is 1 if a format is missing, or if no worker process can
    start. A layer that this system does not support is printed as "not blocked here". With the environment variable
    THUMBSMITH_ISOLATION=required it is an error with exit code 2.

    Examples:
      thumbsmith doctor

      thumbsmith doctor --json
    """
    found = _findings(recipe_from(recipe))
    if as_json:
        emit("doctor", **found)
    else:
        last = ""
        for label, text in _lines(found):
            name = styled(f"{label:10}", "red" if label == "missing" else "cyan")
            click.echo(f"{name if label != last else ' ' * 10} {text}")
            last = label
    extras = {name: True for name, each in SOURCE_FORMATS.items() if each.extra}
    needed = found["reads"] | extras | found["writes"]
    return 0 if all(needed.values()) else 1


def _findings(recipe: Recipe) -> dict[str, Any]:
    from thumbsmith.image import eighth, opening  # noqa: PLC0415 - Pillow is slow to load

    return {
        "thumbsmith": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libraries": opening.library_versions(),
        "reads": opening.decodable_formats(),
        "writes": opening.encodable_formats(),
        "native": eighth.is_available(),
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
    yield "libraries", ", ".join(f"{name} {number}" for name, number in found["libraries"].items())
    for label in ("reads", "writes"):
        yield label, ", ".join(name for name, available in found[label].items() if available)
        for name in (name for name, available in found[label].items() if not available):
            yield "missing", name + _installs(name)
    missing = "there is no native decoder for this system: small thumbnails of large JPEGs take longer"
    yield "native", "decoder for small thumbnails of JPEGs" if found["native"] else missing
    yield "workers", f"{found['workers']}, with {found['memory'] >> 20:,} MiB for all images in progress"
    layers = found["isolation"]
    for name in sorted(layers, key=lambda name: not layers[name]):
        layer = LAYERS[name]
        yield (
            ("isolation", styled(f"blocked: {layer.blocks}", "green"))
            if layers[name]
            else ("isolation", styled(f"not blocked here: {layer.blocks}. A malicious image {layer.risk}", "yellow"))
        )


def _installs(name: str) -> str:
    """Return how to install the decoder of a format, after a colon; nothing where Pillow or libvips decodes it."""
    found = SOURCE_FORMATS.get(name)
    if found is None or found.package is None:
        return ""
    return f": {found.install}"
