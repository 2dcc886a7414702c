"""`thumbsmith html KEY DST`: the thumbnails of one image as HTML for a page."""

from __future__ import annotations

import click

from thumbsmith.cli.arguments import STORE_TIMEOUT_SECONDS, destination_argument, refuse_unused
from thumbsmith.cli.command import command
from thumbsmith.cli.stopping import stoppable
from thumbsmith.cli.terminal import Console
from thumbsmith.errors import StoreError
from thumbsmith.reconcile import html as markup
from thumbsmith.reconcile.manifest import Manifest, read_manifest
from thumbsmith.store import open_store


@command()
@click.argument("key", metavar="KEY", help="The key of the image: its path below the source.")
@destination_argument
@click.option(
    "--base",
    metavar="URL",
    default="",
    help="The address of DST for the page. Default: the thumbnails are next to the page.",
)
@click.option(
    "--variant", metavar="NAME", help="Use only this variant. Default: all variants that show the whole image."
)
@click.option(
    "--sizes",
    metavar="SIZES",
    default="",
    help="The value of the sizes attribute: the width on the page. Default: the largest width.",
)
@click.option(
    "--alt",
    metavar="TEXT",
    default="",
    help="A description of the image for people who cannot see it. Default: empty.",
)
@click.pass_context
def html(
    context: click.Context, key: str, destination: str, base: str, variant: str | None, sizes: str, alt: str
) -> None:
    """Print a <picture> element for one image, with all formats and widths, its size, and a placeholder.

    Examples:
      thumbsmith html photos/cat.jpg ./thumbs --alt "A cat asleep"

      thumbsmith html photos/cat.jpg ./thumbs --base https://img.example.com --variant icon
    """
    if variant:
        refuse_unused(context, ["sizes"], "without --variant, whose thumbnails have one size")
    choice = markup.Choice(base=base, variant=variant, sizes=sizes, alt=alt)
    with stoppable(Console(), grace=0):
        manifest = _manifest(key, destination)
    click.echo(markup.picture(manifest, choice))


def _manifest(key: str, destination: str) -> Manifest:
    """Return the manifest of the image. Raises StoreError, transient, if there is none yet."""
    store = open_store(destination, outage_seconds=STORE_TIMEOUT_SECONDS).as_destination()
    manifest = read_manifest(store, key)
    if manifest is None:
        raise StoreError(f"{key}: expected its manifest in {destination}, found none: run sync first", transient=True)
    return manifest
