"""Sources that libvips averages while it decodes them have the pixels that Pillow decodes."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.image.pictures import difference, recipe, saved, shown, textured
from tests.image.test_colors import DISPLAY_P3, SRGB_CURVE, parametric, profile
from thumbsmith.errors import Code, Rejected, StoreError
from thumbsmith.image import decode, vips_stream
from thumbsmith.image.render import render
from thumbsmith.image.stream import SourceStream
from thumbsmith.image.vips_stream import VipsInput
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Format, Recipe, Variant

WIDTH, HEIGHT = 803, 602
DEFLATE = {"compression": "tiff_adobe_deflate"}


def picture(mode: str = "RGB") -> Image.Image:
    """Return a picture whose sides no whole number divides."""
    soft = Image.blend(textured(WIDTH, HEIGHT), Image.new("RGB", (WIDTH, HEIGHT), "gray"), 0.5)
    return soft.convert(mode)


def shaded(mode: str) -> Image.Image:
    """Return the same with soft and with hard edges of alpha."""
    made = picture(mode)
    alpha = Image.linear_gradient("L").resize(made.size)
    alpha.paste(0, (100, 100, 300, 250))
    made.putalpha(alpha)
    return made


STREAMED = [
    pytest.param(saved(picture(), "PNG"), id="png"),
    pytest.param(saved(picture("L"), "PNG"), id="gray png"),
    pytest.param(saved(picture(), "WEBP", quality=95), id="webp"),
    pytest.param(saved(picture(), "TIFF", **DEFLATE), id="tiff"),
    pytest.param(saved(picture("L"), "TIFF", tiffinfo={278: 16, 317: 2}, **DEFLATE), id="gray tiff in strips"),
]
WITH_ALPHA = [
    pytest.param(saved(shaded("RGBA"), "PNG"), id="png with alpha"),
    pytest.param(saved(shaded("LA"), "PNG"), id="gray png with alpha"),
    pytest.param(saved(shaded("RGBA"), "WEBP", quality=95), id="webp with alpha"),
    pytest.param(saved(shaded("RGBA"), "WEBP", lossless=True), id="lossless webp with alpha"),
]
BY_PILLOW = [
    pytest.param(saved(picture("P"), "PNG"), id="palette"),
    pytest.param(saved(picture(), "PNG", transparency=(0, 0, 0)), id="a color that is clear"),
    pytest.param(saved(Image.fromarray(np.asarray(picture("L"), np.uint16) * 257), "PNG"), id="16 bits"),
    pytest.param(saved(picture("1"), "PNG"), id="1 bit"),
    pytest.param(saved(picture(), "WEBP", save_all=True, append_images=[picture("L")]), id="animation"),
    pytest.param(saved(picture(), "TIFF", compression="tiff_lzw"), id="lzw"),
    pytest.param(saved(picture(), "TIFF", tiffinfo={274: 6}, **DEFLATE), id="tiff on its side"),
    pytest.param(saved(picture("CMYK"), "TIFF", **DEFLATE), id="tiff in inks"),
    pytest.param(saved(picture(), "GIF"), id="gif"),
]


def _without_streams(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(vips_stream, "load_reduced", lambda *_: None)
    patch.setattr(decode, "_webp", lambda *_: None)


def _by_pillow(monkeypatch: pytest.MonkeyPatch, data: bytes, **fields) -> Image.Image:
    with monkeypatch.context() as patch:
        _without_streams(patch)
        return shown(data, **fields)


@pytest.mark.parametrize("data", STREAMED)
@pytest.mark.parametrize("side", [64, 120, 200, 400])
def test_the_picture_is_that_of_pillow(data: bytes, side: int, streamed: list[bool], monkeypatch):
    """Pictures of each kind are those of Pillow, within a few levels, also at edges."""
    found = shown(data, width=side, height=side)
    assert streamed == [True]
    wanted = _by_pillow(monkeypatch, data, width=side, height=side)
    assert difference(found, wanted) < 1.5
    most = 20 if data[:4] == b"RIFF" else 6  # libwebp averages before it makes RGB of it
    assert np.abs(np.asarray(found, int) - np.asarray(wanted, int)).max() <= most


@pytest.mark.parametrize("data", STREAMED)
def test_reading_piece_by_piece_gives_the_same(data: bytes, monkeypatch: pytest.MonkeyPatch):
    """A file that is read piece by piece gives the same as one that is read whole."""
    whole = shown(data)
    monkeypatch.setattr(vips_stream, "MAX_IN_MEMORY_BYTES", 0)
    assert shown(data).tobytes() == whole.tobytes()


@pytest.mark.parametrize("data", WITH_ALPHA)
@pytest.mark.parametrize("side", [64, 200, 602])
def test_alpha_is_that_of_pillow(data: bytes, side: int, streamed: list[bool], monkeypatch):
    """Pictures with alpha are to the byte those of Pillow, which has all rows in memory."""
    found = shown(data, width=side, height=side)
    assert streamed == [True]
    assert found.tobytes() == _by_pillow(monkeypatch, data, width=side, height=side).tobytes()


@pytest.mark.parametrize("data", [*STREAMED[:2], *STREAMED[3:]])
def test_the_bytes_depend_on_no_other_variant(data: bytes, streamed: list[bool]):
    """A picture is the same if another one is made from the source too, and the source is then not reduced to it."""
    alone = shown(data, width=240, height=240)
    other = Variant(name="other", width=200, height=200, formats=(Format.PNG,))
    both = render(data, Recipe(variants=(*recipe(width=240, height=240).variants, other)))
    assert Image.open(BytesIO(both[0].data)).tobytes() == alone.tobytes()
    assert streamed == [True]


@pytest.mark.parametrize("turn", [6, 8])
def test_a_turned_picture_is_streamed(turn: int, streamed: list[bool], monkeypatch):
    """A PNG that is stored on its side is reduced as it is stored, and then turned."""
    exif = Image.Exif()
    exif[0x0112] = turn
    data = saved(picture(), "PNG", exif=exif)
    found = shown(data, width=120, height=200)
    assert streamed == [True]
    assert found.height > found.width
    assert difference(found, _by_pillow(monkeypatch, data, width=120, height=200)) < 1.5


@pytest.mark.parametrize("data", BY_PILLOW)
def test_pillow_decodes_unsuitable_sources(data: bytes, streamed: list[bool]):
    """Pillow decodes sources with palettes, deep color, animations, rotation and CMYK."""
    shown(data)
    assert streamed == []


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("data", STREAMED)
def test_a_cut_file_is_truncated(data: bytes, in_memory: bool, monkeypatch: pytest.MonkeyPatch):
    """A file that is cut at any length is rejected as Pillow rejects it."""
    monkeypatch.setattr(vips_stream, "MAX_IN_MEMORY_BYTES", len(data) if in_memory else 0)
    for share in (0.3, 0.6, 0.95):
        with pytest.raises(Rejected) as refused:
            render(data[: int(len(data) * share)], recipe())
        assert refused.value.code == Code.TRUNCATED


@pytest.mark.parametrize("in_memory", [True, False])
def test_damage_has_the_code_of_pillow(in_memory: bool, monkeypatch: pytest.MonkeyPatch):
    """A PNG with pixels that cannot be decompressed gets the same code with libvips and without."""
    data = bytearray(saved(picture(), "PNG"))
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    monkeypatch.setattr(vips_stream, "MAX_IN_MEMORY_BYTES", len(data) if in_memory else 0)
    with pytest.raises(Rejected) as refused:
        render(bytes(data), recipe())
    _without_streams(monkeypatch)
    with pytest.raises(Rejected) as alone:
        render(bytes(data), recipe())
    assert refused.value.code == alone.value.code


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"quality": 95}), ("TIFF", DEFLATE)])
def test_a_profile_is_applied(kind: str, options: dict, streamed: list[bool], monkeypatch: pytest.MonkeyPatch):
    """Wide colors are converted after averaging, as for any other source; a broken profile is ignored."""
    wide = profile(DISPLAY_P3, parametric(3, *SRGB_CURVE))
    data = saved(picture(), kind, icc_profile=wide, **options)
    found = shown(data)
    assert streamed
    assert all(streamed)
    assert difference(found, _by_pillow(monkeypatch, data)) < 1.5
    assert difference(found, shown(saved(picture(), kind, **options))) > 3
    broken = saved(picture(), kind, icc_profile=b"nonsense" * 20, **options)
    assert shown(broken).tobytes() == shown(saved(picture(), kind, **options)).tobytes()


@pytest.mark.parametrize("data", STREAMED)
@pytest.mark.parametrize("after", [1, 2, 3])
def test_what_the_reader_raises_is_raised(data: bytes, after: int, monkeypatch: pytest.MonkeyPatch):
    """An error of the store while libvips reads is raised, and does not reject the source."""
    monkeypatch.setattr(vips_stream, "MAX_IN_MEMORY_BYTES", 0)
    monkeypatch.setattr("thumbsmith.image.stream.BLOCK_BYTES", 1 << 12)
    failure = StoreError("gone", transient=True)

    class Failing(BytesReader):
        def read(self, offset: int, length: int) -> bytes:
            if offset + length > len(data) * after / 4:
                raise failure
            return self.data[offset : offset + length]

    with pytest.raises(StoreError) as raised:
        render(Failing(data), recipe())
    assert raised.value is failure


def test_system_exit_is_kept_for_the_waiting_thread():
    """SystemExit in the reading thread is kept for the waiting thread; a position before the start is none."""

    class Leaving(BytesReader):
        def read(self, offset: int, length: int) -> bytes:
            raise SystemExit

    feed = VipsInput(SourceStream(Leaving(b"x" * 9)))
    assert feed.read_into(bytearray(4)) == -1
    assert isinstance(feed.raised, SystemExit)
    assert feed.seek(-5, 0) == -1
    assert feed.seek(5, 0) == 5


def test_a_webp_with_clipped_colors_is_averaged_afterwards(streamed: list[bool], monkeypatch: pytest.MonkeyPatch):
    """A WebP that libwebp would average before clipping is decoded whole, to the pixels of Pillow."""
    data = saved(textured(WIDTH, HEIGHT).point(lambda level: 0 if level < 128 else 255), "WEBP", quality=95)
    found = shown(data)
    assert streamed == [True, True]
    assert difference(found, _by_pillow(monkeypatch, data)) < 1.5


def test_a_picture_of_another_size_is_not_used(monkeypatch: pytest.MonkeyPatch):
    """A picture for which libvips reads another size or other channels than Pillow is not used."""
    data = saved(picture(), "PNG")
    other = Image.open(BytesIO(saved(picture("L"), "PNG")))
    from thumbsmith.image.probe import probe  # noqa: PLC0415 - of this test alone

    found = probe(BytesReader(data))
    assert vips_stream.load_reduced(SourceStream(BytesReader(data)), found, other, 20.0, None) is None
