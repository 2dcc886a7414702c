"""Malicious PDFs: circles and trees of objects, streams that uncompress to gigabytes, and pages that take too long."""

import struct
import zlib
from collections.abc import Iterator
from functools import cache

from tests.containers.files import pdf, pdf_file, pdf_stream
from tests.hostile.samples import Sample, repeated

TOO_MUCH = ("corrupt", "truncated", "over_time", "over_memory", "too_many_pixels", "too_long_side", "encrypted")

CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
GROUP = b"/Group<</S/Transparency/I true/K true>>"

# Object numbers of `page`: its content is 4, and what else it has follows.
FIRST = 5


@cache
def documents() -> tuple[Sample, ...]:
    """Return PDFs with the expected outcome of each."""
    found = {**_files(), **_forms(), **_streams(), **_pictures(), **_drawn()}
    return (*_scripts(), *(Sample(f"pdf-{name}", data, "either", TOO_MUCH) for name, data in found.items()))


def page(
    content: bytes, *objects: bytes, resources: bytes = b"", box: bytes = b"0 0 600 600", fields: bytes = b""
) -> bytes:
    """Return a PDF of one page. `objects` have the numbers from FIRST."""
    form = b"<</Type/Page/Parent 2 0 R/MediaBox[%b]/Contents 4 0 R/Resources<<%b>>%b>>" % (box, resources, fields)
    return pdf_file(CATALOG, PAGES, form, pdf_stream(content), *objects)


def form(content: bytes, resources: bytes = b"", fields: bytes = b"") -> bytes:
    """Return a form: a drawing that pages and other forms can show."""
    head = b"/Type/XObject/Subtype/Form/BBox[0 0 600 600]/Resources<<%b>>%b" % (resources, fields)
    return pdf_stream(content, head)


def chain(levels: int, content: bytes, fields: bytes = b"") -> list[bytes]:
    """Return forms that each show the next one, by the name F; the last one shows a rectangle."""
    made = [form(content, b"/XObject<</F %d 0 R>>" % (FIRST + 1 + level), fields) for level in range(levels)]
    return [*made, form(b"1 0 0 rg 0 0 100 100 re f")]


def _scripts() -> Iterator[Sample]:
    yield Sample("pdf-empty-page", pdf(box=b"0 0 0 0"), "either", TOO_MUCH)
    yield Sample("pdf-huge", pdf(box=b"0 0 9999999 9999999"), "reject", TOO_MUCH)
    yield Sample("pdf-script", pdf(trailer=b"/OpenAction<</S/JavaScript/JS(app.alert(1))>>"), "thumbnail")
    encrypted = b"/Encrypt<</Filter/Standard/V 1/R 2/O<%b>/U<%b>/P -4>>/ID[<00><00>]" % (b"00" * 32, b"11" * 32)
    yield Sample("pdf-encrypted", pdf(trailer=encrypted), "reject", ("encrypted",))
    yield Sample("pdf-unknown-encryption", pdf(trailer=b"/Encrypt<</Filter/Mine>>"), "reject", ("encrypted",))
    yield Sample("pdf-without-anything", b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript>>>>", "reject", TOO_MUCH)
    circle = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[2 0 R]/Count 1>>endobj\n"
    yield Sample("pdf-page-circle", circle + b"trailer<</Root 1 0 R>>", "reject", TOO_MUCH)


def _files() -> dict[str, bytes]:
    """Return files whose objects, tables or pages refer to themselves, or claim impossible numbers."""
    good = pdf()
    table = good.index(b"xref\n")
    nested = pdf_file(CATALOG, PAGES, b"[" * 200_000)
    levels = 3_000
    tree = [b"<</Type/Pages/Kids[%d 0 R]/Count 1/Parent %d 0 R>>" % (3 + n, 1 + n) for n in range(levels)]
    wide = b"<</Type/Pages/Kids[%b]/Count 99999>>" % (b"2 0 R " * 99_999)
    inside = zlib.compress(b"1 0 2 40 <</Type/Catalog/Pages 2 0 R>>        <</Type/Pages/Kids[3 0 R]/Count 1>>")
    objects = b"/Type/ObjStm/N 2147483647/First 8/Filter/FlateDecode/Extends 3 0 R"
    rows = repeated(bytes(1 << 20), 64)
    huge_table = pdf_stream(rows, b"/Type/XRef/Size 99999999/W[1 4 2]/Root 1 0 R/Filter/FlateDecode")
    start = b"%PDF-1.5\n1 0 obj" + huge_table + b"endobj\nstartxref\n9\n%%EOF"
    return {
        "previous-table-circle": good.replace(b"/Root", b"/Prev %d/Root" % table),
        "table-stream-circle": good.replace(b"/Root", b"/XRefStm %d/Root" % table),
        "table-of-2-31": good.replace(b"/Size 5", b"/Size 2147483647"),
        "section-of-2-31": good.replace(b"xref\n0 5", b"xref\n0 2147483646"),
        "table-bomb": start,
        "many-tables": good * 3_000,
        "nested-arrays": nested,
        "nested-dictionaries": pdf_file(CATALOG, PAGES, b"<</A" * 200_000),
        "deep-pages": pdf_file(CATALOG, *tree, b"<</Type/Page/MediaBox[0 0 9 9]>>"),
        "wide-page-circle": pdf_file(CATALOG, wide),
        "pages-of-2-31": pdf_file(CATALOG, b"<</Type/Pages/Kids[3 0 R]/Count 2147483647>>", b"<</Type/Page>>"),
        "object-stream-circle": pdf_file(CATALOG, PAGES, pdf_stream(inside, objects)),
        "contents-circle": good.replace(b"/Length 23", b"/Length 4 0 R"),
        "contents-many": page(b"", resources=b"", fields=b"/Contents[%b]" % (b"4 0 R " * 500_000)),
        "parent-circle": good.replace(b"/Parent 2 0 R", b"/Parent 3 0 R").replace(b"/MediaBox", b"/MediaBux"),
        "user-unit": pdf(page=b"/UserUnit 1e9"),
        "box-of-no-numbers": pdf(box=b"nan inf -1e39 1e39"),
        "key-hash": pdf(
            trailer=b"/Encrypt<</Filter/Standard/V 5/R 6/Length 256/O<%b>/U<%b>/OE<%b>/UE<%b>/Perms<%b>/P -4>>"
            % (b"00" * 48, b"00" * 48, b"00" * 32, b"00" * 32, b"00" * 16)
        ),
    }


def _forms() -> dict[str, bytes]:
    """Return forms, patterns, masks and glyphs that show each other, in circles and in trees of 2^60 leaves."""
    shown = b"/XObject<</F 5 0 R>>"
    itself = b"/F Do /F Do"
    mask = b"<</Type/ExtGState/SMask<</S/Luminosity/G %d 0 R>>>>"
    pattern = (
        b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 9 9]/XStep %b/YStep %b"
        b"/Resources<</Pattern<</P %d 0 R>>>>"
    )
    fill = b"/Pattern cs /P scn 0 0 600 600 re f"
    glyphs = (
        b"<</Type/Font/Subtype/Type3/FontBBox[0 0 1 1]/FontMatrix[1 0 0 1 0 0]/FirstChar 97/LastChar 97/Widths[1]"
        b"/Encoding<</Differences[97/a]>>/CharProcs<</a 6 0 R>>/Resources<</Font<</T 5 0 R>>>>>>"
    )
    text = b"BT /T 99 Tf (%b) Tj ET"
    return {
        "form-circle": page(b"/F Do", form(itself, shown), resources=shown),
        "form-circle-groups": page(b"/F Do", form(itself, shown, GROUP), resources=shown),
        "form-tree-2": page(b"/F Do", *chain(60, itself), resources=shown),
        "form-tree-10": page(b"/F Do", *chain(8, b"/F Do " * 10), resources=shown),
        "form-tree-groups": page(b"/F Do", *chain(60, itself, GROUP), resources=shown),
        "form-tree-groups-large": page(b"/F Do", *chain(25, itself, GROUP), resources=shown, box=b"0 0 9000 9000"),
        "form-wide": page(b"/F Do", *chain(3, b"/F Do " * 2_000), resources=shown),
        "form-in-states": page(b"/F Do", *chain(30, b"q " * 500 + itself), resources=shown),
        "mask-circle": page(
            b"/M gs 0 0 600 600 re f",
            mask % 6,
            form(b"/M gs 0 0 600 600 re f", b"/ExtGState<</M 5 0 R>>", GROUP),
            resources=b"/ExtGState<</M 5 0 R>>",
        ),
        "mask-chain": page(
            b"/M gs 0 0 600 600 re f",
            *(
                mask % (FIRST + 1 + n)
                if n % 2 == 0
                else form(b"/M gs " + b"0 0 600 600 re f " * 20, b"/ExtGState<</M %d 0 R>>" % (FIRST + 1 + n), GROUP)
                for n in range(39)
            ),
            form(b"0 0 600 600 re f", fields=GROUP),
            resources=b"/ExtGState<</M 5 0 R>>",
        ),
        "pattern-circle": page(fill, pdf_stream(fill, pattern % (b"9", b"9", 5)), resources=b"/Pattern<</P 5 0 R>>"),
        "pattern-chain": page(
            fill,
            *(pdf_stream(fill, pattern % (b"9", b"9", FIRST + 1 + n)) for n in range(30)),
            pdf_stream(b"1 0 0 rg 0 0 5 5 re f", pattern % (b"9", b"9", 99)),
            resources=b"/Pattern<</P 5 0 R>>",
        ),
        "pattern-tiny-steps": page(
            fill, pdf_stream(b"0 0 1 1 re f", pattern % (b"1e-6", b"1e-6", 99)), resources=b"/Pattern<</P 5 0 R>>"
        ),
        "glyph-circle": page(
            text % b"aa", glyphs, pdf_stream(b"1 0 d0 " + text % b"aa"), resources=b"/Font<</T 5 0 R>>"
        ),
        "notes-circle": page(
            b"",
            b"<</Type/Annot/Subtype/Stamp/Rect[0 0 600 600]/AP<</N 6 0 R>>>>",
            form(itself, b"/XObject<</F 6 0 R>>"),
            fields=b"/Annots[%b]" % (b"5 0 R " * 50_000),
        ),
        "color-circle": page(
            b"/C cs 1 scn 0 0 9 9 re f", b"[/Indexed 5 0 R 255 <00>]", resources=b"/ColorSpace<</C 5 0 R>>"
        ),
        "function-circle": page(
            b"/S sh",
            b"<</ShadingType 2/ColorSpace/DeviceGray/Coords[0 0 600 600]/Extend[true true]/Function 6 0 R>>",
            b"<</FunctionType 3/Domain[0 1]/Functions[6 0 R 6 0 R]/Bounds[.5]/Encode[0 1 0 1]>>",
            resources=b"/Shading<</S 5 0 R>>",
        ),
    }


def _streams() -> dict[str, bytes]:
    """Return streams that uncompress to gigabytes, once or several times over."""
    zeros = repeated(bytes(1 << 20), 600)
    twice = zlib.compress(zeros, 9)
    lines = repeated(b"0 0 m 600 600 l S\n" * (8 << 10), 1_000)
    states = repeated(b"q " * (1 << 20), 32)
    runs = b"\x81\0" * (4 << 20)
    return {
        "flate-bomb": _packed(zeros, b"/FlateDecode"),
        "flate-bomb-twice": _packed(twice, b"[/FlateDecode/FlateDecode]"),
        "flate-lines": _packed(lines, b"/FlateDecode"),
        "flate-states": _packed(states, b"/FlateDecode"),
        "flate-predictor": _packed(
            zeros, b"/FlateDecode/DecodeParms<</Predictor 15/Columns 2147483647/Colors 32/BitsPerComponent 16>>"
        ),
        "run-lengths-bomb": _packed(runs, b"/RunLengthDecode"),
        "filters": _packed(bytes(1000), b"[%b]" % (b"/ASCIIHexDecode" * 50_000)),
    }


def _packed(data: bytes, filters: bytes) -> bytes:
    return pdf_file(
        CATALOG,
        PAGES,
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 600]/Contents 4 0 R/Resources<<>>>>",
        pdf_stream(data, b"/Filter" + filters),
    )


def _pictures() -> dict[str, bytes]:
    """Return pictures in pages that are far larger than the page."""
    zeros = repeated(bytes(1 << 20), 500)
    jpeg = b"\xff\xd8\xff\xc0\0\x11\x08\xff\xdc\xff\xdc\3\1\x22\0\2\x11\0\3\x11\0\xff\xd9"
    jpx = b"\xff\x4f\xff\x51" + struct.pack(">HH8IH", 47, 0, 60000, 60000, 0, 0, 60000, 60000, 0, 0, 3) + b"\7\1\1" * 3
    sides = b"/Width 60000/Height 60000"
    color = b"/BitsPerComponent 8/ColorSpace/DeviceRGB"
    made = {
        "picture-of-900-mp": (
            zeros,
            b"/Width 30000/Height 30000/BitsPerComponent 1/ColorSpace/DeviceGray/Filter/FlateDecode",
        ),
        "picture-of-3600-mp": (zeros, sides + color + b"/Filter/FlateDecode"),
        "picture-16-bits": (
            zeros,
            b"/Width 9000/Height 9000/BitsPerComponent 16/ColorSpace/DeviceCMYK/Filter/FlateDecode",
        ),
        "picture-jpeg": (jpeg, sides + color + b"/Filter/DCTDecode"),
        "picture-jpeg-2000": (jpx, sides + color + b"/Filter/JPXDecode"),
        "picture-fax": (
            bytes(1000),
            sides + b"/BitsPerComponent 1/Filter/CCITTFaxDecode/DecodeParms<</K -1/Columns 60000/Rows 60000>>",
        ),
        "picture-jbig2": (
            b"\0\0\0\0\x30\0\1\0\0\0\x13" + struct.pack(">IIIIBH", 60000, 60000, 0, 0, 0, 0),
            sides + b"/BitsPerComponent 1/Filter/JBIG2Decode",
        ),
        "picture-mask-of-itself": (bytes(3), b"/Width 1/Height 1" + color + b"/SMask 5 0 R"),
    }
    return {
        name: page(
            b"600 0 0 600 0 0 cm /I Do", pdf_stream(data, b"/Subtype/Image" + fields), resources=b"/XObject<</I 5 0 R>>"
        )
        for name, (data, fields) in made.items()
    }


def _drawn() -> dict[str, bytes]:
    """Return pages of short content that takes long to draw."""
    curve = b"0 0 m " + b"".join(
        b"%d %d %d %d 300 300 c " % (n % 601, n * 7 % 601, n * 13 % 601, n * 29 % 601) for n in range(200_000)
    )
    dash = b"[1e-5 1e-5] 0 d 0 0 m 600 600 l S"
    program = b"{" + b"dup mul " * 20_000 + b"}"
    sides = b"/Domain[0 1 0 1]/Range[0 1]"
    mesh = bytes(30) * 200_000
    return {
        "dashes": page(dash * 20, box=b"0 0 14400 14400"),
        "wide-dashes": page(b"1e9 w " + dash),
        "curves": page(curve + b"100 w S"),
        "clips": page((b"0 0 m " + b"600 600 l 0 600 l 600 0 l " * 200 + b"W n ") * 2_000 + b"0 0 600 600 re f"),
        "states": page(b"q " * 2_000_000),
        "huge-numbers": page(b"1e38 0 0 1e38 -1e38 1e38 cm 1e38 w 0 0 m 1e38 -1e38 l S 0 0 1e38 1e38 re f"),
        "calculator": page(
            b"/S sh",
            b"<</ShadingType 1/ColorSpace/DeviceGray/Domain[0 1 0 1]/Matrix[600 0 0 600 0 0]/Function 6 0 R>>",
            pdf_stream(program, b"/FunctionType 4" + sides),
            resources=b"/Shading<</S 5 0 R>>",
        ),
        "samples": page(
            b"/S sh",
            b"<</ShadingType 1/ColorSpace/DeviceGray/Domain[0 1 0 1]/Matrix[600 0 0 600 0 0]/Function 6 0 R>>",
            pdf_stream(bytes(99), b"/FunctionType 0/Size[60000 60000]/BitsPerSample 32" + sides),
            resources=b"/Shading<</S 5 0 R>>",
        ),
        "patches": page(
            b"/S sh",
            pdf_stream(
                mesh,
                b"/ShadingType 7/ColorSpace/DeviceRGB/BitsPerCoordinate 8/BitsPerComponent 8/BitsPerFlag 8"
                b"/Decode[0 600 0 600 0 1 0 1 0 1]",
            ),
            resources=b"/Shading<</S 5 0 R>>",
        ),
        "text": page(
            b"BT /H 300 Tf 2 Tr 50 w " + b"(%b) Tj " % (b"&@" * 500) * 200 + b"ET",
            b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
            resources=b"/Font<</H 5 0 R>>",
        ),
        "shading-of-everything": page(
            b"/S sh " * 20_000,
            b"<</ShadingType 3/ColorSpace/DeviceRGB/Coords[0 0 0 300 300 900]/Extend[true true]"
            b"/Function<</FunctionType 2/Domain[0 1]/C0[0 0 0]/C1[1 1 1]/N 1>>>>",
            resources=b"/Shading<</S 5 0 R>>",
        ),
    }
