"""WebPs with a wrong size or cut metadata are made; those with a cut picture are rejected."""

import struct

import pytest
from PIL import Image

from tests.image.pictures import difference, recipe, saved, shown, textured
from thumbsmith.errors import Code, Rejected
from thumbsmith.image.render import render


def clear() -> Image.Image:
    """Return a picture with alpha."""
    image = textured(161, 120).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def turned() -> Image.Exif:
    """Return EXIF with an orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


PICTURE = textured(161, 120)
PICTURE_IN_PNG = saved(PICTURE, "PNG")
FILES = {
    "lossy": saved(PICTURE, "WEBP"),
    "lossless": saved(PICTURE, "WEBP", lossless=True),
    "alpha": saved(clear(), "WEBP"),
    "lossless alpha": saved(clear(), "WEBP", lossless=True),
    "exif": saved(PICTURE, "WEBP", exif=turned()),
    "frames": saved(PICTURE, "WEBP", save_all=True, append_images=[PICTURE.rotate(180)], duration=99),
}


def sized(data: bytes, more: int) -> bytes:
    """Return a file that announces this number of bytes more than it has."""
    return data[:4] + struct.pack("<I", min(len(data) - 8 + more, (1 << 32) - 1)) + data[8:]


@pytest.mark.parametrize("more", [1, 2, 100, 1_000_000, 1 << 32])
@pytest.mark.parametrize("kind", FILES)
def test_a_size_beyond_the_file_costs_nothing(kind: str, more: int):
    """A wrong RIFF size does not change the picture, in any size."""
    data = FILES[kind]
    for side in (300, 16):
        found, wanted = (shown(each, width=side, height=side) for each in (sized(data, more), data))
        assert difference(found, wanted) < 2
    assert render(sized(data, more), recipe(width=999, formats=("source",)))


def test_bytes_behind_the_picture_do_no_harm():
    """Other bytes are ignored, within the announced size and after it."""
    for data in FILES.values():
        junk = data + b"JUNK\xff\xff\0\0abc"
        assert difference(shown(junk), shown(data)) == 0
        assert difference(shown(sized(junk, 0)), shown(data)) < 1


def test_cut_metadata_costs_no_picture():
    """EXIF that is cut anywhere does not reject the image; its orientation may count."""
    data = FILES["exif"]
    start = data.index(b"EXIF")
    upright = shown(FILES["lossy"])
    for end in (start + 3, start + 8, start + 12, len(data) - 1):
        found = shown(data[:end])
        assert (
            difference(found if found.size == upright.size else found.transpose(Image.Transpose.ROTATE_90), upright) < 2
        )


@pytest.mark.parametrize("share", [0.4, 0.9])
@pytest.mark.parametrize("kind", FILES)
def test_a_cut_picture_is_truncated(kind: str, share: float):
    """A cut picture is truncated, for any announced size."""
    data = FILES[kind]
    picture = data[: data.index(b"EXIF")] if kind == "exif" else data
    cut = picture[: int(len(picture) * share)]
    for each in (cut, sized(cut, 50)):
        if kind == "frames" and share > 0.5:  # the first frame is whole, the second is counted
            continue
        with pytest.raises(Rejected) as refused:
            render(each, recipe())
        assert refused.value.code == Code.TRUNCATED


@pytest.mark.parametrize("flags", [0x04, 0x08, 0x20, 0x2C])
def test_flags_of_chunks_that_are_not_there_do_no_harm(flags: int):
    """An extended header may announce a profile or metadata that is missing."""
    data = bytearray(FILES["alpha"])
    data[20] |= flags
    assert difference(shown(bytes(data)), shown(FILES["alpha"])) == 0
    assert difference(shown(sized(bytes(data), 10)), shown(FILES["alpha"])) == 0


def without_hints(data: bytes) -> bytes:
    """Return a WebP whose headers, also that of its lossless picture, announce no alpha."""
    odd = bytearray(data)
    if odd[12:16] == b"VP8X":
        odd[20] &= ~0x10
    for start in range(12, len(odd)):
        if odd[start : start + 4] == b"VP8L":
            odd[start + 12] &= ~0x10
    return bytes(odd)


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("side", [300, 24])
def test_alpha_that_is_not_announced_is_shown(side: int, extended: bool):
    """The pixels of a lossless picture decide whether it has alpha, as in browsers."""
    options = {"exif": Image.Exif()} if extended else {}
    data = saved(clear(), "WEBP", lossless=True, **options)
    assert (data[12:16] == b"VP8X") == extended
    assert (
        shown(without_hints(data), width=side, height=side).tobytes() == shown(data, width=side, height=side).tobytes()
    )


def test_the_sources_own_file_announces_its_alpha():
    """A file that is passed through announces its alpha, for other viewers."""
    data = saved(Image.new("RGBA", (99, 99), (9, 99, 199, 128)), "WEBP", lossless=True)
    for odd in (without_hints(data), data):
        (made,) = render(odd, recipe(width=999, height=999, formats=("webp",)))
        assert made.data == data


@pytest.mark.parametrize("side", [300, 24])
def test_a_picture_that_is_opaque_stays_so(side: int):
    """An opaque lossless picture has no alpha, for any hint."""
    found = shown(without_hints(FILES["lossless"]), width=side, height=side)
    assert found.mode == "RGB"
    assert difference(found, shown(PICTURE_IN_PNG, width=side, height=side)) < 2


def test_alpha_of_frames_is_shown_without_a_flag():
    """The frames of an animation decide about alpha, and whether the first one covers the canvas."""
    for lossless in (False, True):
        data = saved(
            clear(), "WEBP", lossless=lossless, save_all=True, append_images=[clear().rotate(180)], duration=99
        )
        odd = bytearray(data)
        odd[20] &= ~0x10
        assert shown(bytes(odd)).tobytes() == shown(data).tobytes()
        (found,) = render(bytes(odd), recipe(formats=("webp",), animation="keep"))
        (wanted,) = render(data, recipe(formats=("webp",), animation="keep"))
        assert found.data == wanted.data


def test_a_first_frame_that_is_smaller_leaves_the_rest_clear():
    """The canvas around the first frame is transparent, even if the header announces no alpha."""
    frame = saved(PICTURE, "WEBP")[12:]
    place = bytes(6) + (160).to_bytes(3, "little") + (119).to_bytes(3, "little") + bytes(4)
    sides = (199).to_bytes(3, "little") + (139).to_bytes(3, "little")
    chunks = b"VP8X" + struct.pack("<II", 10, 2) + sides + b"ANIM" + struct.pack("<IIH", 6, 0xFFFFFFFF, 0)
    chunks += b"ANMF" + struct.pack("<I", 16 + len(frame)) + place + frame
    found = shown(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks, width=300, height=300)
    assert (found.size, found.mode) == ((200, 140), "RGBA")
    assert [found.getpixel(place)[3] for place in ((0, 0), (160, 119), (161, 119), (160, 120))] == [255, 255, 0, 0]


def test_alpha_of_a_still_without_a_flag_is_left():
    """For a lossy still image the header decides about alpha, as in browsers."""
    odd = bytearray(FILES["alpha"])
    odd[20] &= ~0x10
    assert shown(bytes(odd)).mode == "RGB"


@pytest.mark.parametrize("kind", FILES)
def test_every_cut_ends_in_a_picture_or_a_rejection(kind: str):
    """A file that is cut anywhere gives a thumbnail or a rejection, also within a header that is read to find alpha."""
    data = FILES[kind]
    for end in (*range(12, 120, 3), *range(120, len(data), 97)):
        try:
            shown(data[:end])
        except Rejected as refused:
            assert refused.code in (Code.TRUNCATED, Code.CORRUPT, Code.UNSUPPORTED_FORMAT)  # noqa: PT017 - a picture is right too


@pytest.mark.parametrize("name", ["lossy", "lossless"])
def test_what_follows_a_cut_picture_does_not_become_pixels(name: str):
    """A picture whose chunk ends too early is rejected, also if the file goes on after it."""
    data = FILES[name]
    (size,) = struct.unpack_from("<I", data, 16)
    short = size // 4 * 2
    cut = data[:4] + struct.pack("<I", 12 + short) + data[8:16] + struct.pack("<I", short) + data[20 : 20 + short]
    for rest in (data[20 + short :], bytes(size), b"\xff" * size):
        with pytest.raises(Rejected):
            render(cut + rest, recipe())
