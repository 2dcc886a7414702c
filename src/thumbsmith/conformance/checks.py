"""What was made of a case, held against what must become of it.

The cases brought to this machine's engine, or to a deployment through its stores.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Final

from PIL import Image, ImageCms, UnidentifiedImageError

from thumbsmith.conformance.cases import Case
from thumbsmith.errors import ThumbsmithError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.model import MAX_RENDITION_SIDE
from thumbsmith.reconcile.converge import Renderer, converge
from thumbsmith.reconcile.manifest import Manifest, RenditionRecord, read_manifest
from thumbsmith.store.base import Headers, Store
from thumbsmith.store.memory import MemoryStore

# Quarters of pictures that are smaller than this have no middle that only their colour reaches.
SMALLEST: Final = 24

# Levels of opacity that count as transparent and as opaque.
CLEAR: Final = 16
OPAQUE: Final = 239

QUARTERS: Final = ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75))


def mistakes(case: Case, manifest: Manifest, destination: Store) -> Iterator[str]:
    """Yield a sentence for each thing that is not as it must be. Raises StoreError."""
    if case.codes:
        yield from _unrejected(case, manifest)
        return
    if manifest.rejection:
        yield f"rejected as {manifest.rejection.code}: {manifest.rejection.detail}"
        return
    if (manifest.source.width, manifest.source.height) != case.size:
        yield "the source is {}x{}, not {}x{}".format(manifest.source.width, manifest.source.height, *case.size)
    if not manifest.renditions:
        yield "there are no renditions"
    for each in manifest.renditions:
        for mistake in _wrong(case, manifest, each, destination):
            yield f"{each.name}: {mistake}"


def _unrejected(case: Case, manifest: Manifest) -> Iterator[str]:
    expected = " or ".join(case.codes)
    if manifest.rejection is None:
        yield f"not rejected, where {expected} is due"
    elif manifest.rejection.code not in case.codes:
        yield f"rejected as {manifest.rejection.code}, where {expected} is due"
    elif manifest.renditions:
        yield "rejected, and there are renditions"


def _wrong(case: Case, manifest: Manifest, record: RenditionRecord, destination: Store) -> Iterator[str]:
    """Yield what is wrong with one rendition."""
    reader = destination.open(record.key)
    if reader is None:
        yield "it is not there"
        return
    with closing(reader):
        data = reader.read(0, reader.size)
    if hashlib.sha256(data).hexdigest() != record.sha256:
        yield "its bytes are not those in the manifest"
        return
    try:
        image = Image.open(BytesIO(data))
        image.load()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        yield "it cannot be decoded"
        return
    if image.size != (record.width, record.height) or max(image.size) > MAX_RENDITION_SIDE:
        yield "it is {}x{}, not {}x{}".format(*image.size, record.width, record.height)
    if image.format != record.format.upper():
        yield f"it is {image.format}, not {record.format}"
    if manifest.shows_whole_picture(record) and min(image.size) >= SMALLEST:
        yield from _miscolored(case, image)


def _miscolored(case: Case, image: Image.Image) -> Iterator[str]:
    """Yield which quarter has another colour than the card's, or is not as transparent."""
    seen = _in_srgb(image).convert("RGBA")
    for number, (across, down) in enumerate(QUARTERS):
        *color, opacity = _middle(seen, across, down)
        clear = case.clear and number == 0
        if clear and image.format != "JPEG":
            if opacity > CLEAR:
                yield "its first quarter is not transparent"
        elif opacity < OPAQUE:
            yield f"quarter {number + 1} is transparent"
        elif not clear and max(abs(a - b) for a, b in zip(color, case.colors[number], strict=True)) > case.tolerance:
            yield "quarter {} is #{:02x}{:02x}{:02x}, not #{:02x}{:02x}{:02x}".format(
                number + 1, *color, *case.colors[number]
            )


def _in_srgb(image: Image.Image) -> Image.Image:
    """Return a picture that keeps its own colour space as it is seen."""
    if image.mode != "RGB" or "icc_profile" not in image.info:
        return image
    profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
    return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB")) or image


def _middle(image: Image.Image, across: float, down: float) -> tuple[int, ...]:
    """Return the mean of a few pixels around a place."""
    x, y = round(across * image.width), round(down * image.height)
    reach = max(1, min(image.size) // 16)
    dot = image.crop((x - reach, y - reach, x + reach, y + reach)).resize((1, 1), Image.Resampling.BOX)
    return tuple(dot.tobytes())


HEADERS: Final = Headers(content_type="application/octet-stream")

# Seconds between two looks at what is there by now.
PAUSE: Final = 0.5

REMOVED: Final = "removed with their sources"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one case: what is wrong, nothing where all is right."""

    name: str
    wrong: tuple[str, ...] = ()


def run_here(
    cases: Sequence[Case], recipe: Recipe, workers: Renderer, destination: Store, prefix: str
) -> Iterator[Result]:
    """Yield what this machine's engine makes of each case in `destination`, through its workers, and if it cleans up.

    The pictures lie in memory; what is made of them is written under `prefix`, and goes whatever happens.
    """
    source = MemoryStore("conformance")
    keyed = [(f"{prefix}{case.file}", case) for case in cases]
    try:
        for key, case in keyed:
            source.put(key, case.data, HEADERS)
            yield _made(case, key, partial(converge, key, source, destination, recipe, renderer=workers), destination)
    finally:
        for key, _ in keyed:
            source.delete(key)
            converge(key, source, destination, recipe, renderer=workers)
    left = ("thumbnails of removed pictures are there",) if any(True for _ in destination.list(prefix)) else ()
    yield Result(REMOVED, left)


def _made(case: Case, key: str, make: Callable[[], object], destination: Store) -> Result:
    try:
        make()
    except ThumbsmithError as error:
        return Result(case.name, (str(error),))
    return _judged(case, key, destination)


def run_there(
    cases: Sequence[Case],
    source: Store,
    destination: Store,
    prefix: str,
    patience: float,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Result]:
    """Yield what a deployment that watches `source` makes of each case in `destination`, and whether it cleans up.

    The pictures are put under `prefix` and waited for, each `patience` seconds at most; whatever happens they are
    removed, and then what was made of them has to go. Raises StoreError.
    """
    keyed = [(f"{prefix}{case.file}", case) for case in cases]
    try:
        for key, case in keyed:
            source.put(key, case.data, HEADERS)
        until = time.monotonic() + patience
        for key, case in keyed:
            _waited(partial(read_manifest, destination, key), until, pause)
            yield _judged(case, key, destination)
    finally:
        for key, _ in keyed:
            source.delete(key)
    until = time.monotonic() + patience
    gone = _waited(lambda: not any(True for _ in destination.list(prefix)), until, pause)
    left = () if gone else (f"thumbnails of removed pictures are there after {patience:g} s",)
    yield Result(REMOVED, left)


def _waited(look: Callable[[], object], until: float, pause: Callable[[float], None]) -> bool:
    """Return whether what is looked for came in time."""
    while not (found := look()) and time.monotonic() < until:
        pause(PAUSE)
    return bool(found)


def _judged(case: Case, key: str, destination: Store) -> Result:
    manifest = read_manifest(destination, key)
    wrong = tuple(mistakes(case, manifest, destination)) if manifest else ("there is no manifest",)
    return Result(case.name, wrong)
