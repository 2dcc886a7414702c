"""The samples of the demo show what their descriptions say."""

from pathlib import Path

from PIL import Image

from tests.samples import CICP_DISPLAY_P3, FOLDER, SAMPLES
from thumbsmith.cli import demo
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader


def _content(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def test_each_sample_has_a_description():
    """The demo describes every file in the folder of the samples."""
    found = {each.name for each in Path(FOLDER).iterdir() if each.suffix != ".md"}
    assert found == set(demo.SAMPLES)
    assert set(SAMPLES) < found
    assert all(text.endswith(".") for text in demo.SAMPLES.values())


def test_the_samples_are_special():
    """One is turned by EXIF, one transparent, one of 24 megapixels, and one in Display P3."""
    assert probe(BytesReader(_content("chelsea.jpg"))).orientation != 1
    assert probe(BytesReader(_content("transparent.png"))).alpha
    large = probe(BytesReader(_content("large.jpg")))
    assert large.width * large.height == 24_000_000
    assert b"cICP" + CICP_DISPLAY_P3 in _content("wide-gamut.png")


def test_the_samples_are_small():
    """All samples together have less than 700 KB, so that the package stays small."""
    assert sum((FOLDER / name).stat().st_size for name in demo.SAMPLES) < 700_000


def test_the_drawn_samples_can_be_drawn_again():
    """The program draws pictures of the sizes of the files."""
    for name, draw in SAMPLES.items():
        if name != "large.jpg":
            with Image.open(FOLDER / name) as stored:
                assert probe(BytesReader(draw())).size == stored.size
