"""`thumbsmith html DST KEY`: the thumbnails of one image as HTML for a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from thumbsmith.cli.arguments import STORE_TIMEOUT_SECONDS, refuse_unused
from thumbsmith.cli.command import FILE_PATH, command
from thumbsmith.cli.keys import destination_and_key, key_below, nearest
from thumbsmith.cli.stopping import stoppable
from thumbsmith.cli.terminal import Console
from thumbsmith.errors import StoreError
from thumbsmith.recipe.names import MANIFEST, is_managed_name
from thumbsmith.reconcile import html as markup
from thumbsmith.reconcile.manifest import Manifest, read_manifest
from thumbsmith.store import Store, open_store


@command()
@click.argument("one", metavar="DST", type=FILE_PATH, help="The folder, or s3://BUCKET/PREFIX, with the thumbnails.")
@click.argument(
    "two", metavar="KEY", type=FILE_PATH, help="The key of the image, or the path of its file or of its thumbnails."
)
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
def html(context: click.Context, one: str, two: str, base: str, variant: str | None, sizes: str, alt: str) -> None:
    """Print a <picture> element for one image, with all formats and widths, its size, and a placeholder.

    KEY may also come before DST.

    Examples:
      thumbsmith html ./thumbs photos/cat.jpg --alt "A cat asleep"
      thumbsmith html ./thumbs photos/cat.jpg --base https://img.example.com --variant icon
    """
    if variant:
        refuse_unused(context, ["sizes"], "without --variant, whose thumbnails have one size")
    choice = markup.Choice(base=base, variant=variant, sizes=sizes, alt=alt)
    with stoppable(Console(), grace=0):
        destination, key = destination_and_key(one, two)
        manifest = _manifest(key, destination)
    click.echo(markup.picture(manifest, choice))


def _manifest(argument: str, destination: str) -> Manifest:
    """Return the manifest of the image. Raises StoreError, transient, if there is none yet."""
    store = open_store(destination, outage_seconds=STORE_TIMEOUT_SECONDS).as_destination()
    for key in _keys(argument, store):
        if manifest := read_manifest(store, key):
            return manifest
    similar = nearest(argument, _known_keys(store, argument))
    hint = f"did you mean {similar}?" if similar else "run sync first"
    raise StoreError(f"{argument}: expected its manifest in {destination}, found none: {hint}", transient=True)


def _keys(argument: str, store: Store) -> Iterator[str]:
    """Yield the keys that an argument may mean.

    These are the argument, the key of a path below the destination, and the ends of the path of an image.
    """
    yield argument
    below = key_below(store, argument.rstrip("/"))
    yield below
    image, _, name = below.rpartition("/")
    if name == MANIFEST or is_managed_name(name):
        yield image
    if Path(argument).is_file():
        parts = Path(argument).resolve().parts[1:]
        yield from ("/".join(parts[start:]) for start in range(len(parts)))


def _known_keys(store: Store, key: str) -> Iterator[str]:
    """Yield the keys that have a manifest: first those in the folder of the key, then all."""
    folder = key.rpartition("/")[0]
    for prefix in dict.fromkeys((f"{folder}/" if folder else "", "")):
        for info in store.list(prefix):
            source, _, name = info.key.rpartition("/")
            if name == MANIFEST:
                yield source
