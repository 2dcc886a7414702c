"""`metadata = "copyright"`: author and copyright notice are kept, and nothing else."""

import struct
from io import BytesIO

import pytest
from PIL import Image, TiffImagePlugin

from tests.image.pictures import cornered, recipe, saved
from thumbsmith.image.credit import creator_and_rights
from thumbsmith.image.pillow import PngImagePlugin
from thumbsmith.image.render import render
from thumbsmith.recipe import Format
from thumbsmith.recipe.model import Metadata

ARTIST, COPYRIGHT, GPS, MAKE = 0x013B, 0x8298, 0x8825, 0x010F
PLACE = b"Hof 12, Wien"
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:p="http://ns.adobe.com/photoshop/1.0/"'
    f' p:City="{PLACE.decode()}"><dc:creator><rdf:Seq><rdf:li>Renée &amp; Ω</rdf:li><rdf:li>B</rdf:li></rdf:Seq>'
    '</dc:creator><dc:rights><rdf:Alt><rdf:li xml:lang="x-default">© R &lt;1&gt;</rdf:li>'
    '<rdf:li xml:lang="fr">autre</rdf:li></rdf:Alt></dc:rights></rdf:Description></rdf:RDF></x:xmpmeta>'
).encode()


def _exif(**words: str) -> bytes:
    exif = Image.Exif()
    exif[MAKE] = PLACE.decode()
    for name, text in words.items():
        exif[{"artist": ARTIST, "copyright": COPYRIGHT}[name]] = text.encode()
    exif.get_ifd(GPS)[1] = "N"
    exif.get_ifd(GPS)[2] = (48.0, 12.0, 30.0)
    return exif.tobytes()


def _iptc(author: bytes, notice: bytes) -> bytes:
    records = [(80, author), (116, notice), (90, PLACE)]
    data = b"".join(struct.pack(">BBBH", 0x1C, 2, tag, len(text)) + text for tag, text in records)
    return b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(data)) + data + b"\0" * (len(data) % 2)


def _with_segment(jpeg: bytes, marker: int, content: bytes) -> bytes:
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + jpeg[2:]


def _kept(data: bytes, kind: Format) -> tuple[bytes, Image.Image]:
    (made,) = render(data, recipe(formats=(kind,), metadata=Metadata.COPYRIGHT))
    return made.data, Image.open(BytesIO(made.data))


def _credit(image: Image.Image) -> tuple[str, str]:
    """Return author and notice from EXIF, after checking that XMP has the same and nothing else."""
    exif = image.getexif()
    assert set(exif) <= {ARTIST, COPYRIGHT}
    assert not exif.get_ifd(GPS)
    author, notice = (exif.get(tag, "").encode("latin-1").decode() for tag in (ARTIST, COPYRIGHT))
    authors, notices = creator_and_rights(image.info["xmp"])
    assert (authors, notices) == ([author] * bool(author), [notice] * bool(notice))
    return author, notice


SOURCES = {
    "exif": saved(cornered(), "JPEG", exif=_exif(artist="Renée & Ω, B", copyright="© R <1>")),
    "xmp": saved(cornered(), "JPEG", xmp=XMP),
    "iptc": _with_segment(saved(cornered(), "JPEG"), 0xED, _iptc("Renée & Ω, B".encode(), "© R <1>".encode())),
    "exif in png": saved(cornered(), "PNG", exif=_exif(artist="Renée & Ω, B", copyright="© R <1>")),
    "exif in webp": saved(cornered(), "WEBP", exif=_exif(artist="Renée & Ω, B", copyright="© R <1>")),
    "xmp in webp": saved(cornered(), "WEBP", xmp=XMP),
    "xmp in avif": saved(cornered(), "AVIF", xmp=XMP),
    "some of each": _with_segment(
        saved(cornered(), "JPEG", exif=_exif(copyright="© R <1>"), xmp=XMP), 0xED, _iptc(b"other", b"other")
    ),
}


@pytest.mark.parametrize("kind", Format)
@pytest.mark.parametrize("source", SOURCES)
def test_author_and_copyright_are_kept_and_nothing_else(source: str, kind: Format):
    """For every place in a source and every format, a rendition has both texts, but no position or camera."""
    data, image = _kept(SOURCES[source], kind)
    assert _credit(image) == ("Renée & Ω, B", "© R <1>")
    assert PLACE not in data


def test_png_has_its_own_keywords():
    """A PNG also has author and copyright as its own keywords."""
    _, image = _kept(SOURCES["exif"], Format.PNG)
    image.load()
    assert (image.info["Author"], image.info["Copyright"]) == ("Renée & Ω, B", "© R <1>")


def test_a_tiff_is_read():
    """Author, copyright and XMP of a TIFF are read from its directory."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[ARTIST] = "Ada"
    tags.tagtype[700] = 1
    tags[700] = XMP
    _, image = _kept(saved(cornered(), "TIFF", tiffinfo=tags), Format.JPEG)
    assert _credit(image) == ("Ada", "© R <1>")


@pytest.mark.parametrize("kind", Format)
def test_no_credit_is_kept_by_default(kind: Format):
    """Without the field, or without a credit in the source, no metadata is written."""
    for source, metadata in ((SOURCES["exif"], Metadata.STRIP), (saved(cornered(), "JPEG"), Metadata.COPYRIGHT)):
        (made,) = render(source, recipe(formats=(kind,), metadata=metadata))
        (bare,) = render(saved(cornered(), "JPEG"), recipe(formats=(kind,)))
        assert made.data == bare.data


@pytest.mark.parametrize(
    "source",
    [
        saved(cornered(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 40),
        saved(cornered(), "JPEG", xmp=b"<x:xmpmeta"),
        saved(cornered(), "JPEG", xmp=b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
        _with_segment(saved(cornered(), "JPEG"), 0xED, b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\xff\xff"),
    ],
)
def test_damaged_metadata_is_ignored(source: bytes):
    """Damaged metadata is ignored."""
    _, image = _kept(source, Format.JPEG)
    assert not image.getexif()
    assert image.size == (64, 43)


def test_a_text_is_one_line_of_bounded_length():
    """Line ends and control characters become spaces, and long text is cut."""
    _, image = _kept(saved(cornered(), "JPEG", exif=_exif(artist="a\r\n\x07b", copyright="x" * 5000)), Format.WEBP)
    author, notice = _credit(image)
    assert (author, len(notice)) == ("a b", 1000)


def test_xmp_is_read_as_attribute_and_as_plain_text():
    """Both short notations of a property are read; a document type is refused."""
    packet = XMP.replace(b' p:City="', b' dc:creator="Ada" p:City="')
    assert creator_and_rights(packet)[0][0] == "Ada"
    plain = b'<a xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:rights>mine</dc:rights></a>'
    assert creator_and_rights(plain) == ([], ["mine"])
    with pytest.raises(ValueError, match="document type"):
        creator_and_rights(b"<!DOCTYPE a><a/>")


def test_reading_a_credit_decodes_no_pixels(monkeypatch: pytest.MonkeyPatch):
    """Reading a credit decodes no pixels."""
    opened: set[int] = set()
    begin = PngImagePlugin.PngImageFile.load_prepare
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load_prepare", lambda self: opened.add(id(self)) or begin(self))
    _kept(saved(cornered(), "PNG"), Format.JPEG)
    assert len(opened) == 1
