"""Nothing of one source is in the thumbnails of the next one that the same process handles."""

import io
import subprocess
import sys
from collections.abc import Iterator

import pytest
from PIL import Image

from tests.corpus import hostile, needs_corpus
from thumbsmith.errors import MissingDecoder, Rejected
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import Rendition
from thumbsmith.worker import Workers

from ..containers.files import good
from ..hostile.mutants import mutants
from .processes import linux

# PNG, so that each leaked byte of a pixel would be visible; larger than the odd files, and WebP for its encoder.
RECIPE = Recipe.loads('[variants.a]\nwidth = 48\nheight = 48\nformats = ["png", "webp"]')

# What is planted: three bytes that fill all pixels, so that they also fill the buffers of a decoder.
MARK = (0xA5, 0x3C, 0x96)
KINDS = ("jpeg", "png", "gif", "webp", "tiff", "bmp", "avif")


def _planted(kind: str) -> bytes:
    """Return a picture of the mark: lossless where the format is, and larger than the odd files."""
    stream = io.BytesIO()
    options = {"webp": {"lossless": True}, "tiff": {"compression": "tiff_deflate"}}.get(kind, {})
    Image.new("RGB", (256, 192), MARK).save(stream, kind, **options)
    return stream.getvalue()


def _cut() -> Iterator[bytes]:
    """Yield the valid files, cut at some places, and with the rest of their data as zeros or ones."""
    for data in good().values():
        for part in (3, 2):
            kept = len(data) * (part - 1) // part
            for rest in (b"", bytes(len(data) - kept), b"\xff" * (len(data) - kept)):
                yield data[:kept] + rest


def _outcome(work: Workers, data: bytes) -> object:
    """Return all that a source gives: the renditions with color, ThumbHash and notes, or the error."""
    try:
        made = work.render(BytesReader(data), RECIPE)
    except Rejected as rejected:
        return rejected.code, rejected.detail
    except MissingDecoder as missing:
        return str(missing)
    return made.renditions, made.color, made.thumbhash, made.notes


def _made(outcome: object) -> bool:
    return isinstance(outcome, tuple) and isinstance(outcome[0], tuple) and isinstance(outcome[0][0], Rendition)


def _compare(odd: Iterator[bytes], kinds: tuple[str, ...]) -> tuple[int, int]:
    """Compare the outcomes after planted pictures with those in fresh processes; return thumbnails and rejections."""
    made = rejected = 0
    planted = [_planted(kind) for kind in kinds]
    with Workers(count=1, isolation="shared") as shared, Workers(count=1) as fresh:
        for number, data in enumerate(odd):
            assert _made(_outcome(shared, planted[number % len(planted)]))
            after = _outcome(shared, data)
            assert after == _outcome(fresh, data), number
            made += _made(after)
            rejected += not _made(after)
    return made, rejected


@linux
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_show_nothing_of_the_picture_before(kind: str):
    """Missing or damaged pixels are the same after a planted picture as in a fresh process, for every format."""
    made, rejected = _compare(mutants(KINDS.index(kind), 60), (kind,))
    assert made > 5
    assert rejected > 5


@linux
def test_cut_files_show_nothing_of_the_picture_before():
    """The same is true for valid files of every kind without their end, or with an empty one."""
    made, rejected = _compare(_cut(), KINDS)
    assert made > 10
    assert rejected > 50


@linux
@needs_corpus
@pytest.mark.deep
def test_hostile_files_show_nothing_of_the_picture_before():
    """The same is true for the whole corpus of hostile files, and for more damaged files."""
    files = (path.read_bytes() for path, _ in hostile() if path.stat().st_size)
    made, rejected = _compare(files, KINDS)
    assert made > 100
    assert rejected > 100
    made, _ = _compare(mutants(17, 3000), KINDS)
    assert made > 300


STATE = """
import sys, warnings
from thumbsmith.worker.template import load_engine
load_engine()
from tests.containers.files import good
from tests.hostile.mutants import mutants
from thumbsmith.errors import ThumbsmithError
from thumbsmith.image.formats import SOURCE_FORMATS
from thumbsmith.image.render import render
from thumbsmith.image.vips import ffi, lib
from thumbsmith.recipe import Recipe
import _libvips, ctypes

libvips = ctypes.CDLL(_libvips.__file__)
libvips.vips_tracked_get_mem.restype = ctypes.c_size_t
recipe = Recipe.loads('[variants.a]\\nwidth = 20\\nformats = ["jpeg", "png", "webp", "avif"]')

def state():
    found = {"filters": len(warnings.filters), "modules": len(sys.modules)}
    found["operations"] = libvips.vips_cache_get_size()
    for name, module in list(sys.modules.items()):
        if name.startswith(("PIL", "thumbsmith", "pi_heif")):
            for key, value in list(vars(module).items()):
                if isinstance(value, (bool, int, float, str, bytes, tuple, type(None))):
                    found[f"{name}.{key}"] = repr(value)
                elif isinstance(value, (dict, list, set)) and not key.startswith("__"):
                    found[f"{name}.{key}"] = len(value)
    return found

def work():
    for data in (*good().values(), *mutants(5, 100)):
        try:
            render(data, recipe)
        except ThumbsmithError:
            pass

render(good()["avif"], recipe)  # sets the number of threads of Pillow's decoder, once
for each in SOURCE_FORMATS.values():
    each.prepare_for_fork()  # loads the packages of extras, once
before = state()
work()
after = state()
print({name: (before.get(name), value) for name, value in after.items() if before.get(name) != value})
print(libvips.vips_tracked_get_mem())
"""


def test_no_state_of_a_library_changes():
    """After all kinds of files no global of Pillow or of this package differs; libvips keeps no operation or pixel."""
    done = subprocess.run([sys.executable, "-c", STATE], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.splitlines() == ["{}", "0"]
