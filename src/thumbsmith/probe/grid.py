"""Pictures that are put together from tiles, as phones write them. ISO/IEC 23008-12, 6.6.2.3."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from thumbsmith.errors import Code, Rejected
from thumbsmith.probe.isobmff import Box
from thumbsmith.probe.items import Items


@dataclass(frozen=True, slots=True)
class Grid:
    """A picture of tiles: how many there are in a row, their size, and the size of the picture that they cover."""

    columns: int
    tile: tuple[int, int]
    size: tuple[int, int]
    tiles: tuple[int, ...]

    def places(self) -> Iterator[tuple[int, int, int]]:
        """Yield each tile's item, and its left and top in the picture: rows from the top, each from the left."""
        for number, item in enumerate(self.tiles):
            row, column = divmod(number, self.columns)
            yield item, column * self.tile[0], row * self.tile[1]


def read_grid(items: Items) -> Grid | None:
    """Return the tiles of the primary item, None where it is not a grid.

    Raises Rejected(corrupt), or ShortRead, for a grid whose tiles are not as many as it says, are not all of one size,
    leave a part of the picture open, or lie wholly outside of it: those would be decoded in vain.
    """
    if items.kind != b"grid":
        return None
    holder = items.windows[0]
    _, flags, rows, columns = holder.unpack(">BBBB", 0)
    width, height = holder.unpack(">II" if flags & 1 else ">HH", 4)
    return _checked(items, rows + 1, columns + 1, (width, height))


def _checked(items: Items, rows: int, columns: int, size: tuple[int, int]) -> Grid:
    sizes = {_size(items.properties.get(tile, ())) for tile in items.tiles}
    if len(items.tiles) != rows * columns or len(sizes) != 1:
        what = f"{len(items.tiles)} tiles of {len(sizes)} sizes"
        raise Rejected(Code.CORRUPT, f"the picture should have {rows} x {columns} tiles of one size, and has {what}")
    ((width, height),) = sizes
    reach = (columns * width, rows * height)
    idle = (reach[0] - width >= size[0], reach[1] - height >= size[1])
    if size != items.size or reach[0] < size[0] or reach[1] < size[1] or any(idle):
        what = f"{rows} x {columns} tiles of {width} x {height}"
        raise Rejected(Code.CORRUPT, f"{what} do not make a picture of {size[0]} x {size[1]}")
    return Grid(columns, (width, height), size, items.tiles)


def _size(properties: Iterable[Box]) -> tuple[int, int]:
    for kind, body in properties:
        if kind == b"ispe":
            width, height = body.unpack(">II", 4)
            return width, height
    return 0, 0
