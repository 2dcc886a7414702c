"""Documents, drawings, raw photographs and other kinds beside an independent renderer, on a contact sheet.

    PYTHONPATH=. python bench/kinds.py [FOLDER]

Five files of each kind come from the generators of the tests, from Pillow and from programs of Debian: graphviz,
librsvg2-bin, inkscape, ghostscript, chromium, imagemagick, libopenjp2-tools, icoutils and netpbm. The thumbnail of
each is compared with the picture of Chromium (SVG), pdftoppm (PDF), dcraw (the JPEG in a raw file) or ImageMagick:
structural similarity of luminance, and the mean CIEDE2000 distance. The sheet, kinds.png, is written to FOLDER, by
default bench/out. A program that is missing is named, and its files are left out. Files of public test suites in
FOLDER/more are shown too; name them by their kind, such as svg-w3c-1.svg.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageCms, ImageDraw
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity
from tests.containers import files, raw_files

from thumbsmith.errors import Rejected
from thumbsmith.image.render import render
from thumbsmith.recipe import Recipe

SIDE = 256
OUT = Path(__file__).parent / "out"
SAMPLES = Path(__file__).parents[1] / "src" / "thumbsmith" / "samples"
RECIPE = Recipe.loads(f"[variants.a]\nwidth = {SIDE}\nheight = {SIDE}\nformats = ['png']\nenlarge = true\n")

GRAPH = (
    b'digraph { rankdir=LR node [shape=box style=filled fillcolor="lightblue"] a -> b -> c; a -> c; b -> d; c -> d }'
)
POSTSCRIPT = (
    b"%!PS\n<</PageSize [300 200]>> setpagedevice .2 .4 .8 setrgbcolor 20 20 120 90 rectfill\n"
    b"0 setgray /Times-Roman findfont 36 scalefont setfont 30 140 moveto (Thumbnails) show\n"
    b"4 setlinewidth 220 100 60 0 360 arc stroke showpage\n"
)
PAGE = "<h1>Invoice</h1><p style='color:#a33'>Twelve pictures</p><table border=1><tr><td>one<td>two</table>"
DRAWING = (
    '<defs><linearGradient id="g"><stop stop-color="#e63"/><stop offset="1" stop-color="#36c"/></linearGradient></defs>'
    '<rect x="10" y="10" width="180" height="100" rx="20" fill="url(#g)"/>'
    '<circle cx="150" cy="90" r="40" fill="#fd3" fill-opacity=".8" stroke="#333" stroke-width="4"/>'
    '<path d="M20 100C60 20 90 140 180 30" fill="none" stroke="#fff" stroke-width="6" stroke-dasharray="12 6"/>'
)

# What makes a file of a kind, given its path. Raises FileNotFoundError if its program is missing.
Maker: TypeAlias = Callable[[Path], object]


def main() -> None:
    """Make the files, print a line for each, and draw the sheet."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    folder = out / "kinds"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows = [row for path in (*made_files(folder), *sorted((out / "more").glob("*"))) if (row := compared(path, folder))]
    sheet(rows).save(out / "kinds.png")


def made_files(folder: Path) -> Iterator[Path]:
    """Yield the files that could be made, named by kind and producer."""
    for name, maker in makers(folder).items():
        path = folder / name
        try:
            maker(path)
        except FileNotFoundError as error:
            print(f"{name}: {error.filename} is not installed")
        else:
            yield path


def makers(folder: Path) -> dict[str, Maker]:
    """Return the producers of all files, by file name."""
    photo = SAMPLES / "rocket.jpg"
    small = Image.open(photo).convert("RGB").resize((320, 214))
    jpeg = files.saved("JPEG", small, quality=95)
    drawing = folder / "drawing.svg"
    drawing.write_bytes(files.svg(DRAWING, 'viewBox="0 0 200 140"'))
    html = folder / "page.html"
    html.write_text(PAGE)
    icon = folder / "icon.png"
    small.resize((64, 64)).save(icon)
    ppm = folder / "photo.ppm"
    small.save(ppm)

    def write(data: bytes) -> Maker:
        return lambda path: path.write_bytes(data)

    def pillow(image: Image.Image) -> Maker:
        return image.save

    def program(*command: str | Path, data: bytes | None = None) -> Maker:
        return lambda path: run([str(each).replace("{}", str(path)) for each in command], data)

    def magick(*options: str, source: Path = photo) -> Maker:
        return program("convert-im6.q16", source, *options, "{}")

    grays = small.convert("L")
    return {
        "svg-own.svg": write(drawing.read_bytes()),
        "svg-own-mask.svg": write(
            files.svg(
                '<mask id="m"><circle cx="20" cy="12" r="11" fill="#fff"/></mask>'
                '<rect width="40" height="24" fill="#284" mask="url(#m)"/>'
            )
        ),
        "svg-graphviz.svg": program("dot", "-Tsvg", "-o", "{}", data=GRAPH.replace(b"a ->", b'node [label=""] a ->')),
        "svg-cairo.svg": program("rsvg-convert", drawing, "-f", "svg", "-o", "{}"),
        "svg-inkscape.svg": program("inkscape", drawing, "--export-plain-svg", "--export-filename={}"),
        "pdf-own.pdf": write(files.pdf(b"1 0 0 rg 0 0 150 180 re f 0 0 1 RG 9 w 20 20 m 280 160 l S", b"0 0 300 180")),
        "pdf-ghostscript.pdf": program("gs", "-q", "-sDEVICE=pdfwrite", "-o", "{}", "-", data=POSTSCRIPT),
        "pdf-cairo.pdf": program("rsvg-convert", drawing, "-f", "pdf", "-o", "{}"),
        "pdf-chromium.pdf": program("chromium", "--headless", "--no-sandbox", f"file://{html}", "--print-to-pdf={}"),
        "pdf-graphviz.pdf": program("dot", "-Tpdf", "-o", "{}", data=GRAPH),
        "raw-own.cr2": write(raw_files.cr2(jpeg)),
        "raw-own.nef": write(raw_files.nef(jpeg)),
        "raw-own.arw": write(raw_files.arw(jpeg)),
        "raw-own.dng": write(raw_files.dng(jpeg)),
        "raw-own.orf": write(raw_files.orf(jpeg)),
        "psd-own.psd": write(files.psd(small)),
        "psd-own-packed.psd": write(files.psd(small, packed=True)),
        "psd-imagemagick.psd": magick("-resize", "320x"),
        "psd-imagemagick-gray.psd": magick("-resize", "320x", "-colorspace", "Gray"),
        "psd-imagemagick-16.psd": magick("-resize", "320x", "-depth", "16"),
        "jp2-pillow.jp2": pillow(small),
        "jp2-pillow-gray.jp2": pillow(grays),
        "jp2-imagemagick.jp2": magick("-resize", "320x"),
        "jp2-openjpeg.jp2": program("opj_compress", "-i", ppm, "-o", "{}"),
        "jp2-openjpeg-tiles.j2k": program("opj_compress", "-t", "100,100", "-i", ppm, "-o", "{}"),
        "ico-pillow.ico": lambda path: small.resize((128, 128)).save(path, sizes=[(128, 128)]),
        "ico-imagemagick.ico": magick("-resize", "96x96!"),
        "ico-imagemagick-palette.ico": magick("-resize", "64x64!", "-colors", "16"),
        "ico-icotool.ico": program("icotool", "-c", "-o", "{}", icon),
        "ico-imagemagick-large.ico": magick("-resize", "256x256!"),
        "pnm-own.ppm": write(files.pnm(pixels=small.tobytes(), size=small.size)),
        "pnm-pillow.pgm": pillow(grays),
        "pnm-imagemagick.pam": magick("-resize", "320x"),
        "pnm-imagemagick-text.ppm": magick("-resize", "320x", "-compress", "none"),
        "pnm-imagemagick-bits.pbm": magick("-resize", "320x"),
        "qoi-pillow.qoi": pillow(small),
        "qoi-pillow-alpha.qoi": pillow(Image.open(SAMPLES / "transparent.png").convert("RGBA")),
    }


def run(command: Sequence[str | Path], data: bytes | None = None) -> bytes:
    """Return the output of a program. Raises FileNotFoundError if it is missing, CalledProcessError if it fails."""
    done = subprocess.run(command, input=data, capture_output=True, check=True, timeout=120)
    return done.stdout


def compared(path: Path, folder: Path) -> tuple[str, Image.Image | None, Image.Image | None] | None:
    """Print how similar our thumbnail and that of the other renderer are; return both, None for another kind."""
    kind = path.name.partition("-")[0]
    try:
        (made,) = render(path, RECIPE)
        ours = on_white(Image.open(BytesIO(made.data)))
    except Rejected as rejected:
        print(f"{path.name:32} {rejected.code}")
        return path.name, None, None
    try:
        theirs = independent(kind, path, folder, ours.size)
    except (FileNotFoundError, subprocess.CalledProcessError, OSError) as error:
        print(f"{path.name:32} made; no other renderer: {error}")
        return path.name, ours, None
    one, other = (np.asarray(each.convert("L"), dtype=float) for each in (ours, theirs))
    ssim = structural_similarity(one, other, data_range=255)
    distance = deltaE_ciede2000(*(rgb2lab(np.asarray(each)) for each in (ours, theirs))).mean()
    print(f"{path.name:32} SSIM {ssim:.4f}   dE {distance:.2f}")
    return path.name, ours, theirs


def independent(kind: str, path: Path, folder: Path, size: tuple[int, int]) -> Image.Image:
    """Return the picture of another renderer at this size. Raises FileNotFoundError, CalledProcessError, OSError."""
    other = folder / f"{path.name}.other.png"
    if kind == "svg":
        page = folder / f"{path.name}.html"
        style = f"display:block;width:{size[0]}px;height:{size[1]}px"
        page.write_text(f'<body style="margin:0"><img src="file://{path.resolve()}" style="{style}">')
        options = ("--headless", "--no-sandbox", "--hide-scrollbars", "--force-color-profile=srgb")
        window = f"--window-size={size[0] + 200},{size[1] + 200}"
        run(["chromium", *options, window, f"--screenshot={other}", f"file://{page.resolve()}"])
        return on_white(Image.open(other)).crop((0, 0, *size))
    if kind == "pdf":
        scale = ("-scale-to-x", str(size[0]), "-scale-to-y", str(size[1]))
        return on_white(Image.open(BytesIO(run(["pdftoppm", "-f", "1", "-l", "1", *scale, path]))))
    data = run(["dcraw", "-e", "-c", path] if kind == "raw" else ["convert-im6.q16", f"{path}[0]", "png:-"])
    image = Image.open(BytesIO(data))
    if (profile := image.info.get("icc_profile")) and image.mode == "RGB":
        image = ImageCms.profileToProfile(image, BytesIO(profile), ImageCms.createProfile("sRGB"))
    return on_white(image).resize(size, Image.Resampling.LANCZOS, reducing_gap=3)


def on_white(image: Image.Image) -> Image.Image:
    """Return a picture on white, RGB."""
    below = Image.new("RGBA", image.size, "white")
    below.alpha_composite(image.convert("RGBA"))
    return below.convert("RGB")


def sheet(rows: list[tuple[str, Image.Image | None, Image.Image | None]]) -> Image.Image:
    """Return a contact sheet: five pairs a row, ours on the left of each."""
    step, down = 2 * 132 + 8, 148
    made = Image.new("RGB", (5 * step, -(-len(rows) // 5) * down), "#888")
    draw = ImageDraw.Draw(made)
    for number, (name, *pictures) in enumerate(rows):
        left, top = number % 5 * step, number // 5 * down
        draw.text((left + 2, top), name, fill="white")
        for column, image in enumerate(pictures):
            if image:
                tile = image.copy()
                tile.thumbnail((130, 130))
                made.paste(tile, (left + column * 132, top + 14))
    return made


if __name__ == "__main__":
    main()
