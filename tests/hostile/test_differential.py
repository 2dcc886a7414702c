"""Our decoder beside another one, where there is another: of the formats that are read here, tifffile reads TIFF."""

import io
import logging
import warnings

import numpy as np
import pytest

from tests.corpus import hostile, needs_corpus
from tests.hostile.mutants import mutants
from tests.probe.files import good
from thumbsmith.errors import Rejected
from thumbsmith.formats.decoding import Base, decode
from thumbsmith.probe import probe
from thumbsmith.reader import BytesReader

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


def _ours(data: bytes) -> Base | None:
    try:
        return decode(BytesReader(data), probe(BytesReader(data)), 1.0)
    except (Rejected, MemoryError):
        return None


def _disagreements(files: list[bytes]) -> tuple[int, list[int]]:
    """Return how many files both decode, and which of them to another size."""
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
    """Of an uncompressed TIFF, every sample."""
    ours, theirs = _ours(good()[name]), _theirs(good()[name])
    assert ours is not None
    assert np.array_equal(np.asarray(ours.image), theirs)


def test_damaged_files_have_the_same_size():
    """Of thousands of mutants of TIFFs, whatever both decode is of one size to both."""
    files = [data for data in mutants(11, 5_000) if data[:2] in (b"II", b"MM")]
    both, wrong = _disagreements(files)
    assert wrong == []
    assert both > 15


@needs_corpus
def test_hostile_files_have_the_same_size():
    """So it is with the TIFFs of the corpus."""
    files = [path.read_bytes() for path, _ in hostile()]
    both, wrong = _disagreements([data for data in files if data[:2] in (b"II", b"MM")])
    assert wrong == []
    assert both > 3
