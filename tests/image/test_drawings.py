"""SVG and PDF: size, color, text, and what is left out."""

import base64
import io
import sys
from dataclasses import replace

import pytest
from PIL import Image

from tests.containers.files import pdf, picture, saved, svg
from thumbsmith import Recipe, render
from thumbsmith.errors import Code, MissingDecoder, Rejected
from thumbsmith.image import decode_pdf
from thumbsmith.image.check_output import OutputError, check
from thumbsmith.image.containers.base import Window
from thumbsmith.image.containers.svg import read_drawing
from thumbsmith.image.pipeline import Job, check_source, make_renditions
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader
from thumbsmith.recipe.model import Format
from thumbsmith.recipe.names import Rendition

WHOLE = Recipe.loads("[variants.whole]\nwidth = 256\nheight = 256\nformats = ['png']\n")
LARGE = Recipe.loads("[variants.large]\nwidth = 400\nenlarge = true\nformats = ['png']\n")


def shown(data: bytes, recipe: Recipe = WHOLE) -> Image.Image:
    """Return the only rendition of a drawing."""
    (made,) = render(data, recipe)
    return Image.open(io.BytesIO(made.data)).convert("RGBA")


def written(data: bytes) -> str:
    """Return the drawing that a renderer gets."""
    return read_drawing(Window.over(BytesReader(data))).scaled(40, 24)


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('width="40" height="24"', (40, 24)),
        ('width="30pt" height="18pt"', (40, 24)),
        ('width="1in" height="25.4mm"', (96, 96)),
        ('viewBox="0 0 200 100"', (200, 100)),
        ('width="100%" height="100%" viewBox="-9 -9 200 100"', (200, 100)),
        ('width="50" viewBox="0 0 200 100"', (50, 25)),
        ('height="50" viewBox="0,0,200,100"', (100, 50)),
        ('width="0.2" height="163.045"', (1, 163)),
        ("", (300, 150)),
        ('viewBox="0 0 0 9"', (300, 150)),
        ('width="2em"', (32, 150)),
    ],
)
def test_the_size_of_a_drawing(attributes: str, size: tuple[int, int]):
    """Units are those of CSS; a missing side follows the viewBox; a drawing without any size is 300 x 150."""
    assert probe(BytesReader(svg(size=attributes))).size == size


def test_a_drawing_is_drawn_at_the_size_that_is_needed():
    """An enlarged drawing has sharp edges: each column is red or transparent."""
    found = shown(svg(), LARGE)
    assert found.size == (400, 240)
    assert {found.getpixel((x, 100)) for x in (0, 100, 198)} == {(255, 0, 0, 255)}
    assert found.getpixel((201, 100))[3] == 0


def test_units_styles_and_links_within_the_file_are_kept():
    """Lengths in points, style sheets, gradients and embedded pictures are drawn."""
    styled = svg('<style>.a{fill:#00f}</style><rect class="a" width="20pt" height="18pt"/>')
    assert shown(styled).getpixel((20, 12)) == (0, 0, 255, 255)
    gradient = (
        '<linearGradient id="g"><stop stop-color="lime"/></linearGradient><rect width="40" height="24" fill="url(#g)"/>'
    )
    assert shown(svg(gradient)).getpixel((20, 12)) == (0, 255, 0, 255)
    png = base64.b64encode(saved("PNG", Image.new("RGB", (4, 4), "blue"))).decode()
    embedded = svg(f'<image width="40" height="40" xlink:href="data:image/png;base64,{png}"/>')
    assert shown(embedded).getpixel((20, 12)) == (0, 0, 255, 255)
    assert probe(BytesReader(embedded)).piece == 16


def test_entities_of_a_file_are_replaced():
    """Drawing programs write entities for namespaces and colors."""
    before = '<!DOCTYPE svg [<!ENTITY red "#ff0000"><!ENTITY ns "http://www.w3.org/2000/svg">]>'
    data = before.encode() + b'<svg xmlns="&ns;" viewBox="0 0 40 24"><rect width="40" height="24" fill="&red;"/></svg>'
    assert shown(data).getpixel((39, 23)) == (255, 0, 0, 255)


def test_text_is_drawn_with_fonts_of_the_package():
    """Text is drawn without a font of the system: the family only chooses between three."""
    text = '<text x="2" y="20" font-size="20" style="font-family: {}">mm</text>'
    drawn = {family: shown(svg(text.format(family))) for family in ("Arial", "Unknown", "Georgia, serif", "Courier")}
    alpha = {family: each.getchannel("A").tobytes() for family, each in drawn.items()}
    assert alpha["Arial"] == alpha["Unknown"]
    assert len(set(alpha.values())) == 3
    assert all(max(each) > 200 for each in alpha.values())
    without = shown(svg('<text x="2" y="20" font-size="20">mm</text>'))
    assert without.getchannel("A").tobytes() == alpha["Georgia, serif"]  # as in browsers


def test_letters_other_than_latin_are_drawn():
    """Greek and Cyrillic letters are drawn with the only font that has them, in any family."""
    text = '<text x="2" y="20" font-size="20" {}>жΩ</text>'
    families = ('font-family="Arial"', 'font-family="Times"', 'style="font-family:Courier"', "")
    assert len({shown(svg(text.format(each))).getchannel("A").tobytes() for each in families}) == 1
    assert shown(svg(text.format(""))).tobytes() != shown(svg(text.format("").replace("жΩ", "ΩЖ"))).tobytes()


def test_a_renderer_gets_nothing_from_outside():
    """Scripts, handlers, animations, other namespaces and references to the outside are left out."""
    attacks = """<script>a</script><rect onclick="b" fill="url(http://c)"/><image href="file:///d"/>
    <use href="e.svg#f"/><x:y xmlns:x="g"/><style>@import "h"; a { fill: url('https://i') }</style>
    <animate to="j"/><foreignObject>k</foreignObject>"""
    found = written(svg(attacks, 'width="9" height="9" onload="l"', "<?xml-stylesheet href='m'?>"))
    for part in (
        "script",
        "onclick",
        "http://c",
        "file:",
        "e.svg",
        "x:y",
        "import",
        "https",
        "animate",
        "foreign",
        "onload",
    ):
        assert part not in found, part
    assert "stylesheet" not in found


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (svg()[:-20], Code.TRUNCATED),
        (svg("<rect>"), Code.CORRUPT),
        (svg("&unknown;"), Code.CORRUPT),
        (b'<svg width="9"/>', Code.UNSUPPORTED_FORMAT),
        (b'<?xml version="1.0"?><note/>', Code.UNSUPPORTED_FORMAT),
        (svg('<image href="data:image/png;base64,AAAA"/>'), Code.UNSUPPORTED_FORMAT),
        (pdf()[:200], Code.TRUNCATED),
        (pdf()[:9] + b"%%EOF", Code.CORRUPT),
        (pdf(box=b"0 0 99999 9"), Code.TOO_LONG_SIDE),
    ],
)
def test_what_cannot_be_drawn_is_rejected(data: bytes, code: Code):
    """Cut and broken drawings, other XML, and pages that are too large have a code."""
    with pytest.raises(Rejected) as refused:
        render(data, WHOLE)
    assert refused.value.code == code


def test_the_first_page_of_a_pdf():
    """A page is drawn on white in CSS pixels, turned as it says."""
    found = shown(pdf())
    assert found.size == (40, 24)
    assert (found.getpixel((5, 12)), found.getpixel((35, 12))) == ((255, 0, 0, 255), (255, 255, 255, 255))
    assert shown(pdf(page=b"/Rotate 90")).size == (24, 40)
    large = shown(pdf(), LARGE)
    assert (large.getpixel((197, 100)), large.getpixel((203, 100))) == ((255, 0, 0, 255), (255, 255, 255, 255))


@pytest.mark.parametrize(
    ("page", "size", "note"),
    [(1, (40, 24), None), (2, (80, 40), None), (3, (20, 20), None), (4, (20, 20), "its last page, 3, is shown")],
)
def test_the_page_of_a_recipe(page: int, size: tuple[int, int], note: str | None):
    """The page of the recipe is shown; the last one, with a note, where the document has fewer."""
    recipe = replace(WHOLE, variants=(replace(WHOLE.variants[0], page=page),))
    reader = BytesReader(pdf(more=[b"0 0 60 30", b"0 0 15 15"]))
    job = make_renditions(check_source(Job(reader=reader, recipe=recipe)))
    assert job.probe.size == (job.renditions[0].width, job.renditions[0].height) == size
    assert (note in job.notes[0]) if note else job.notes == ()


def test_the_page_is_for_documents():
    """Other sources are the same at every page, without a note."""
    recipe = replace(WHOLE, variants=(replace(WHOLE.variants[0], page=2),))
    for data in (svg(), saved("TIFF"), saved("PNG")):
        job = make_renditions(check_source(Job(reader=BytesReader(data), recipe=recipe)))
        assert job.notes == ()
        assert job.renditions[0].data == render(data, WHOLE)[0].data


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    """Without the extra, a drawing is neither rejected nor corrupt: the message names the extra."""
    decode_pdf.load_library.cache_clear()
    for package in ("resvg_py", "pypdfium2_raw"):
        monkeypatch.setitem(sys.modules, package, None)
    for data in (svg(), pdf()):
        with pytest.raises(MissingDecoder, match=r'needs the extra "documents": run .*\[documents\]'):
            render(data, WHOLE)


def test_the_parent_reads_no_drawing():
    """The output check refuses a drawing by its first bytes: its header reader is not run on it."""
    for data in (svg(), pdf(), saved("GIF", picture())):
        with pytest.raises(OutputError, match="format is not png"):
            check(Rendition(variant="whole", format=Format.PNG, type="image/png", width=40, height=24, data=data))
