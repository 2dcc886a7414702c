"""`thumbsmith demo`: thumbnails of sample images, or of a few files, with a page that shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from thumbsmith.bulk.scan import Scope
from thumbsmith.cli.arguments import level_options, recipe_from, recipe_option
from thumbsmith.cli.command import FILE_PATH, command
from thumbsmith.cli.demo_page import page
from thumbsmith.cli.make_images import check_image, own_output, print_skipped
from thumbsmith.cli.sync import run
from thumbsmith.cli.terminal import Console
from thumbsmith.cli.wording import printable
from thumbsmith.errors import UsageError
from thumbsmith.reconcile.manifest import Manifest, read_manifest
from thumbsmith.store import Headers, Store, open_store
from thumbsmith.worker import usable_cores

FOLDER: Final = Path("thumbsmith-demo")

# The samples, each with what it shows.
SAMPLES: Final = {
    "astronaut.jpg": "A photograph.",
    "camera.png": "A gray PNG.",
    "chelsea.jpg": "Stored on its side, with an EXIF orientation: its thumbnails are upright.",
    "coffee.webp": "A WebP.",
    "large.jpg": "24 megapixels: its thumbnails take a fraction of a second and little memory.",
    "rocket.jpg": "Dark, with fine details.",
    "transparent.png": "Transparent: formats with transparency keep it, and no background color shows through.",
    "wide-gamut.png": "Colors in Display P3: they are converted to sRGB, so that they look right on every screen.",
}


@command(no_args_is_help=False)
@click.argument(
    "images",
    metavar="[IMAGE]...",
    nargs=-1,
    type=FILE_PATH,
    help="Image files. Default: eight samples.",
)
@recipe_option
@level_options
def demo(images: tuple[str, ...], recipe: str | None) -> int:
    """Make thumbnails of sample images, or of the files given, and print where they are.

    All files are in ./thumbsmith-demo: the images in sources, their thumbnails in thumbnails, and the page index.html,
    which shows both.

    Examples:
      thumbsmith demo

      thumbsmith demo ~/Pictures/holiday.jpg --recipe shop.toml
    """
    loaded = recipe_from(recipe)
    sources = open_store(FOLDER / "sources")
    thumbnails = open_store(FOLDER / "thumbnails").as_destination()
    paths = [Path(image) for image in images]
    skipped = own_output(paths, loaded) | _thumbnails_of_demo(paths)
    given = [path for path in paths if path not in skipped]
    for path in given:
        check_image(path)
    files_by_name = {path.name: path for path in given} if images else {name: _sample(name) for name in SAMPLES}
    console = Console()
    print_skipped(skipped, console)
    if not files_by_name:
        raise UsageError("all of these images are thumbnails: expected the original images")
    if len(files_by_name) < len(given):
        raise UsageError("two of the images have the same name: expected different names")
    contents = {name: _content(path) for name, path in files_by_name.items()}
    sources.check_writable()
    thumbnails.check_writable()
    _fill(sources, contents)
    code = run(Scope(source=sources, destination=thumbnails, recipe=loaded), jobs=usable_cores(), yes=True)
    manifests = [manifest for name in contents if (manifest := read_manifest(thumbnails, name))]
    (FOLDER / "index.html").write_text(page(manifests, {} if images else SAMPLES), encoding="utf-8")
    _print_table(manifests, console)
    return code


def _thumbnails_of_demo(images: Sequence[Path]) -> dict[Path, str]:
    """Return the images that an earlier demo made, each with half a sentence that says so."""
    made = (FOLDER / "thumbnails").resolve()
    return {
        image: f"it is a thumbnail of {printable(image.resolve().parent.name)}"
        for image in images
        if image.resolve().is_relative_to(made)
    }


def _sample(name: str) -> Path:
    return Path(str(files("thumbsmith") / "samples" / name))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: expected a readable image file, found: {error.strerror}") from error


def _fill(store: Store, contents: dict[str, bytes]) -> None:
    """Write these files to the store, without those that it has already, and delete all others."""
    for info in list(store.list()) if FOLDER.joinpath("sources").is_dir() else ():
        if info.key not in contents:
            store.delete(info.key)
    for name, content in contents.items():
        existing = store.open(name)
        if existing is None or existing.size != len(content) or existing.read(0, len(content)) != content:
            store.put(name, content, Headers(content_type="application/octet-stream"))
        if existing:
            existing.close()


def _print_table(manifests: list[Manifest], console: Console) -> None:
    """Print each image with its thumbnails, their sizes in pixels and in bytes, in aligned columns."""
    rows = [row for manifest in manifests for row in _rows(manifest)]
    names, sizes, amounts = (max(len(row[column]) for row in rows) for column in range(3))
    for name, size, amount in rows:
        console.say(f"{name:<{names}}  {size:>{sizes}}  {amount:>{amounts}}".rstrip())
    console.say(f"\nThumbnails: {FOLDER / 'thumbnails'}\nPage:       {FOLDER / 'index.html'}")


def _rows(manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    source = manifest.source
    size = f"{source.width} x {source.height}" if source.width else ""
    rejected = f"  {manifest.rejection.code}" if manifest.rejection else ""
    yield f"{printable(source.key)}{rejected}", size, f"{source.bytes:,} bytes"
    for each in manifest.renditions:
        yield f"  {each.name}", f"{each.width} x {each.height}", f"{each.bytes:,} bytes"
