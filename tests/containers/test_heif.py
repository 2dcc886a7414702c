"""The probe of HEIF: brands, properties and tracks."""

import struct

import pytest

from tests.containers.files import HEIC, box, good, heif, ispe, saved
from tests.containers.readers import CountingReader, probed, rejected
from thumbsmith.image.probe import probe

ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"


def _irot(quarters: int) -> bytes:
    return box(b"irot", bytes((quarters,)))


def _imir(axis: int) -> bytes:
    return box(b"imir", bytes((axis,)))


def _clap(width: int, height: int, units: int = 1, *, across: int = 0, down: int = 0) -> bytes:
    return box(b"clap", struct.pack(">4IiIiI", width, units, height, units, across, 1, down, 1))


def _reference(kind: bytes, item: int, *targets: int) -> bytes:
    return box(kind, struct.pack(f">HH{len(targets)}H", item, len(targets), *targets))


@pytest.mark.parametrize(
    ("brand", "others", "name"),
    [
        (b"avif", b"mif1", "avif"),
        (b"avis", b"avif", "avif"),
        (b"mif1", b"miafavif", "avif"),
        (b"msf1", b"avis", "avif"),
        (b"mif1", b"heic", "heic"),
        (b"mif1", b"", "heic"),
        (b"heic", b"mif1avif", "heic"),
        (b"heix", b"mif1", "heic"),
        (b"hevc", b"msf1", "heic"),
    ],
)
def test_brands_tell_the_format(brand: bytes, others: bytes, name: str):
    """The major brand decides, as in Pillow. If it is neutral, the compatible brands decide."""
    assert probed(heif(ispe(), brand=brand, others=others)).format == name


@pytest.mark.parametrize("brand", [b"mp42", b"qt  ", b"\0\xff\n\x1b"])
def test_other_containers_are_named(brand: bytes):
    """A video is rejected with its brand in a printable message."""
    code, detail = rejected(heif(ispe(), brand=brand))
    assert code == "unsupported_format"
    assert "brand" in detail
    assert detail.isprintable()


@pytest.mark.parametrize(
    ("properties", "orientation"),
    [
        ([], 1),
        ([_irot(0)], 1),
        ([_irot(1)], 8),
        ([_irot(2)], 3),
        ([_irot(3)], 6),
        ([_imir(0)], 4),
        ([_imir(1)], 2),
        ([_irot(1), _imir(0)], 5),
        ([_irot(1), _imir(1)], 7),
        ([_irot(2), _imir(0)], 2),
        ([_irot(3), _imir(0)], 7),
        ([_imir(0), _irot(1)], 7),
        ([_imir(1), _irot(1)], 5),
    ],
)
def test_turns_and_mirrors_apply_in_their_order(properties: list[bytes], orientation: int):
    """A HEIC is rotated (anticlockwise) and mirrored (0: top and bottom) in the order of the file."""
    found = probed(heif(ispe(8, 6), *properties, brand=b"heic"))
    assert found.orientation == orientation
    assert (found.width, found.height) == (8, 6)


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("axis", range(2))
def test_an_avif_is_turned_before_it_is_mirrored(turn: int, axis: int):
    """An AVIF is rotated before it is mirrored, in any order of the file, as in browsers."""
    found, listed = (
        probed(heif(ispe(8, 6), *each)).orientation for each in ((_imir(axis), _irot(turn)), (_irot(turn), _imir(axis)))
    )
    assert found == listed


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_are_what_pillow_writes_and_reads(orientation: int):
    """An AVIF that Pillow writes with an orientation has this orientation."""
    assert probed(saved("AVIF", orientation=orientation)).orientation == orientation


def test_a_heic_of_a_telephone_s_kind():
    """The probe reads size, crop, orientation and alpha of a real HEIC."""
    found = probed(HEIC)
    assert (found.format, found.width, found.height, found.size) == ("heic", 64, 64, (20, 30))
    assert (found.crop_width, found.crop_height, found.orientation) == (30, 20, 6)
    assert (found.channels, found.depth, found.alpha) == (4, 8, True)


def test_what_is_outside_of_the_crop_does_not_count():
    """The clean aperture is rounded as in libheif, and never reaches beyond the image."""
    cropped = probed(heif(ispe(8, 6), _clap(15, 7, 2), brand=b"heic"))
    assert cropped.size == (8, 4)
    central, aside = probed(heif(ispe(8, 6), _clap(4, 3))), probed(heif(ispe(8, 6), _clap(4, 2, across=-2, down=9)))
    assert (central.size, central.crop_left, central.crop_top) == ((4, 3), 2, 2)
    assert (aside.size, aside.crop_left, aside.crop_top) == ((4, 2), 0, 4)


@pytest.mark.parametrize("clap", [_clap(9, 6), _clap(8, 7), _clap(0, 6), _clap(8, 6, 0), _clap(1, 6, 3)])
def test_an_impossible_crop_is_corrupt(clap: bytes):
    """An empty crop, or one larger than the image, is rejected."""
    assert rejected(heif(ispe(8, 6), clap, brand=b"heic"))[0] == "corrupt"


@pytest.mark.parametrize(
    ("properties", "channels", "depth"),
    [
        ([], 3, 8),
        ([box(b"pixi", bytes(4), b"\x03\x0a\x0a\x0a")], 3, 10),
        ([box(b"pixi", bytes(4), b"\x01\x0c")], 1, 12),
        ([box(b"av1C", b"\x81\0\x0c\0")], 3, 8),
        ([box(b"av1C", b"\x81\0\x4c\0")], 3, 10),
        ([box(b"av1C", b"\x81\0\x7c\0")], 1, 12),
        ([box(b"hvcC", bytes(16), b"\xfd\xfa\xfa")], 3, 10),
        ([box(b"hvcC", bytes(16), b"\xfc\xf8\xf8")], 1, 8),
        ([box(b"av1C", b"\x81\0\x4c\0"), box(b"pixi", bytes(4), b"\x03\x08\x08\x08")], 3, 8),
    ],
)
def test_samples_are_told(properties: list[bytes], channels: int, depth: int):
    """Channels and depth are those of pixi, else of the codec configuration, else three of 8 bits."""
    found = probed(heif(ispe(), *properties))
    assert (found.channels, found.depth) == (channels, depth)


@pytest.mark.parametrize(
    ("name", "references", "alpha"),
    [
        (ALPHA, _reference(b"auxl", 2, 1), True),
        (b"urn:mpeg:hevc:2015:auxid:1\0", _reference(b"auxl", 2, 1), True),
        (b"urn:mpeg:hevc:2015:auxid:2\0", _reference(b"auxl", 2, 1), False),
        (ALPHA, _reference(b"thmb", 2, 1), False),
        (ALPHA, _reference(b"auxl", 2, 9), False),
        (ALPHA, _reference(b"dimg", 1, 2, 2) + _reference(b"auxl", 3, 2), False),
        (ALPHA, b"", False),
        (b"", _reference(b"auxl", 2, 1), False),
    ],
)
def test_alpha_is_an_auxiliary_picture(name: bytes, references: bytes, alpha: bool):
    """An image has alpha if it or one of its tiles has an auxiliary item that is alpha."""
    found = probed(heif(ispe(), box(b"auxC", bytes(4), name), references=references))
    assert (found.alpha, found.channels) == (alpha, 3 + alpha)


@pytest.mark.parametrize("matrix", [3, 10, 11, 13, 14])
def test_matrices_that_libavif_does_not_convert_are_unsupported(matrix: int):
    """Such an AVIF is unsupported, and not corrupt; a HEIC with the same matrix is supported."""
    color = box(b"colr", b"nclx", struct.pack(">HHHB", 9, 16, matrix, 0))
    assert rejected(heif(ispe(), color))[0] == "unsupported_format"
    assert probed(heif(ispe(), color, brand=b"heic")).primaries == 9


def test_long_item_numbers_are_read():
    """Item numbers of 32 bits and property indexes of 15 bits are read."""
    assert probed(heif(ispe(), _irot(1), version=1, item=70_000, wide=True)).orientation == 8


def _track(width: int = 20, frames: int = 5, *, codec: bytes = b"av01", version: int = 0, more: bytes = b"", tref=b""):
    header = bytes((version, 0, 0, 0)) + bytes(84 if version else 72) + struct.pack(">II", width << 16, 10 << 16)
    entry = box(codec, bytes(78), box(b"av1C", b"\x81\0\x4c\0"), more)
    table = box(b"stsd", bytes(4), struct.pack(">I", 1), entry) + box(b"stsz", bytes(8), struct.pack(">I", frames))
    media = box(b"mdia", box(b"minf", box(b"stbl", table)))
    return box(b"trak", box(b"tkhd", header), media, tref)


def _alpha_track(name: bytes = ALPHA) -> bytes:
    return _track(more=box(b"auxi", bytes(4), name), tref=box(b"tref", box(b"auxl", struct.pack(">I", 1))))


@pytest.mark.parametrize("version", [0, 1])
def test_a_sequence_is_its_track(version: int):
    """An AVIF sequence has the size and the samples of its first track of images."""
    moov = box(b"moov", _track(codec=b"mp4a"), _track(version=version), _track(99))
    found = probed(heif(ispe(8, 6), brand=b"avis", more=moov))
    assert (found.size, found.frames, found.depth, found.alpha) == ((20, 10), 5, 10, False)


def test_a_sequence_has_alpha_where_a_track_says_so():
    """An auxiliary track gives alpha only if it is alpha, and it is never the main track."""
    assert probed(heif(ispe(), brand=b"avis", more=box(b"moov", _alpha_track(), _track()))).channels == 4
    depth = _alpha_track(b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth\0")
    assert not probed(heif(ispe(), brand=b"avis", more=box(b"moov", _track(), depth))).alpha


@pytest.mark.parametrize(
    ("brand", "moov"),
    [(b"avif", box(b"moov", _track())), (b"avis", box(b"moov", _alpha_track())), (b"avis", box(b"moov", box(b"trak")))],
)
def test_without_a_track_the_still_picture_counts(brand: bytes, moov: bytes):
    """With the brand avif, or without a track of images, the still image counts."""
    found = probed(heif(ispe(8, 6), brand=brand, more=moov))
    assert (found.size, found.frames) == ((8, 6), 1)


@pytest.mark.parametrize(("brand", "codec"), [(b"hevc", "HEVC"), (b"avif", "still")])
def test_a_sequence_that_is_not_read_is_no_damage(brand: bytes, codec: str):
    """A file with only an unsupported sequence is rejected with a message that names it."""
    code, detail = rejected(box(b"ftyp", brand, bytes(4), brand) + box(b"moov", box(b"mvhd", bytes(100))))
    assert (code, codec in detail) == ("unsupported_format", True)


def test_pixels_are_not_read():
    """A description after the pixels is found without reading them."""
    ftyp, meta, pixels = box(b"ftyp", b"avif", bytes(4)), good()["avif"], box(b"mdat", bytes(5_000_000))
    start = meta.index(b"meta") - 4
    moved = meta[start : start + struct.unpack(">I", meta[start : start + 4])[0]]
    reader = CountingReader(ftyp + pixels + moved)
    assert probe(reader).width == 40
    assert reader.cost <= 131_072


def test_boxes_may_say_their_size_in_64_bits_or_not_at_all():
    """A size of 1 means that 64 bits follow, a size of 0 that the box ends with the file."""
    data = heif(ispe(8, 6))
    start = data.index(b"meta") - 4
    (size,) = struct.unpack(">I", data[start : start + 4])
    body = data[start + 8 : start + size]
    assert probed(data[:start] + struct.pack(">I4sQ", 1, b"meta", size + 8) + body).size == (8, 6)
    assert probed(data[:start] + struct.pack(">I4s", 0, b"meta") + body).size == (8, 6)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (heif(), "corrupt"),
        (heif(ispe(), ispe(9, 9)), "corrupt"),
        (heif(ispe(0, 6)), "corrupt"),
        (heif(ispe(8, 0)), "corrupt"),
        (heif(ispe()).replace(b"ipco", b"ipcx"), "corrupt"),
        (heif(ispe()).replace(b"pitm", b"pitx"), "corrupt"),
        (heif(ispe()).replace(b"iprp", b"iprx"), "corrupt"),
        (heif(ispe()).replace(b"meta", b"mexa"), "corrupt"),
        (heif(ispe()).replace(b"\0\0\0\x14ispe", b"\0\0\0\x07ispe"), "corrupt"),
        (heif(ispe()).replace(b"\0\0\0\x14ispe", b"\0\0\0\x1cispe"), "corrupt"),
        (heif(ispe(), box(b"free", bytes(1 << 20))), "corrupt"),
        (heif(ispe(), brand=b"avis", more=box(b"moov", bytes(1 << 21))), "corrupt"),
        (box(b"ftyp", b"avif", bytes(4)) + box(b"free") * 10_001, "corrupt"),
        (box(b"ftyp", b"avis", bytes(4)), "corrupt"),
        (heif(ispe())[:60], "truncated"),
        (b"\0\0\xff\0ftypavif" + bytes(40), "truncated"),
    ],
)
def test_broken_boxes_are_rejected(data: bytes, code: str):
    """Each is rejected with its code."""
    assert rejected(data)[0] == code
