"""Runs the cases through this machine's engine or through a deployment, and checks the thumbnails that come back."""

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

HEADERS: Final = Headers(content_type="application/octet-stream")

# Seconds between two checks of whether a deployment has finished.
POLL_SECONDS: Final = 0.5

# The name of the result that says whether thumbnails are deleted with their sources.
REMOVED: Final = "removed with their sources"

# Pixels. In a smaller picture, the middle of each quarter is mixed with the colors of its neighbors.
MIN_SIDE_PIXELS: Final = 24

# Levels of opacity, 0 to 255, that count as transparent (at most) and as opaque (at least).
MAX_CLEAR: Final = 16
MIN_OPAQUE: Final = 239

# The middles of the quarters, as shares of width and height.
QUARTERS: Final = ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75))


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one case. `wrong` has a sentence for each mistake, and is empty if all is right."""

    name: str
    wrong: tuple[str, ...] = ()


def run_local(
    cases: Sequence[Case], recipe: Recipe, workers: Renderer, destination: Store, prefix: str
) -> Iterator[Result]:
    """Yield the result of each case by this machine's engine, and whether thumbnails are deleted with their sources.

    The sources are in memory. Thumbnails are written below `prefix` in `destination`, and deleted at the end, even
    after an error.
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
    left = ("thumbnails of deleted images are still there",) if any(True for _ in destination.list(prefix)) else ()
    yield Result(REMOVED, left)


def _made(case: Case, key: str, make: Callable[[], object], destination: Store) -> Result:
    try:
        make()
    except ThumbsmithError as error:
        return Result(case.name, (str(error),))
    return _result(case, key, destination)


def run_deployment(
    cases: Sequence[Case],
    source: Store,
    destination: Store,
    prefix: str,
    timeout: float,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Result]:
    """Yield the result of each case by a deployment, and whether it deletes thumbnails with their sources.

    The sources are written below `prefix` in `source`, and deleted at the end, also after an error. The deployment has
    `timeout` seconds for all thumbnails, and then `timeout` seconds to delete them. Raises StoreError.
    """
    keyed = [(f"{prefix}{case.file}", case) for case in cases]
    try:
        for key, case in keyed:
            source.put(key, case.data, HEADERS)
        deadline = time.monotonic() + timeout
        for key, case in keyed:
            _wait_until(partial(read_manifest, destination, key), deadline, pause)
            yield _result(case, key, destination)
    finally:
        for key, _ in keyed:
            source.delete(key)
    deadline = time.monotonic() + timeout
    deleted = _wait_until(lambda: not any(True for _ in destination.list(prefix)), deadline, pause)
    left = () if deleted else (f"thumbnails of deleted images are still there after {timeout:g} s",)
    yield Result(REMOVED, left)


def _wait_until(is_done: Callable[[], object], deadline: float, pause: Callable[[float], None]) -> bool:
    """Return whether something is done before the deadline, by time.monotonic()."""
    while not (done := is_done()) and time.monotonic() < deadline:
        pause(POLL_SECONDS)
    return bool(done)


def _result(case: Case, key: str, destination: Store) -> Result:
    manifest = read_manifest(destination, key)
    wrong = tuple(find_mistakes(case, manifest, destination)) if manifest else ("there is no manifest",)
    return Result(case.name, wrong)


def find_mistakes(case: Case, manifest: Manifest, destination: Store) -> Iterator[str]:
    """Yield a sentence for each mistake in the thumbnails of one case. Raises StoreError."""
    if case.codes:
        yield from _rejection_mistakes(case, manifest)
        return
    if manifest.rejection:
        yield f"rejected as {manifest.rejection.code}: {manifest.rejection.detail}"
        return
    if (manifest.source.width, manifest.source.height) != case.size:
        yield "the source is {}x{}, not {}x{}".format(manifest.source.width, manifest.source.height, *case.size)
    if not manifest.renditions:
        yield "there are no thumbnails"
    for each in manifest.renditions:
        for mistake in _rendition_mistakes(case, manifest, each, destination):
            yield f"{each.name}: {mistake}"


def _rejection_mistakes(case: Case, manifest: Manifest) -> Iterator[str]:
    expected = " or ".join(case.codes)
    if manifest.rejection is None:
        yield f"not rejected, expected {expected}"
    elif manifest.rejection.code not in case.codes:
        yield f"rejected as {manifest.rejection.code}, expected {expected}"
    elif manifest.renditions:
        yield "rejected, and there are thumbnails"


def _rendition_mistakes(case: Case, manifest: Manifest, record: RenditionRecord, destination: Store) -> Iterator[str]:
    """Yield a sentence for each mistake in one rendition."""
    reader = destination.open(record.key)
    if reader is None:
        yield "it is missing"
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
    if manifest.shows_whole_picture(record) and min(image.size) >= MIN_SIDE_PIXELS:
        yield from _color_mistakes(case, image)


def _color_mistakes(case: Case, image: Image.Image) -> Iterator[str]:
    """Yield a sentence for each quarter that has another color or transparency than the card."""
    seen = _in_srgb(image).convert("RGBA")
    for number, (across, down) in enumerate(QUARTERS):
        *color, opacity = _middle(seen, across, down)
        clear = case.clear and number == 0
        if clear and image.format != "JPEG":
            if opacity > MAX_CLEAR:
                yield "its first quarter is not transparent"
        elif opacity < MIN_OPAQUE:
            yield f"quarter {number + 1} is transparent"
        elif not clear and max(abs(a - b) for a, b in zip(color, case.colors[number], strict=True)) > case.tolerance:
            yield "quarter {} is #{:02x}{:02x}{:02x}, not #{:02x}{:02x}{:02x}".format(
                number + 1, *color, *case.colors[number]
            )


def _in_srgb(image: Image.Image) -> Image.Image:
    """Return a picture with a color profile converted to sRGB, and any other as it is."""
    if image.mode != "RGB" or "icc_profile" not in image.info:
        return image
    profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
    return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB")) or image


def _middle(image: Image.Image, across: float, down: float) -> tuple[int, ...]:
    """Return the mean of a few pixels around a place, given as shares of width and height."""
    x, y = round(across * image.width), round(down * image.height)
    reach = max(1, min(image.size) // 16)
    dot = image.crop((x - reach, y - reach, x + reach, y + reach)).resize((1, 1), Image.Resampling.BOX)
    return tuple(dot.tobytes())
