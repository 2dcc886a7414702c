"""The native decoder gives the pixels of libjpeg-turbo, and nothing for a file that is not whole."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.corpus import needs_corpus, photos
from tests.image.pictures import saved
from tests.native.building import SMALL, build, needs_decoder
from tests.native.samples import noisy, odd_samples, samples
from thumbsmith.image import eighth
from thumbsmith.image.decode_jpeg import first_scan_only
from thumbsmith.reader import BytesReader

pytestmark = needs_decoder

EOI = b"\xff\xd9"


@pytest.fixture(params=["as built", "small buffers"])
def built(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the decoder as built, then one that has lanes and several windows in small files too."""
    if request.param == "small buffers":
        library = eighth.load(build(tmp_path / "small.so", "-shared", "-fPIC", *SMALL))
        monkeypatch.setattr(eighth, "_LIBRARY", library)


def by_libjpeg(data: bytes) -> np.ndarray:
    """Return the pixels of libjpeg-turbo at an eighth."""
    image = Image.open(BytesIO(data))
    image.draft(image.mode, (max(1, image.width // 8), max(1, image.height // 8)))
    size = tuple(-(-side // 8) for side in Image.open(BytesIO(data)).size)
    if image.size != size:  # Pillow's draft looks at both sides; a thin picture has its own scale
        image = Image.open(BytesIO(data))
        image.decoderconfig = (8, 0)  # type: ignore[attr-defined]
        image._size = size
        image.tile = [each._replace(extents=(0, 0, *size)) for each in image.tile]
    image.load()
    return np.asarray(image).reshape(*size[::-1], -1)


def differences(files: list[tuple[str, bytes]]) -> dict[str, str]:
    """Return the names of files that are not decoded to exactly the pixels of libjpeg-turbo, and why."""
    wrong = {}
    for name, whole in files:
        image = Image.open(BytesIO(whole))
        data = first_scan_only(BytesReader(whole), len(whole) - 2).data if image.info.get("progressive") else whole
        found = eighth.decode(data, image.size, len(image.getbands()))
        if found is None:
            wrong[name] = "not decoded"
            continue
        expected = by_libjpeg(data)
        pixels = np.frombuffer(found.pixels, np.uint8).reshape(expected.shape)
        if not np.array_equal(pixels, expected):
            wrong[name] = f"{np.abs(pixels.astype(int) - expected).max()} levels"
    return wrong


def test_all_pixels_are_those_of_libjpeg(built: None):
    """Files of every sampling, size, restart interval, quality and kind of tables are decoded to the same pixels."""
    assert differences(list(samples())) == {}


def test_so_are_those_of_unusual_files(built: None):
    """The same is true for random tables and coefficients, which no usual encoder writes."""
    assert differences(list(odd_samples(200))) == {}


@pytest.mark.deep
def test_so_are_those_of_many_unusual_files(built: None):
    """The same is true for thousands of them."""
    assert differences(list(odd_samples(4000, seed=2))) == {}


@needs_corpus
def test_so_are_those_of_photographs():
    """Baseline photographs, which are decoded in two lanes, have the same pixels."""
    files = [(path.name, path.read_bytes()) for path in photos() if path.suffix == ".jpg"]
    baseline = [each for each in files if not Image.open(BytesIO(each[1])).info.get("progressive")]
    assert len(baseline) > 10
    assert differences(baseline) == {}


@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}, {"subsampling": "4:4:4"}])
def test_a_large_picture_is_decoded_in_two_lanes(options: dict):
    """A file of several windows has the same pixels."""
    data = saved(noisy(900, 700, "RGB"), "JPEG", quality=90, **options)
    assert len(data) > 200_000
    assert differences([("large", data)]) == {}


def decoded(data: bytes) -> bool:
    """Return whether the decoder decodes this file of 121 x 95 pixels."""
    return eighth.decode(data, (121, 95), 3) is not None


@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}, {"restart_marker_blocks": 2}])
def test_only_a_whole_file_is_decoded(built: None, options: dict):
    """A file without its last bytes is not decoded, with an end marker or without, nor one with other bytes."""
    data = saved(noisy(121, 95, "RGB"), "JPEG", **options).removesuffix(EOI)
    assert decoded(data + EOI)
    assert decoded(data + EOI + b"a trailer")
    start = data.index(b"\xff\xda")
    for end in range(start, len(data), 7):
        assert not decoded(data[:end])
        assert not decoded(data[:end] + EOI)
    assert not decoded(data)
    for more in (b"\0", b"\0" * 40, b"\x55", b"\xff\0", b"\xff\xd0", b"\xff\xd3", b"\xff"):
        assert not decoded(data + more + EOI)


def test_a_wrong_size_is_not_decoded():
    """Where the caller expects another size or number of channels, nothing is decoded."""
    data = saved(noisy(121, 95, "RGB"), "JPEG")
    assert eighth.decode(data, (128, 90), 3) is not None  # the same, divided by 8 and rounded up
    for size, channels in (((120, 95), 3), ((121, 97), 3), ((121, 95), 1), ((121, 95), 4)):
        assert eighth.decode(data, size, channels) is None


def test_a_code_for_an_impossible_coefficient_is_not_decoded(built: None):
    """A table of DC coefficients with a symbol above 11 is left to libjpeg, which rejects some of them even unused."""
    data = saved(noisy(121, 95, "RGB"), "JPEG")
    place = data.index(b"\xff\xc4") + 4 + 1 + 16
    assert data[place + 11] == 11
    assert not decoded(data[: place + 11] + b"\x2b" + data[place + 12 :])


def test_restart_markers_must_be_in_order(built: None):
    """A restart marker that is missing, or has another number, is damage."""
    data = saved(noisy(121, 95, "RGB"), "JPEG", restart_marker_rows=1)
    places = [place for place in range(len(data)) if data[place] == 0xFF and data[place + 1] & 0xF8 == 0xD0]
    assert len(places) > 4
    for place in places:
        assert not decoded(data[: place + 1] + bytes([data[place + 1] ^ 1]) + data[place + 2 :])
        assert not decoded(data[:place] + data[place + 2 :])


@pytest.mark.parametrize(
    "options", [{"progressive": True}, {"quality": 75, "subsampling": "4:2:0", "progressive": True}]
)
def test_a_whole_progressive_file_is_left_to_libjpeg(options: dict):
    """Only the first scan of a progressive file is decoded here, when nothing else is in the file."""
    assert not decoded(saved(noisy(121, 95, "RGB"), "JPEG", **options))


def test_without_the_library_nothing_is_decoded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Without a library, or with a broken one, the answer is always that another decoder is needed."""
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"no library")
    assert eighth.load(broken) is None
    assert eighth.load(tmp_path / "missing.so") is None
    monkeypatch.setattr(eighth, "_LIBRARY", None)
    assert not eighth.is_available()
    assert not decoded(saved(noisy(121, 95, "RGB"), "JPEG"))
