"""Difficult pictures in four engines: the distance of each thumbnail from the expected one, and a contact sheet.

    python bench/fidelity.py [FOLDER]

A number is the mean CIEDE2000 distance, over white and over black if there is alpha: 0 is equal, above 3 is visibly
wrong. "size" has other dimensions, "-" was refused. A contact sheet is written to FOLDER, by default bench/out.
libvips and sharp are included if `make .venv/node-peers` has installed them.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw
from skimage.color import deltaE_ciede2000, rgb2lab

import speed
from hard import Hard, pictures
from thumbsmith.image.render import render
from thumbsmith.recipe import Format, Recipe, Variant

SIDE = 96
WRONG = 3.0
BLOCKS = 2
OUT = Path(__file__).parent / "out"
Engine: TypeAlias = Callable[[bytes], Image.Image | None]
Rows: TypeAlias = list[tuple[Hard, list[Image.Image | None]]]


def main() -> None:
    """Print the table, and draw the sheet."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="thumbsmith-fidelity-") as name, speed.engines() as running:
        peers = {each: peer(engine, Path(name)) for each, engine in running.items() if each in ("libvips", "sharp")}
        compare({"thumbsmith": ours, "Pillow": pillow, **peers}, out / "fidelity.jpg")


def compare(engines: dict[str, Engine], sheet_file: Path) -> None:
    """Print the table of these engines, and draw the sheet."""
    rows = [(hard, [safely(engine, hard.file) for engine in engines.values()]) for hard in pictures()]
    print(f"{'picture':28}" + "".join(f"{name:>12}" for name in engines))
    table = [[verdict(made, hard) for made in pictured] for hard, pictured in rows]
    for (hard, _), row in zip(rows, table, strict=True):
        print(f"{hard.name:28}" + "".join(f"{cell:>12}" for cell in row))
    wrong = [
        sum(not cell[0].isdigit() or float(cell) > WRONG for cell in column) for column in zip(*table, strict=True)
    ]
    print(f"{'wrong, of ' + str(len(rows)):28}" + "".join(f"{count:12}" for count in wrong))
    sheet(rows, ["expected", *engines], sheet_file)


def safely(engine: Engine, data: bytes) -> Image.Image | None:
    """Return an engine's result for a file, or None if it fails."""
    try:
        return engine(data)
    except Exception:
        return None


def ours(data: bytes) -> Image.Image:
    """Return Thumbsmith's result."""
    variant = Variant(name="v", width=SIDE, height=SIDE, formats=(Format.PNG,))
    return Image.open(BytesIO(render(data, Recipe(variants=(variant,)))[0].data))


def pillow(data: bytes) -> Image.Image:
    """Return the result of four lines of Pillow."""
    image = Image.open(BytesIO(data))
    image.thumbnail((SIDE, SIDE))
    file = BytesIO()
    (image if image.mode in ("RGB", "RGBA", "L", "LA", "P") else image.convert("RGB")).save(
        file, "PNG", icc_profile=None
    )
    return Image.open(file)


def peer(engine: speed.Engine, folder: Path) -> Engine:
    """Return a process with the protocol of engines/line.py."""

    def made(data: bytes) -> Image.Image | None:
        source = folder / "source"
        source.write_bytes(data)
        if not engine(source, [SIDE], "png", folder):
            return None
        return Image.open(BytesIO((folder / f"{SIDE}.png").read_bytes()))

    return made


def verdict(made: Image.Image | None, hard: Hard) -> str:
    """Return the distance as text."""
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


def sheet(rows: Rows, titles: list[str], path: Path) -> None:
    """Draw all thumbnails beside the expected ones, on gray; of five orientations only one."""
    shown = [row for row in rows if not row[0].name.endswith(("turn 5", "turn 7", "turn 8", "turn 3"))]
    cell, label = SIDE + 8, 170
    high = -(-len(shown) // BLOCKS)
    wide = label + cell * len(titles)
    board = Image.new("RGB", (wide * BLOCKS, 20 + cell * high), (150, 150, 150))
    for block in range(BLOCKS):
        _block(board, wide * block, shown[high * block : high * (block + 1)], titles, cell, label)
    board.save(path, quality=85)
    print(path)


def _block(board: Image.Image, left: int, rows: Rows, titles: list[str], cell: int, label: int) -> None:
    draw = ImageDraw.Draw(board)
    for column, title in enumerate(titles):
        draw.text((left + label + column * cell, 4), title, fill="black")
    for row, (hard, found) in enumerate(rows):
        top = 20 + row * cell
        draw.text((left + 4, top + 40), hard.name, fill="black")
        wanted = hard.shows.convert("RGBA")
        wanted.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        for column, image in enumerate([wanted, *found]):
            if image:
                pasted = image.convert("RGBA")
                board.paste(pasted, (left + label + column * cell, top), pasted)


if __name__ == "__main__":
    main()
