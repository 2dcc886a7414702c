"""Hard pictures in four engines: how far each thumbnail is from what the picture shows, and what it looks like.

    python bench/fidelity.py [FOLDER]

A number is the mean distance in CIEDE2000, over white and over black where there is alpha; 0 is the same, above 3 is
wrong to the eye; "size" has another shape, "-" was refused. A contact sheet goes to FOLDER, by default bench/out.
pyvips is used where it is installed (pip install pyvips pyvips-binary), sharp where node and npm are.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw
from skimage.color import deltaE_ciede2000, rgb2lab

from hard import Hard, pictures
from thumbsmith.recipe import Format, Recipe, Variant
from thumbsmith.render import render

SIDE = 96
WRONG = 3.0
OUT = Path(__file__).parent / "out"
Engine: TypeAlias = Callable[[bytes], Image.Image | None]

SHARP = """
const sharp = require('sharp');
const [, , source, target, side] = process.argv;
sharp(source).rotate().resize(+side, +side, {fit: 'inside', withoutEnlargement: true}).png().toFile(target)
  .catch(() => process.exit(1));
"""


def main() -> None:
    """Print the table, and draw the sheet."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    out.mkdir(parents=True, exist_ok=True)
    engines: dict[str, Engine] = {"thumbsmith": ours, "Pillow": pillow}
    for name, found in (("libvips", vips()), ("sharp", sharp(out / "sharp"))):
        if found:
            engines[name] = found
        else:
            print(f"{name} is not there, and left out")
    rows = [(hard, [safely(engine, hard.file) for engine in engines.values()]) for hard in pictures()]
    print(f"{'picture':28}" + "".join(f"{name:>12}" for name in engines))
    table = [[verdict(made, hard) for made in pictured] for hard, pictured in rows]
    for (hard, _), row in zip(rows, table, strict=True):
        print(f"{hard.name:28}" + "".join(f"{cell:>12}" for cell in row))
    wrong = [
        sum(not cell[0].isdigit() or float(cell) > WRONG for cell in column) for column in zip(*table, strict=True)
    ]
    print(f"{'wrong, of ' + str(len(rows)):28}" + "".join(f"{count:12}" for count in wrong))
    sheet(rows, ["expected", *engines], out / "fidelity.png")


def safely(engine: Engine, data: bytes) -> Image.Image | None:
    """Return what an engine makes of a file, None for nothing."""
    try:
        return engine(data)
    except Exception:
        return None


def ours(data: bytes) -> Image.Image:
    """Return Thumbsmith's."""
    variant = Variant(name="v", width=SIDE, height=SIDE, formats=(Format.PNG,))
    return Image.open(BytesIO(render(data, Recipe(variants=(variant,)))[0].data))


def pillow(data: bytes) -> Image.Image:
    """Return what four lines of Pillow give."""
    image = Image.open(BytesIO(data))
    image.thumbnail((SIDE, SIDE))
    file = BytesIO()
    (image if image.mode in ("RGB", "RGBA", "L", "LA", "P") else image.convert("RGB")).save(
        file, "PNG", icc_profile=None
    )
    return Image.open(file)


def vips() -> Engine | None:
    """Return libvips' thumbnail operation, with its conversion to sRGB."""
    try:
        import pyvips  # noqa: PLC0415 - need not be there
    except (ImportError, OSError):
        return None

    def made(data: bytes) -> Image.Image:
        image = pyvips.Image.thumbnail_buffer(data, SIDE, height=SIDE, size="down", export_profile="srgb")
        return Image.open(BytesIO(image.write_to_buffer(".png[strip]")))

    return made


def sharp(folder: Path) -> Engine | None:
    """Return sharp, installed into a folder that is kept."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm):
        return None
    folder.mkdir(exist_ok=True)
    if not (folder / "node_modules" / "sharp").is_dir():
        command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), "sharp"]
        if subprocess.run(command, check=False, timeout=300, capture_output=True).returncode:
            return None
    (folder / "one.js").write_text(SHARP)

    def made(data: bytes) -> Image.Image:
        source, target = folder / "source", folder / "made.png"
        source.write_bytes(data)
        subprocess.run([node, "one.js", source.name, target.name, str(SIDE)], check=True, cwd=folder, timeout=60)
        return Image.open(BytesIO(target.read_bytes()))

    return made


def verdict(made: Image.Image | None, hard: Hard) -> str:
    """Return the distance in words."""
    if made is None:
        return "-"
    wanted = hard.shows.convert("RGBa")
    size = made.size
    exact = min(1.0, SIDE / max(wanted.size))
    if any(abs(side - whole * exact) > 1 for side, whole in zip(size, wanted.size, strict=True)):
        return "size"
    expected = wanted.resize(size, Image.Resampling.LANCZOS).convert("RGBA")
    return f"{max(distance(made.convert('RGBA'), expected, back) for back in ('white', 'black')):.1f}"


def distance(left: Image.Image, right: Image.Image, back: str) -> float:
    """Return the mean CIEDE2000 of two pictures on a background."""
    both = []
    for image in (left, right):
        board = Image.new("RGBA", image.size, back)
        both.append(rgb2lab(np.asarray(Image.alpha_composite(board, image).convert("RGB")) / 255))
    return float(deltaE_ciede2000(*both).mean())


def sheet(rows: list[tuple[Hard, list[Image.Image | None]]], titles: list[str], path: Path) -> None:
    """Draw all thumbnails beside what is expected, on grey."""
    cell, label = SIDE + 8, 170
    board = Image.new("RGB", (label + cell * len(titles), 20 + cell * len(rows)), (150, 150, 150))
    draw = ImageDraw.Draw(board)
    for column, title in enumerate(titles):
        draw.text((label + column * cell, 4), title, fill="black")
    for row, (hard, found) in enumerate(rows):
        top = 20 + row * cell
        draw.text((4, top + 40), hard.name, fill="black")
        wanted = hard.shows.convert("RGBA")
        wanted.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        for column, image in enumerate([wanted, *found]):
            if image:
                shown = image.convert("RGBA")
                board.paste(shown, (label + column * cell, top), shown)
    board.save(path)
    print(path)


if __name__ == "__main__":
    main()
