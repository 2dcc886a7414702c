"""WebPs whose size is wrong, or whose metadata are cut, are made; those that lack a part of the picture are not."""

import struct

import pytest
from PIL import Image

from tests.render.pictures import difference, recipe, saved, shown, textured
from thumbsmith.errors import Code, Rejected
from thumbsmith.render import render


def clear() -> Image.Image:
    """Return a picture with alpha."""
    image = textured(161, 120).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def turned() -> Image.Exif:
    """Return EXIF that turns a picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


PICTURE = textured(161, 120)
FILES = {
    "lossy": saved(PICTURE, "WEBP"),
    "lossless": saved(PICTURE, "WEBP", lossless=True),
    "alpha": saved(clear(), "WEBP"),
    "lossless alpha": saved(clear(), "WEBP", lossless=True),
    "exif": saved(PICTURE, "WEBP", exif=turned()),
    "frames": saved(PICTURE, "WEBP", save_all=True, append_images=[PICTURE.rotate(180)], duration=99),
}


def sized(data: bytes, more: int) -> bytes:
    """Return a file that announces more bytes than it has, by this number."""
    return data[:4] + struct.pack("<I", min(len(data) - 8 + more, (1 << 32) - 1)) + data[8:]


@pytest.mark.parametrize("more", [1, 2, 100, 1_000_000, 1 << 32])
@pytest.mark.parametrize("kind", FILES)
def test_a_size_beyond_the_file_costs_nothing(kind: str, more: int):
    """The picture is that of the file with the size that it has, large and small."""
    data = FILES[kind]
    for side in (300, 16):
        found, wanted = (shown(each, width=side, height=side) for each in (sized(data, more), data))
        assert difference(found, wanted) < 2
    assert render(sized(data, more), recipe(width=999, formats=("source",)))


def test_bytes_behind_the_picture_do_no_harm():
    """Within the announced size or behind it."""
    for data in FILES.values():
        junk = data + b"JUNK\xff\xff\0\0abc"
        assert difference(shown(junk), shown(data)) == 0
        assert difference(shown(sized(junk, 0)), shown(data)) < 1


def test_cut_metadata_costs_no_picture():
    """EXIF that ends beyond the file, wherever it is cut, is left out; what it says before may be followed."""
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
    """Whatever size is announced."""
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
    """The header of the extended format may announce a profile or metadata that is missing."""
    data = bytearray(FILES["alpha"])
    data[20] |= flags
    assert difference(shown(bytes(data)), shown(FILES["alpha"])) == 0
    assert difference(shown(sized(bytes(data), 10)), shown(FILES["alpha"])) == 0
