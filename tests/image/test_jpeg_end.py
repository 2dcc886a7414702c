"""JPEGs without an end marker are made if their picture is complete, and rejected if not."""

import random
import struct
from dataclasses import replace

import pytest
from PIL import Image

from tests.containers.files import segment
from tests.image.pictures import difference, pixels, recipe, saved, shown, textured
from thumbsmith.errors import Code, Rejected
from thumbsmith.image.probe import probe
from thumbsmith.image.render import render
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Limits

EOI = b"\xff\xd9"
SIZES = (300, 64, 16)  # decoded in full and at smaller scales
SEQUENTIAL = {
    "baseline": {},
    "fine": {"quality": 95, "subsampling": "4:4:4"},
    "restarts by row": {"restart_marker_rows": 1},
    "restarts by block": {"restart_marker_blocks": 3},
}
KINDS = {
    **SEQUENTIAL,
    "progressive": {"progressive": True},
    "progressive with restarts": {"progressive": True, "restart_marker_rows": 2},
}
SECOND = saved(textured(64, 48), "JPEG")


def junk(count: int, seed: int = 1) -> bytes:
    """Return random bytes, always the same."""
    return random.Random(seed).randbytes(count)


def trailers() -> dict[str, bytes]:
    """Return the bytes that follow pictures without an end marker."""
    video = b"\0\0\x30\x0aMotionPhoto_Data\0\0\0\x18ftypmp42" + junk(20_000)
    return {
        "nothing": b"",
        "half a marker": b"\xff",
        "zeros": bytes(70_000),
        "erased storage": b"\xff" * 5000,
        "chance": junk(70_000),
        "chance again": junk(70_000, 2),
        "a second picture": SECOND,
        "a video of Samsung": video + b"SEFH" + struct.pack("<5I", 106, 1, 0x0A300000, len(video), 8) + b"SEFT",
        "words": b"not a picture, but a note that was added after it",
    }


def file(kind: str, mode: str = "RGB", size: tuple[int, int] = (320, 240)) -> bytes:
    """Return a JPEG of this kind, without its end marker."""
    return saved(textured(*size).convert(mode), "JPEG", **KINDS[kind]).removesuffix(EOI)


def in_full(data: bytes, side: int) -> Image.Image:
    """Return the picture from all scans."""
    (made,) = render(data, replace(recipe(width=side, height=side), limits=Limits(first_scan=False)))
    return pixels(made)


def outcomes(data: bytes) -> set[str]:
    """Return the outcomes at all sizes, and for the source's own file."""
    found = set()
    for fields in [*({"width": side, "height": side} for side in SIZES), {"width": 999, "formats": ("source",)}]:
        try:
            render(data, recipe(**fields))
            found.add("made")
        except Rejected as refused:
            found.add(refused.code)
    return found


@pytest.mark.parametrize("trailer", trailers())
@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_that_is_all_there_is_made(kind: str, trailer: str):
    """For any bytes after the data, the picture is that of the complete file, at every scale."""
    data = file(kind)
    for side in SIZES:
        found = shown(data + trailers()[trailer], width=side, height=side)
        wanted = in_full(data + EOI, side), shown(data + EOI, width=side, height=side)  # by all scans, or by the first
        assert min(difference(found, each) for each in wanted) < 0.5


@pytest.mark.parametrize("mode", ["L", "CMYK"])
@pytest.mark.parametrize("kind", KINDS)
def test_gray_and_inks_are_too(kind: str, mode: str):
    """The end is found for any number of components."""
    data = file(kind, mode)
    assert difference(shown(data), shown(data + EOI)) == 0


@pytest.mark.parametrize("lost", [1, 2, 3, 5, 17])
@pytest.mark.parametrize("kind", KINDS)
def test_a_few_missing_bytes_are_found(kind: str, lost: int):
    """A JPEG without its last bytes is truncated at every scale."""
    assert outcomes(file(kind)[:-lost]) == {Code.TRUNCATED}


@pytest.mark.parametrize("trailer", trailers())
@pytest.mark.parametrize("kind", SEQUENTIAL)
def test_half_a_picture_is_truncated_whatever_follows(kind: str, trailer: str):
    """Zeros or a second picture do not replace missing data."""
    data = file(kind)
    assert outcomes(data[: len(data) // 2] + trailers()[trailer]) == {Code.TRUNCATED}


@pytest.mark.parametrize("filled", [b"", bytes(8000)])
@pytest.mark.parametrize("kind", SEQUENTIAL)
def test_half_a_picture_that_was_closed_is_truncated(kind: str, filled: bytes):
    """An early end marker does not hide missing data."""
    data = file(kind)
    assert outcomes(data[: len(data) // 2] + filled + EOI) == {Code.TRUNCATED}


def test_a_cut_between_restarts_is_found():
    """A JPEG that ends after a restart interval is truncated."""
    data = file("restarts by row")
    last = max(data.rfind(bytes((0xFF, 0xD0 | number))) for number in range(8))
    assert outcomes(data[:last]) == {Code.TRUNCATED}
    assert outcomes(data[: last + 2]) == {Code.TRUNCATED}
    assert outcomes(data[:last] + EOI) == {Code.TRUNCATED}


def test_a_progressive_picture_needs_all_its_scans():
    """A progressive JPEG without its last scans and without an end marker is truncated."""
    data = file("progressive")
    scans = [place for place in range(len(data)) if data.startswith(b"\xff\xda", place)]
    assert len(scans) > 5
    for place in scans[1:]:
        assert outcomes(data[:place]) == {Code.TRUNCATED}


def test_a_gray_corner_is_no_missing_end():
    """A complete picture that ends with the gray of missing blocks is made."""
    image = textured(320, 240)
    image.paste((128, 128, 128), (160, 120, 320, 240))
    for options in KINDS.values():
        data = saved(image, "JPEG", **options)
        assert outcomes(data) == {"made"}
        assert outcomes(data.removesuffix(EOI)) == {"made"}


@pytest.mark.parametrize(
    "broken",
    [
        segment(0xE2, b"ICC_PROFILE\0"),
        segment(0xEE, b"Adobe\0"),
        segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\xff\xff\xff\xffx"),
        segment(0xE1, b"Exif\0\0nothing"),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<broken"),
        segment(0xE2, b"MPF\0MM\0*\0\0\0\x08\xff\xff"),
        b"\xff\xfe\0\0",
    ],
)
def test_broken_metadata_costs_no_picture(broken: bytes):
    """Broken metadata segments are skipped."""
    data = file("baseline") + EOI
    assert difference(shown(data[:2] + broken + data[2:]), shown(data)) == 0


def test_scans_in_a_trailer_do_not_count():
    """Scans after a second start marker do not belong to the picture."""
    second = SECOND[:2] + (b"\xff\xda\0\x0c\x03\1\0\2\0\3\0\0\x3f\0" * 200)
    assert probe(BytesReader(file("progressive") + second)).scans == 10


def test_a_picture_without_a_component_is_truncated():
    """A color JPEG with only a scan of luminance, without an end marker, is truncated."""
    image = textured(64, 64)
    data = bytearray(saved(image, "JPEG", subsampling="4:4:4").removesuffix(EOI))
    gray = saved(image.convert("L"), "JPEG").removesuffix(EOI)
    start = gray.index(b"\xff\xda")
    head = data[: data.index(b"\xff\xda")]
    assert outcomes(bytes(head) + gray[start:]) == {Code.TRUNCATED}


def test_an_orientation_is_found_in_a_directory_that_claims_too_much():
    """The existing entries of EXIF are read, for any claimed number."""
    for claimed in (1, 2, 20, 65_535):
        for order, mark in ((">", b"MM\0*"), ("<", b"II*\0")):
            entry = struct.pack(order + "IHHHIHH", 8, claimed, 0x0112, 3, 1, 6, 0)
            data = file("baseline") + EOI
            found = data[:2] + segment(0xE1, b"Exif\0\0" + mark + entry) + data[2:]
            assert probe(BytesReader(found)).orientation == 6


def test_a_large_picture_is_read_as_any_other():
    """Padding of several blocks is skipped."""
    data = saved(Image.effect_noise((900, 700), 60), "JPEG").removesuffix(EOI)
    assert difference(shown(data + bytes(300_000)), shown(data + EOI)) < 0.5
