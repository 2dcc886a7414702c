"""`thumbsmith html KEY DST`: one image's thumbnails as HTML, ready to paste."""

from __future__ import annotations

from typing import Annotated

import typer

from thumbsmith.cli.arguments import PATIENCE, Destination, refuse_ignored
from thumbsmith.cli.terminal import people, stoppable
from thumbsmith.errors import StoreError
from thumbsmith.reconcile import html as markup
from thumbsmith.reconcile.manifest import Manifest, read_manifest
from thumbsmith.store import open_store


def html(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The image's key: its path below the source.")],
    destination: Destination,
    base: Annotated[
        str, typer.Option("--base", metavar="URL", help="Where the page finds the thumbnails. Else beside it.")
    ] = "",
    variant: Annotated[
        str | None,
        typer.Option("--variant", metavar="NAME", help="Only this one. Else all that show the whole picture."),
    ] = None,
    sizes: Annotated[
        str, typer.Option("--sizes", metavar="SIZES", help="How wide the page shows it. Else its largest width.")
    ] = "",
    alt: Annotated[
        str, typer.Option("--alt", metavar="TEXT", help="What the picture shows, for who cannot see it.")
    ] = "",
) -> None:
    """Print the <picture> element of one image: every format and width, its size, and what to show until it is there.

    Examples:
      thumbsmith html photos/cat.jpg ./thumbs --alt "A cat asleep"

      thumbsmith html photos/cat.jpg ./thumbs --base https://img.example.com --variant icon
    """
    if variant:
        refuse_ignored(context, ["sizes"], "without --variant, whose pictures have one size")
    choice = markup.Choice(base=base, variant=variant, sizes=sizes, alt=alt)
    with stoppable(people(), grace=0):
        found = _manifest(key, destination)
    typer.echo(markup.picture(found, choice))


def _manifest(key: str, destination: str) -> Manifest:
    """Return what is recorded of the image. Raises StoreError, transient, where that is nothing yet."""
    store = open_store(destination, patience=PATIENCE).as_destination()
    manifest = read_manifest(store, key)
    if manifest is None:
        raise StoreError(f"{key}: expected its manifest in {destination}, found none: run sync first", transient=True)
    return manifest
