"""Decoders agree with each other: Pillow with libvips, and both with tifffile."""

import io
import logging
import warnings

import numpy as np
import pytest
from PIL import Image

from tests.containers.files import good
from tests.corpus import hostile, needs_corpus
from tests.hostile.mutants import mutants
from thumbsmith.errors import Rejected
from thumbsmith.image import lanczos, vips_stream
from thumbsmith.image.decode import DecodedImage, decode
from thumbsmith.image.limits import check_limits
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Limits

tifffile = pytest.importorskip("tifffile", reason="NOT TESTED: there is no second decoder here")


def _theirs(data: bytes) -> np.ndarray | None:
    logging.getLogger("tifffile").disabled = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with tifffile.TiffFile(io.BytesIO(data)) as file:
                return np.asarray(file.pages[0].asarray())
        except Exception:
            return None


# Larger images are left out: some hostile files would take gigabytes in the process of the test.
LIMITS = Limits(max_pixels=1 << 26)


def _ours(data: bytes, reduction: float = 1.0, *, only: bool = False) -> DecodedImage | None:
    """Return a source for every `reduction`-th pixel; with `only`, for one picture of that size."""
    try:
        header = probe(BytesReader(data))
        if header.format == "raw":  # a TIFF with the header of a camera, whose picture is another one in it
            return None
        check_limits(header, LIMITS)
        across, down = (max(1, round(side / reduction)) for side in header.size)
        return decode(BytesReader(data), header, reduction, (across, down) if only else None)
    except (Rejected, MemoryError):
        return None


def _disagreements(files: list[bytes]) -> tuple[int, list[int]]:
    """Return the number of files that both decode, and those with a different size."""
    both, wrong = 0, []
    for number, data in enumerate(files):
        ours = _ours(data)
        theirs = _theirs(data) if ours else None
        if ours and theirs is not None:
            both += 1
            header = probe(BytesReader(data))
            if not {header.width, header.height} <= set(theirs.shape):
                wrong.append(number)
    return both, wrong


@pytest.mark.parametrize("name", ["tiff-big", "tiff-pages"])
def test_pixels_are_the_same(name: str):
    """All samples of an uncompressed TIFF are the same."""
    ours, theirs = _ours(good()[name]), _theirs(good()[name])
    assert ours is not None
    assert np.array_equal(np.asarray(ours.image), theirs)


def test_damaged_files_have_the_same_size():
    """Thousands of TIFF mutants have the same size in both decoders, if both decode them."""
    files = [data for data in mutants(11, 5_000) if data[:2] in (b"II", b"MM")]
    both, wrong = _disagreements(files)
    assert wrong == []
    assert both > 15


@needs_corpus
def test_hostile_files_have_the_same_size():
    """The TIFFs of the corpus have the same size in both decoders."""
    files = [path.read_bytes() for path, _ in hostile()]
    both, wrong = _disagreements([data for data in files if data[:2] in (b"II", b"MM")])
    assert wrong == []
    assert both > 3


def _differences(
    files: list[bytes], streamed: list[bool], reduction: float, monkeypatch: pytest.MonkeyPatch
) -> list[float]:
    """Return how far Pillow's picture of each file is from that of libvips or libwebp: levels of 255, over 8 x 8 parts.

    Infinity where Pillow refuses it. Smaller pictures have not as many parts, and are left out.
    """
    found = []
    for data in files:
        streamed.clear()
        by_libvips = _ours(data, reduction, only=True)
        if by_libvips is None or True not in streamed or min(by_libvips.image.size) < 8:
            continue
        with monkeypatch.context() as patch:
            patch.setattr(vips_stream, "load_reduced", lambda *_: None)
            patch.setattr("thumbsmith.image.decode._webp", lambda *_: None)
            by_pillow = _ours(data)
        both = [
            _over_white(each.image).resize((8, 8), Image.Resampling.BOX) for each in (by_libvips, by_pillow) if each
        ]
        pixels = [np.asarray(each, dtype=float) for each in both]
        found.append(float(np.abs(pixels[0] - pixels[1]).mean()) if len(pixels) == 2 else float("inf"))
    return found


def _over_white(image: Image.Image) -> Image.Image:
    straight = image.convert(lanczos.STRAIGHT.get(image.mode, image.mode)).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), straight).convert("RGB")


STREAMABLE = (b"RIFF", b"\x89PNG", b"II*\0", b"MM\0*")


@pytest.mark.parametrize("reduction", [1.0, 2.0, 6.0])
def test_no_mutant_is_streamed_that_pillow_refuses(streamed: list[bool], reduction: float, monkeypatch):
    """Of thousands of damaged files, Pillow decodes what libvips or libwebp decodes, to the same pixels."""
    files = [data for data in mutants(17, 12_000) if data[:4] in STREAMABLE]
    found = _differences(files, streamed, reduction, monkeypatch)
    assert len(found) > 100
    assert max(found) < 12


@needs_corpus
@pytest.mark.parametrize("reduction", [1.0, 2.0, 6.0])
def test_no_hostile_file_is_streamed_that_pillow_refuses(streamed: list[bool], reduction: float, monkeypatch):
    """Pillow decodes the files of the corpus that libvips or libwebp decodes, to the same pixels."""
    files = [path.read_bytes() for path, _ in hostile() if path.stat().st_size < 1 << 20]
    files = [data for data in files if data[:4] in STREAMABLE]
    found = _differences(files, streamed, reduction, monkeypatch)
    assert len(found) > 40
    assert max(found) < 6
