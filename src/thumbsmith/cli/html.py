"""`thumbsmith html KEY DST`: the thumbnails of one image as HTML for a page."""

from __future__ import annotations

from typing import Annotated

import typer

from thumbsmith.cli.arguments import STORE_TIMEOUT_SECONDS, Destination, refuse_unused
from thumbsmith.cli.terminal import stderr_console, stoppable
from thumbsmith.errors import StoreError
from thumbsmith.reconcile import html as markup
from thumbsmith.reconcile.manifest import Manifest, read_manifest
from thumbsmith.store import open_store


def html(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key of the image: its path below the source.")],
    destination: Destination,
    base: Annotated[
        str,
        typer.Option(
            "--base",
            metavar="URL",
            help="The address of DST for the page. Default: the thumbnails are next to the page.",
            show_default=False,
        ),
    ] = "",
    variant: Annotated[
        str | None,
        typer.Option(
            "--variant", metavar="NAME", help="Use only this variant. Default: all variants that show the whole image."
        ),
    ] = None,
    sizes: Annotated[
        str,
        typer.Option(
            "--sizes",
            metavar="SIZES",
            help="The value of the sizes attribute: the width on the page. Default: the largest width.",
            show_default=False,
        ),
    ] = "",
    alt: Annotated[
        str,
        typer.Option(
            "--alt",
            metavar="TEXT",
            help="A description of the image for people who cannot see it. Default: empty.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Print a <picture> element for one image, with all formats and widths, its size, and a placeholder.

    Examples:
      thumbsmith html photos/cat.jpg ./thumbs --alt "A cat asleep"

      thumbsmith html photos/cat.jpg ./thumbs --base https://img.example.com --variant icon
    """
    if variant:
        refuse_unused(context, ["sizes"], "without --variant, whose thumbnails have one size")
    choice = markup.Choice(base=base, variant=variant, sizes=sizes, alt=alt)
    with stoppable(stderr_console(), grace=0):
        manifest = _manifest(key, destination)
    typer.echo(markup.picture(manifest, choice))


def _manifest(key: str, destination: str) -> Manifest:
    """Return the manifest of the image. Raises StoreError, transient, if there is none yet."""
    store = open_store(destination, outage_seconds=STORE_TIMEOUT_SECONDS).as_destination()
    manifest = read_manifest(store, key)
    if manifest is None:
        raise StoreError(f"{key}: expected its manifest in {destination}, found none: run sync first", transient=True)
    return manifest
