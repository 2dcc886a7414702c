"""SVG: drawn by resvg, or by LunaSVG where it has text, at the size that is needed.

resvg draws more of SVG (filters), but its Python package opens a font file for each drawing, which a child cannot.
LunaSVG keeps fonts in memory, which the template loads.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.machinery import ExtensionFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.containers.svg import MONOSPACE, SANS, SERIF, Drawing, read_drawing
from thumbsmith.image.pillow import Image, PngImagePlugin
from thumbsmith.image.stream import SourceStream

# Family in the drawing that is read (containers/svg.py), package of the font, and its files: regular, bold, italic, and
# bold italic. Arimo is as wide as Arial and Helvetica. LunaSVG reads its variable file as regular. Crimson Text is
# as wide as Times in bold, and 4 % narrower else, so that text stays in boxes that were drawn for Times.
_FONTS: Final = (
    (SANS, "fontpkg_arimo", ("Arimo[wght]", "Arimo[wght]", "Arimo-Italic[wght]", "Arimo-Italic[wght]")),
    (
        SERIF,
        "fontpkg_crimson_text",
        ("CrimsonText-Regular", "CrimsonText-Bold", "CrimsonText-Italic", "CrimsonText-BoldItalic"),
    ),
    (MONOSPACE, "fontpkg_dm_mono", ("DMMono-Regular", "DMMono-Medium", "DMMono-Italic", "DMMono-MediumItalic")),
)

# Pixels to the inch, for lengths in points and millimeters.
_CSS_DPI: Final = 96.0


def draw(stream: SourceStream, probe: Probe, reduction: float) -> Image.Image:
    """Return a drawing, RGBA, with one pixel for each `reduction` x `reduction` of its CSS pixels.

    Raises Rejected, ShortRead, and what the stream raises.
    """
    drawing = read_drawing(stream.window())
    size = (max(1, round(probe.width / reduction)), max(1, round(probe.height / reduction)))
    return _with_text(drawing, size) if drawing.has_text else _without_text(drawing, size)


def open_svg(stream: SourceStream, probe: Probe) -> Image.Image:
    """Return a drawing at its own size. Raises as `draw`."""
    return draw(stream, probe, 1.0)


def load_engines() -> None:
    """Load the engines and the fonts, which needs files."""
    import resvg_py  # noqa: F401, PLC0415 - an optional package

    _lunasvg()


def _without_text(drawing: Drawing, size: tuple[int, int]) -> Image.Image:
    import resvg_py  # noqa: PLC0415 - an optional package

    coded = resvg_py.svg_to_bytes(svg_string=drawing.scaled(*size), skip_system_fonts=True, dpi=_CSS_DPI)
    image = PngImagePlugin.PngImageFile(BytesIO(coded))
    image.load()
    return image


def _with_text(drawing: Drawing, size: tuple[int, int]) -> Image.Image:
    document = _lunasvg().load(drawing.scaled(*size).encode())
    if document is None:
        raise Rejected(Code.CORRUPT, "the SVG cannot be drawn")
    return Image.frombytes("RGBA", size, document.render(*size, 1.0))


@lru_cache(maxsize=1)
def _lunasvg() -> Any:
    """Return LunaSVG's extension module with our fonts.

    Its package would register a plugin in the Pillow of a host program, so only the extension is loaded.
    """
    package = find_spec("pillow_lunasvg")
    folder = Path(str(package.origin)).parent if package else Path()
    path = str(next(folder.glob("_lunasvg*.so")))
    spec = spec_from_loader("_lunasvg", ExtensionFileLoader("_lunasvg", path))
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    for family, name, files in _FONTS:
        font = find_spec(name)
        if font is None or font.origin is None:
            raise ImportError(f"no package {name}")
        for number, file in enumerate(files):
            path = str(Path(font.origin).parent / "files" / f"{file}.ttf")
            module.add_font_file(path, family, number % 2 == 1, number >= 2)
    return module
