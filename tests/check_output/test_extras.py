"""The extras that a variant asks for are allowed in its renditions, and nothing else."""

import io
import zlib
from dataclasses import replace

import pytest
from PIL import Image, ImageCms

from thumbsmith.image.check_output import Extras, OutputError, check
from thumbsmith.image.render import render
from thumbsmith.recipe import Format, Recipe, Variant
from thumbsmith.recipe.model import Animation, Color, Metadata
from thumbsmith.recipe.names import Rendition

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

# Red and green exchanged: a color space that is not sRGB, so that its profile is kept.
WIDE = PROFILE.replace(b"rXYZ", b"xXYZ").replace(b"gXYZ", b"rXYZ").replace(b"xXYZ", b"gXYZ")

CREDIT, KEEP, MOVES = (
    Variant(name="v", width=32, formats=tuple(Format), metadata=Metadata.COPYRIGHT),
    Variant(name="v", width=32, formats=tuple(Format), color=Color.KEEP),
    Variant(name="v", width=32, formats=tuple(Format), animation=Animation.KEEP),
)


def _source(kind: str = "jpeg", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((64, 48)).save(stream, kind, **options)
    return stream.getvalue()


def _credited() -> bytes:
    exif = Image.Exif()
    exif[0x013B], exif[0x8298], exif[0x0131] = "Ada", "(c) Ada", "SN:73-4411"
    exif.get_ifd(0x8825)[2] = (48.0, 8.0, 5.0)
    return _source(exif=exif)


def _moving() -> bytes:
    frames = [Image.new("RGB", (64, 48), color) for color in ("red", "green", "blue")]
    return _source("webp", save_all=True, append_images=frames, duration=80)


def _made(variant: Variant) -> dict[Format, Rendition]:
    data = {id(CREDIT): _credited, id(KEEP): lambda: _source(icc_profile=WIDE), id(MOVES): _moving}[id(variant)]()
    return {each.format: each for each in render(data, Recipe(variants=(variant,)))}


@pytest.mark.parametrize("kind", Format)
@pytest.mark.parametrize("variant", [CREDIT, KEEP, MOVES], ids=["credit", "profile", "frames"])
def test_what_a_variant_asks_for_passes_and_only_there(variant: Variant, kind: Format):
    """A rendition passes with the extras of its variant, and is refused without them."""
    made = _made(variant)[kind]
    check(made, Extras.of(variant))
    if variant is not MOVES or kind.supports_animation:
        with pytest.raises(OutputError):
            check(made)


@pytest.mark.parametrize("kind", Format)
@pytest.mark.parametrize("variant", [CREDIT, KEEP, MOVES], ids=["credit", "profile", "frames"])
def test_one_extra_allows_no_other(variant: Variant, kind: Format):
    """A rendition with a credit, a profile or frames is refused if only the two others are allowed."""
    extras = Extras.of(variant)
    others = Extras(profile=not extras.profile, credit=not extras.credit, frames=not extras.frames)
    if variant is not MOVES or kind.supports_animation:
        with pytest.raises(OutputError):
            check(_made(variant)[kind], others)


def test_a_profile_of_frames_is_a_profile():
    """A profile in the description or in the track of an animated AVIF is refused if only frames are allowed."""
    stream = io.BytesIO()
    frames = [Image.new("RGB", (64, 48), color) for color in ("red", "green")]
    frames[0].save(stream, "avif", save_all=True, append_images=frames[1:], icc_profile=WIDE)
    both = stream.getvalue()
    assert both.count(b"prof") == 2
    in_track = both.replace(b"prof", b"nclx", 1)
    in_description = in_track[: both.rindex(b"prof")].replace(b"nclx", b"prof", 1) + both[both.rindex(b"prof") :]
    made = replace(_made(MOVES)[Format.AVIF], width=64, height=48)
    check(replace(made, data=both), Extras(frames=True, profile=True))
    for data in (both, in_track, in_description):
        with pytest.raises(OutputError, match="profile"):
            check(replace(made, data=data), Extras(frames=True))


def test_nothing_is_hidden_behind_a_packed_profile():
    """Bytes after the compressed profile in a PNG chunk are refused."""
    made = _made(KEEP)[Format.PNG]
    start = made.data.index(b"iCCP")
    length = int.from_bytes(made.data[start - 4 : start], "big")
    body = made.data[start : start + 4 + length] + b"SN:73-4411"
    chunk = (length + 10).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    data = made.data[: start - 4] + chunk + made.data[start + 8 + length :]
    with pytest.raises(OutputError, match="profile does not end"):
        check(replace(made, data=data), Extras.of(KEEP))


@pytest.mark.parametrize("name", [b"av01Color\0", b"ExifExif\0"])
def test_items_of_an_avif_have_no_names_of_their_own(name: bytes):
    """Other names of items than those of the encoder are refused, even if a credit is allowed."""
    made = _made(CREDIT)[Format.AVIF]
    assert made.data.count(name) == 1
    with pytest.raises(OutputError, match="an item"):
        check(replace(made, data=made.data.replace(name, name[:4] + b"SN" + name[6:])), Extras.of(CREDIT))


@pytest.mark.parametrize("kind", Format)
@pytest.mark.parametrize("variant", [CREDIT, KEEP, MOVES], ids=["credit", "profile", "frames"])
def test_what_follows_the_end_is_refused(variant: Variant, kind: Format):
    """A byte after the end is refused, even if extras are allowed."""
    made = _made(variant)[kind]
    for tail in (b"\0", b"SN:73-4411"):
        with pytest.raises(OutputError):
            check(replace(made, data=made.data + tail), Extras.of(variant))


@pytest.mark.parametrize("kind", [Format.JPEG, Format.PNG, Format.WEBP])
def test_a_credit_is_no_way_in_for_other_metadata(kind: Format):
    """EXIF with a position or a serial number is refused, even if a credit is allowed."""
    exif = Image.Exif()
    exif.load(Image.open(io.BytesIO(_credited())).info["exif"])
    stream = io.BytesIO()
    Image.new("RGB", (32, 24)).save(stream, kind.value, exif=exif)
    with pytest.raises(OutputError, match="EXIF"):
        check(replace(_made(CREDIT)[kind], data=stream.getvalue()), Extras.of(CREDIT))


def test_a_profile_of_a_jpeg_may_have_parts():
    """A profile in several segments is joined. In another order, or with more bytes, it is refused."""
    made = _made(KEEP)[Format.JPEG]
    start = made.data.index(b"\xff\xe2")
    end = start + 2 + int.from_bytes(made.data[start + 2 : start + 4], "big")
    profile = made.data[start + 18 : end]

    def of_parts(*parts: bytes) -> Rendition:
        segments = (
            b"\xff\xe2" + (len(part) + 16).to_bytes(2, "big") + b"ICC_PROFILE\0" + bytes([number, len(parts)]) + part
            for number, part in enumerate(parts, start=1)
        )
        return replace(made, data=made.data[:start] + b"".join(segments) + made.data[end:])

    check(of_parts(profile[:200], profile[200:]), Extras.of(KEEP))
    for parts in (
        (profile[200:], profile[:200]),
        (profile, b"SN:73-4411"),
        (b"SN:73-4411", profile),
        (profile, profile),
    ):
        with pytest.raises(OutputError, match="profile"):
            check(of_parts(*parts), Extras.of(KEEP))


def test_a_credit_of_a_jpeg_comes_once():
    """One block of EXIF and one of XMP are allowed. Further ones are refused, even with only a credit."""
    made = _made(CREDIT)[Format.JPEG]
    start = made.data.index(b"\xff\xe1")
    segment = made.data[start : start + 2 + int.from_bytes(made.data[start + 2 : start + 4], "big")]
    with pytest.raises(OutputError, match="more than once"):
        check(replace(made, data=made.data[:start] + segment * 3 + made.data[start:]), Extras.of(CREDIT))


@pytest.mark.parametrize("kind", [Format.JPEG, Format.WEBP])
def test_a_packet_holds_a_credit_and_nothing_else(kind: Format):
    """XMP with more than a credit is refused."""
    stream = io.BytesIO()
    Image.new("RGB", (32, 24)).save(stream, kind.value, xmp=b"<x:xmpmeta>GPSLatitude</x:xmpmeta>")
    with pytest.raises(OutputError, match="XMP"):
        check(replace(_made(CREDIT)[kind], data=stream.getvalue()), Extras.of(CREDIT))


@pytest.mark.parametrize("kind", [Format.JPEG, Format.PNG, Format.WEBP])
def test_a_profile_is_no_way_in_for_other_bytes(kind: Format):
    """A profile with a wrong length or signature is refused."""
    for profile in (WIDE + b"SN:73-4411", b"no profile at all" * 20):
        stream = io.BytesIO()
        Image.new("RGB", (32, 24)).save(stream, kind.value, icc_profile=profile)
        with pytest.raises(OutputError, match="profile"):
            check(replace(_made(KEEP)[kind], data=stream.getvalue()), Extras.of(KEEP))


@pytest.mark.parametrize(
    "block", [b"", b"MM\0*", b"II*\0\x08\0\0\0\x01\0", b"XX*\0" + bytes(20), b"MM\0*\0\0\0\x08\0\0\0\0\0\0"]
)
def test_exif_that_is_no_credit_is_refused(block: bytes):
    """EXIF blocks that are cut, without a byte order or without an entry are refused."""
    with pytest.raises(OutputError, match="EXIF"):
        Extras(credit=True).require_exif(block)
