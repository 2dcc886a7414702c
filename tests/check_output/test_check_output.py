"""The output check refuses everything but a picture: each test adds something to a valid file."""

import io
import random
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import FrameType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from thumbsmith.image.check_output import Extras, OutputError, check
from thumbsmith.image.render import render
from thumbsmith.recipe import Format, Recipe, Variant
from thumbsmith.recipe.names import Rendition

from ..containers.files import good
from ..corpus import needs_corpus, photos

EVERY = Recipe(variants=(Variant(name="v", width=64, height=64, formats=tuple(Format)),))
SECRET = b"SN:73-4411-secret"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _made(kind: Format, alpha: bool = False) -> Rendition:
    image = Image.frombytes("RGB", (48, 40), random.Random(3).randbytes(48 * 40 * 3))
    if alpha:
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    stream = io.BytesIO()
    image.save(stream, "png")
    return next(made for made in render(stream.getvalue(), EVERY) if made.format is kind)


def _saved(kind: Format, **options: object) -> Rendition:
    """Return a rendition as an encoder writes it with these options."""
    stream = io.BytesIO()
    Image.new("RGB", (48, 40), "#306090").save(stream, kind.value, **options)
    return replace(_made(kind), data=stream.getvalue())


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0131] = SECRET.decode()
    exif.get_ifd(0x8825)[2] = (48.0, 8.0, 5.0)
    return exif.tobytes()


def _refused(made: Rendition, data: bytes | None = None) -> str:
    with pytest.raises(OutputError) as error:
        check(made if data is None else replace(made, data=data))
    return str(error.value)


@pytest.mark.parametrize("name", sorted(good().keys() - {"raw-directories"}))  # without a picture
def test_what_is_rendered_passes(name: str):
    """Thumbnails of every kind of source pass, in every format."""
    for made in render(good()[name], EVERY):
        check(made)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("kind", Format)
def test_pictures_pass_with_alpha_and_without(kind: Format, alpha: bool):
    """Pictures pass with and without alpha."""
    check(_made(kind, alpha))


@needs_corpus
def test_photographs_pass():
    """Thumbnails of photographs pass in every format."""
    recipe = Recipe(variants=(Variant(name="v", width=1024, height=1024, formats=tuple(Format)),))
    for path in photos()[:3]:
        for made in render(path.read_bytes(), recipe):
            check(made)


@pytest.mark.parametrize("kind", Format)
def test_metadata_that_an_encoder_wrote_is_refused(kind: Format):
    """EXIF with GPS and a serial number, XMP, and a color profile are refused."""
    _refused(_saved(kind, exif=_exif()))
    _refused(_saved(kind, icc_profile=PROFILE))
    if kind is not Format.PNG:
        _refused(_saved(kind, xmp=b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"))


@pytest.mark.parametrize("kind", Format)
def test_what_follows_the_end_is_refused(kind: Format):
    """One byte after the end is refused, and so is another file."""
    made = _made(kind)
    for tail in (b"\0", SECRET, b"PK\x03\x04" + bytes(100), made.data):
        _refused(made, made.data + tail)


@pytest.mark.parametrize("kind", Format)
def test_what_is_cut_or_empty_is_refused(kind: Format):
    """A cut or empty file is refused."""
    made = _made(kind, alpha=True)
    for end in {0, 1, 8, len(made.data) // 2, len(made.data) - 1}:
        _refused(made, made.data[:end])


@pytest.mark.parametrize("kind", Format)
def test_another_format_or_size_is_refused(kind: Format):
    """A file with another format or size than its manifest entry is refused."""
    made = _made(kind)
    assert "width" in _refused(replace(made, width=47))
    other = next(each for each in Format if each is not kind)
    assert "format" in _refused(made, _made(other).data)


@pytest.mark.parametrize("kind", [Format.PNG, Format.WEBP, Format.AVIF])
def test_further_frames_are_refused(kind: Format):
    """An animation is refused where one picture is expected."""
    stream = io.BytesIO()
    frames = [Image.new("RGB", (48, 40), color) for color in ("red", "blue")]
    frames[0].save(stream, kind.value, save_all=True, append_images=frames[1:])
    _refused(_made(kind), stream.getvalue())


def _segment(marker: int, body: bytes) -> Callable[[bytes], bytes]:
    segment = struct.pack(">HH", marker, len(body) + 2) + body
    return lambda data: data[:2] + segment + data[2:]


def _thumbnail(data: bytes) -> bytes:
    body = b"JFIF\0\x01\x01\0\0\x01\0\x01\x01\x01abc"
    return data[:2] + struct.pack(">HH", 0xFFE0, len(body) + 2) + body + data[20:]


@pytest.mark.parametrize(
    "spoil",
    [
        _segment(0xFFFE, SECRET),
        _segment(0xFFED, b"Photoshop 3.0\0" + SECRET),
        _segment(0xFFE1, b"http://ns.adobe.com/xap/1.0/\0" + SECRET),
        _segment(0xFFE2, b"MPF\0" + SECRET),
        _segment(0xFFEF, SECRET),
        _segment(0xFFE0, b"JFXX\0\x10" + SECRET),
        _thumbnail,
        lambda data: data[:-2] + b"\xff\xfe\x00\x04ab\xff\xd9",
        lambda data: data[:-2] + b"\xff\xff\xd9",
        lambda data: data[:-2],
    ],
)
def test_parts_of_a_jpeg_that_are_no_picture_are_refused(spoil: Callable[[bytes], bytes]):
    """Comments, IPTC, XMP, further pictures, unknown segments, thumbnails and misplaced parts of a JPEG are refused."""
    made = _made(Format.JPEG)
    _refused(made, spoil(made.data))


def test_restart_markers_are_part_of_a_picture():
    """Restart markers in a scan are allowed (ITU-T T.81, E.1.4)."""
    made = _saved(Format.JPEG, restart_marker_blocks=1)
    assert b"\xff\xd0" in made.data
    check(made)


def test_what_is_between_segments_is_refused():
    """Bytes between segments are refused."""
    made = _made(Format.JPEG)
    start = made.data.index(b"\xff\xdb")
    for between in (b"\0", b"\xff", SECRET):
        _refused(made, made.data[:start] + between + made.data[start:])
    _refused(made, made.data[:start] + b"\0" + made.data[start + 1 :])


def test_unknown_segments_of_a_jpeg_are_refused():
    """A segment that no baseline or progressive picture needs is refused."""
    made = _made(Format.JPEG)
    for marker in {*range(1, 255)} - {0xC0, 0xC1, 0xC2, 0xC4, 0xDA, 0xDB, 0xDD}:
        _refused(made, _segment(0xFF00 | marker, SECRET)(made.data))


def test_a_thumbnail_is_not_even_announced():
    """A JFIF header with a thumbnail size above 0 is refused, even without a thumbnail."""
    made = _made(Format.JPEG)
    assert made.data[6:11] == b"JFIF\0"
    assert "a segment FFE0" in _refused(made, made.data[:18] + b"\1\0" + made.data[20:])


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _repacked(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Return a PNG with other compressed pixels."""
    start = data.index(b"IDAT") - 4
    length = struct.unpack_from(">I", data, start)[0]
    return data[:start] + _chunk(b"IDAT", change(data[start + 8 : start + 8 + length])) + data[start + 12 + length :]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:33] + _chunk(b"tEXt", b"Comment\0" + SECRET) + data[33:],
        lambda data: data[:33] + _chunk(b"tIME", bytes(7)) + data[33:],
        lambda data: data[:33] + _chunk(b"prVt", SECRET) + data[33:],
        lambda data: data[:-12] + _chunk(b"zTXt", SECRET) + data[-12:],
        lambda data: data[:-12] + _chunk(b"IEND", SECRET),
        lambda data: data[:-1] + b"\0",
        lambda data: _repacked(data, lambda packed: packed + SECRET),
        lambda data: _repacked(data, lambda packed: zlib.compress(zlib.decompress(packed) + SECRET)),
        lambda data: _repacked(data, lambda packed: zlib.compress(zlib.decompress(packed)[:-1])),
        lambda data: _repacked(data, lambda packed: b"\xff" + packed),
        lambda data: data[:8] + _chunk(b"IHDR", data[16:28] + b"\1") + data[33:],
    ],
)
def test_parts_of_a_png_that_are_no_picture_are_refused(spoil: Callable[[bytes], bytes]):
    """Texts and unknown chunks, wrong checksums, and bytes after the pixels of a PNG are refused."""
    made = _made(Format.PNG)
    _refused(made, spoil(made.data))


def _riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(each)) + each + b"\0" * (len(each) & 1) for kind, each in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _webp_with(flags: int, *more: tuple[bytes, bytes]) -> Callable[[bytes], bytes]:
    extended = bytes([flags, 0, 0, 0, 47, 0, 0, 39, 0, 0])
    return lambda data: _riff((b"VP8X", extended), (b"VP8 ", _body(data)), *more)


def _body(data: bytes) -> bytes:
    return data[20 : 20 + struct.unpack_from("<I", data, 16)[0]]


@pytest.mark.parametrize(
    "spoil",
    [
        _webp_with(8, (b"EXIF", SECRET)),
        _webp_with(0, (b"EXIF", SECRET)),
        _webp_with(4, (b"XMP ", SECRET)),
        _webp_with(0, (b"note", SECRET)),
        _webp_with(8),
        lambda data: _riff((b"VP8 ", _body(data)), (b"note", SECRET)),
        lambda data: _riff((b"VP8 ", _body(data)), (b"VP8 ", _body(data))),
        lambda data: _riff((b"VP8 ", _body(data) + b"x" * (1 - len(_body(data)) % 2)))[:-1] + b"\xaa",
        lambda data: data[:4] + struct.pack("<I", len(data) - 10) + data[8:],
    ],
)
def test_parts_of_a_webp_that_are_no_picture_are_refused(spoil: Callable[[bytes], bytes]):
    """EXIF, XMP, unknown chunks, a second picture, padding that is not zero, and a wrong size of a WebP are refused."""
    made = _made(Format.WEBP)
    _refused(made, spoil(made.data))


def test_a_plain_extended_webp_passes():
    """An extended WebP without flags passes."""
    made = _made(Format.WEBP)
    check(replace(made, data=_webp_with(0)(made.data)))


def _shifted(data: bytes, at: int, more: bytes) -> bytes:
    """Return an AVIF with bytes inserted into its media data, and the place of its picture adjusted."""
    place = data.index(b"iloc") + 4 + 8 + 6
    offset, length = struct.unpack_from(">II", data, place)
    media = data.index(b"mdat") - 4
    size = struct.unpack_from(">I", data, media)[0] + len(more)
    grown = data[:media] + struct.pack(">I", size) + data[media + 4 : at] + more + data[at:]
    if at <= offset:
        grown = grown[:place] + struct.pack(">II", offset + len(more), length) + grown[place + 8 :]
    else:
        grown = grown[:place] + struct.pack(">II", offset, length + len(more)) + grown[place + 8 :]
    return grown


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data + struct.pack(">I", 8 + len(SECRET)) + b"free" + SECRET,
        lambda data: data + struct.pack(">I", 24 + len(SECRET)) + b"uuid" + bytes(16) + SECRET,
        lambda data: data[:32] + struct.pack(">I", 8) + b"free" + data[32:],
        lambda data: _shifted(data, data.index(b"mdat") + 4, SECRET),
        lambda data: _shifted(data, len(data), b"\x2a\x02" + SECRET[:2]),  # an AV1 unit of metadata
        lambda data: _shifted(data, len(data), b"\x7a\x02" + SECRET[:2]),  # an AV1 unit of padding
        lambda data: _shifted(data, len(data), b"\x32\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        lambda data: _shifted(data, len(data), b"\x32\x7f"),
        lambda data: data.replace(b"av01Color\0", b"av01Secre\0"),
        lambda data: data.replace(b"av01Color\0", b"ExifColor\0"),
        lambda data: data.replace(b"pict" + bytes(13), b"pict" + bytes(12) + b"x"),
        lambda data: data.replace(b"nclx", b"prof"),
        lambda data: data.replace(b"pixi", b"pixx"),
        lambda data: data.replace(b"iloc", b"ilox"),
    ],
)
def test_parts_of_an_avif_that_are_no_picture_are_refused(spoil: Callable[[bytes], bytes]):
    """Unused boxes and bytes, metadata in the AV1 stream, other names, and a profile of an AVIF are refused."""
    made = _made(Format.AVIF)
    _refused(made, spoil(made.data))


@pytest.mark.parametrize("kind", sorted({*range(16)} - {1, 2, 3, 4, 6}))
def test_units_that_draw_nothing_are_refused(kind: int):
    """AV1 units of metadata, padding, a tile list, a redundant header and reserved kinds are refused."""
    made = _made(Format.AVIF)
    unit = bytes([kind << 3 | 2, 2]) + SECRET[:2]
    assert f"an AV1 unit of kind {kind}" in _refused(made, _shifted(made.data, len(made.data), unit))


@pytest.mark.parametrize("flags", [0b1000_0000, 0b0000_0100, 0b0000_0001])
def test_units_with_other_flags_are_refused(flags: int):
    """An AV1 unit with the forbidden bit, the reserved bit or a header extension is refused."""
    made = _made(Format.AVIF)
    check(replace(made, data=_shifted(made.data, len(made.data), b"\x12\0")))  # a temporal delimiter
    _refused(made, _shifted(made.data, len(made.data), bytes([0x12 | flags, 0])))


def _hidden_behind_the_picture(data: bytes) -> bytes:
    media = data.index(b"mdat") - 4
    return data[:media] + struct.pack(">I", len(data) - media + len(SECRET)) + data[media + 4 :] + SECRET


def _with_flags(data: bytes) -> bytes:
    """Return an AVIF whose `iloc` has flags without a meaning."""
    return data.replace(b"iloc\0\0\0\0D", b"iloc\0SN\1D")


def _elsewhere(data: bytes) -> bytes:
    """Return an AVIF whose picture is in another file, by the data reference 1 (ISO/IEC 14496-12)."""
    source = data.index(b"iloc") + 14
    return data[:source] + b"\0\1" + data[source + 2 :]


@pytest.mark.parametrize(
    ("spoil", "refused"),
    [
        (_hidden_behind_the_picture, "bytes that no picture uses"),
        (_elsewhere, "its picture is split"),
        (_with_flags, "the place of its picture has an unknown structure"),
    ],
)
def test_media_data_are_the_picture(spoil: Callable[[bytes], bytes], refused: str):
    """All media data of an AVIF belong to its picture, and the picture is stored nowhere else."""
    made = _made(Format.AVIF)
    assert refused in _refused(made, spoil(made.data))


def _described(*path: bytes, more: bytes) -> Callable[[bytes], bytes]:
    """Return a function that appends bytes to a box in `meta`, and adjusts sizes and the place of the picture."""

    def grow(data: bytes) -> bytes:
        grown, end = bytearray(data), 0
        for kind in (b"meta", *path):
            start = data.index(kind, end) - 4
            size = struct.unpack_from(">I", data, start)[0]
            struct.pack_into(">I", grown, start, size + len(more))
            end = start + 8
        place = data.index(b"iloc") + 18
        struct.pack_into(">I", grown, place, struct.unpack_from(">I", data, place)[0] + len(more))
        return bytes(grown[: start + size] + more + grown[start + size :])

    return grow


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


@pytest.mark.parametrize(
    ("spoil", "refused"),
    [
        (_described(more=_box(b"uuid", bytes(16) + SECRET)), "a box b'uuid'"),
        (_described(more=_box(b"pitm", bytes(4) + b"\0\1")), "describes its picture twice"),
        (_described(b"iprp", b"ipco", more=_box(b"ispe", SECRET[:12]) * 60), "the description of its picture takes"),
        (_described(b"iprp", b"ipco", more=_box(b"ispe", SECRET)), "its box b'ispe' takes 17 bytes"),
        (_described(b"iprp", more=_box(b"free", SECRET)), "its properties have an unknown structure"),
        (_described(b"iinf", more=_box(b"infe", b"\3" + bytes(7) + b"av01Color\0")), "an item b'av01Color"),
        (_described(b"iinf", more=_box(b"infe", b"\2" + bytes(7) + b"mimeXMP\0")), "an item b'mimeXMP"),
    ],
)
def test_descriptions_of_no_use_are_refused(spoil: Callable[[bytes], bytes], refused: str):
    """An AVIF with repeated, unknown or too long boxes in its description is refused."""
    made = _made(Format.AVIF)
    check(replace(made, data=_described(b"iprp", b"ipco", more=b"")(made.data)))
    assert refused in _refused(made, spoil(made.data))


def test_a_picture_beside_the_picture_is_refused():
    """A second picture that is not the alpha of the first is refused."""
    made = _made(Format.AVIF, alpha=True)
    _refused(made, made.data.replace(b":auxiliary:alpha", b":auxiliary:depth"))


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(Format), st.binary(max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_any_bytes_pass_or_are_refused(kind: Format, junk: bytes, where: float, length: float):
    """Any damage raises OutputError or nothing, never another error."""
    made = _made(kind, alpha=True)
    start = int(where * len(made.data))
    data = made.data[:start] + junk + made.data[start + int(length * 40) :]
    with suppress(OutputError):
        check(replace(made, data=data))


def test_a_large_png_is_unpacked_in_parts():
    """The 27 MB of pixels of a large PNG are counted exactly, with little memory, in few or many chunks."""
    stream = io.BytesIO()
    Image.new("RGB", (3000, 3000), "#306090").save(stream, "png")
    made = replace(_made(Format.PNG), data=stream.getvalue(), width=3000, height=3000)
    tracemalloc.start()
    check(made)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
    packed = zlib.compress(bytes(3000 * 9001))
    for size in (1000, 20, len(packed)):
        pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
        check(replace(made, data=_repacked_in(made.data, pieces)))
    assert "more data follow" in _refused(made, _repacked_in(made.data, [packed, SECRET]))
    assert "more than" in _refused(made, _repacked_in(made.data, [zlib.compress(bytes(3000 * 9001 + 1))]))
    assert "fewer than" in _refused(made, _repacked_in(made.data, [packed[:-9]]))


def _repacked_in(data: bytes, pieces: list[bytes]) -> bytes:
    """Return a PNG with its pixels in these chunks."""
    return data[: data.index(b"IDAT") - 4] + b"".join(_chunk(b"IDAT", each) for each in pieces) + _chunk(b"IEND", b"")


def _steps(data: bytes, kind: Format, extras: Extras) -> tuple[str, int]:
    """Return why a file is refused, and the number of executed lines: a measure that does not depend on the machine."""
    counted = 0

    def step(frame: FrameType, event: str, _: object) -> object:
        nonlocal counted
        counted += event == "line"
        return step

    made = replace(_made(kind), data=data)
    before = sys.gettrace()
    sys.settrace(step)
    try:
        check(made, extras)
        refused = ""
    except OutputError as error:
        refused = str(error)
    finally:
        sys.settrace(before)
    return refused, counted


def _swollen(kind: Format, count: int) -> bytes:
    """Return a picture with this number of additional empty parts of an allowed kind."""
    data = _made(kind).data
    if kind is Format.JPEG:
        return data[:-2] + b"\xff\xc4\x00\x02" * count + data[-2:]
    if kind is Format.PNG:
        place = data.index(b"IDAT") - 4
        return data[:place] + _chunk(b"IDAT", b"") * count + data[place:]
    if kind is Format.WEBP:
        body = data[8:] + b"ANMF\0\0\0\0" * count
        return data[:4] + struct.pack("<I", len(body)) + body
    return data + struct.pack(">I4s", 8, b"free") * count


@pytest.mark.parametrize("kind", Format)
@pytest.mark.parametrize("extras", [Extras(), Extras(profile=True, credit=True, frames=True)])
def test_parts_without_end_cost_little(kind: Format, extras: Extras):
    """A file of 100,000 empty parts is refused after a small share of them; more parts take no more work."""
    refused, steps = _steps(_swollen(kind, 100_000), kind, extras)
    assert refused
    assert steps < 500_000
    assert _steps(_swollen(kind, 1_000_000), kind, extras)[1] < 4 * steps + 50_000


@pytest.mark.parametrize("kind", [Format.PNG, Format.WEBP])
def test_what_may_come_once_comes_once(kind: Format):
    """An allowed profile or metadata block is refused the second time: each may uncompress to megabytes."""
    profile = bytearray(200)
    profile[:4], profile[36:40] = (200).to_bytes(4, "big"), b"acsp"
    data = _made(kind).data
    if kind is Format.PNG:
        place = data.index(b"IDAT") - 4
        part = _chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(profile)))
        once, twice = (data[:place] + part * count + data[place:] for count in (1, 2))
    else:
        bodies = [data[8:] + (b"ICCP" + struct.pack("<I", 200) + bytes(profile)) * count for count in (1, 2)]
        once, twice = (data[:4] + struct.pack("<I", len(body)) + body for body in bodies)
    assert not _steps(once, kind, Extras(profile=True))[0]
    assert "more than" in _steps(twice, kind, Extras(profile=True))[0]
