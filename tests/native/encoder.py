"""Writes JPEGs of random coefficients that no usual encoder writes: any sampling, any Huffman tables, any identifiers.

ITU-T T.81; section numbers are of it.
"""

import heapq
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

MAX_CODE_BITS = 16
COEFFICIENTS = 64
SOI, EOI = b"\xff\xd8", b"\xff\xd9"


@dataclass(frozen=True)
class Kind:
    """What a file is like. `sampling` has the factors of each component, `detail` the share of coefficients."""

    sampling: Sequence[tuple[int, int]]
    size: tuple[int, int] = (70, 50)
    identifiers: Sequence[int] = (1, 2, 3, 4)
    restart_interval: int = 0
    adobe_transform: int | None = None
    jfif: bool = False
    detail: float = 0.1
    progressive_shift: int | None = None  # a scan of DC coefficients alone, without this number of bits
    one_table: bool = False  # for all components
    quantizers: tuple[int, int] = (1, 24)  # the least and the largest


class Bits:
    """A string of bits, as coded data: F.1.2.3."""

    def __init__(self) -> None:
        """Begin with no bits."""
        self._bits: list[str] = []

    def put(self, value: int, count: int) -> None:
        """Add bits."""
        if count:
            self._bits.append(f"{value:0{count}b}")

    def taken(self) -> bytes:
        """Return all bits, filled with ones to whole bytes, with zeros stuffed; begin again."""
        text = "".join(self._bits)
        text += "1" * (-len(text) % 8)
        self._bits = []
        return int(text or "0", 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")


def code_lengths(symbols: Sequence[int], chance: Random) -> dict[int, int]:
    """Return a length of 1 to 16 bits for the code of each symbol. The code of ones alone stays unused: annex C."""
    while True:
        spread = chance.choice((1, 20, 1000))
        heap = [(chance.randint(1, spread), index, [symbol]) for index, symbol in enumerate(symbols)]
        heap.append((0, -1, [-1]))
        lengths = dict.fromkeys([*symbols, -1], 0)
        heapq.heapify(heap)
        while len(heap) > 1:
            (one, index, left), (two, _, right) = heapq.heappop(heap), heapq.heappop(heap)
            for symbol in left + right:
                lengths[symbol] += 1
            heapq.heappush(heap, (one + two, index, left + right))
        longest = max(lengths.values())
        if longest <= MAX_CODE_BITS:
            other = next(symbol for symbol in lengths if lengths[symbol] == longest)
            lengths[other], lengths[-1] = lengths[-1], longest
            del lengths[-1]
            return lengths


class Table:
    """A Huffman table with random codes."""

    def __init__(self, symbols: Sequence[int], chance: Random) -> None:
        """Choose the codes: C.2."""
        lengths = code_lengths(symbols, chance)
        self._order = sorted(symbols, key=lambda symbol: (lengths[symbol], symbol))
        self._counts = bytes(sum(length == each for length in lengths.values()) for each in range(1, 17))
        self._codes: dict[int, tuple[int, int]] = {}
        code = length = 0
        for symbol in self._order:
            code <<= lengths[symbol] - length
            length = lengths[symbol]
            self._codes[symbol] = (code, length)
            code += 1

    def segment(self, kind: int, number: int) -> bytes:
        """Return the segment that defines it: B.2.4.2."""
        return segment(0xC4, bytes([kind << 4 | number]) + self._counts + bytes(self._order))

    def put(self, bits: Bits, run: int, value: int) -> None:
        """Write a value, after a run of zeros: F.1.2."""
        size = abs(value).bit_length()
        bits.put(*self._codes[run << 4 | size])
        bits.put(value if value >= 0 else value + (1 << size) - 1, size)

    def put_symbol(self, bits: Bits, symbol: int) -> None:
        """Write a symbol without a value."""
        bits.put(*self._codes[symbol])


def segment(marker: int, body: bytes) -> bytes:
    """Return a segment."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def encode(kind: Kind, seed: int) -> bytes:
    """Return a file of this kind with random coefficients, always the same for a seed."""
    chance = Random(seed)
    count, (width, height) = len(kind.sampling), kind.size
    progressive = kind.progressive_shift is not None
    ac_symbols = [0, 0xF0, *(run << 4 | size for run in range(16) for size in range(1, 11))]
    tables = [(Table(range(12), chance), Table(ac_symbols, chance)) for _ in range(2)]
    number = [0 if kind.one_table or index in (0, 3) else 1 for index in range(count)]
    parts = [SOI]
    if kind.jfif:
        parts.append(segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"))
    if kind.adobe_transform is not None:
        parts.append(segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([kind.adobe_transform])))
    for each in range(2):
        parts.append(segment(0xDB, bytes([each, *(chance.randint(*kind.quantizers) for _ in range(64))])))
        parts += [table.segment(which, each) for which, table in enumerate(tables[each])]
    frame = [
        bytes([name, across << 4 | down, quantizer])
        for name, (across, down), quantizer in zip(kind.identifiers, kind.sampling, number, strict=False)
    ]
    parts.append(
        segment(0xC2 if progressive else 0xC0, struct.pack(">BHHB", 8, height, width, count) + b"".join(frame))
    )
    if kind.restart_interval:
        parts.append(segment(0xDD, struct.pack(">H", kind.restart_interval)))
    scan = b"".join(bytes([kind.identifiers[index], number[index] * 0x11]) for index in range(count))
    parts.append(
        segment(0xDA, bytes([count]) + scan + bytes([0, 0 if progressive else 63, kind.progressive_shift or 0]))
    )
    parts += _scan(kind, [tables[each] for each in number], chance)
    return b"".join([*parts, EOI])


def _scan(kind: Kind, tables: Sequence[tuple[Table, Table]], chance: Random) -> list[bytes]:
    most = [max(factors) for factors in zip(*kind.sampling, strict=True)]
    if len(kind.sampling) == 1:
        blocks, most = [0], [1, 1]  # not interleaved: A.2.2
    else:
        blocks = [index for index, (across, down) in enumerate(kind.sampling) for _ in range(across * down)]
    across, down = (-(-side // (8 * factor)) for side, factor in zip(kind.size, most, strict=True))
    parts, bits, dc = [], Bits(), [0] * len(kind.sampling)
    for mcu in range(across * down):
        if kind.restart_interval and mcu and mcu % kind.restart_interval == 0:
            parts.append(bits.taken() + bytes([0xFF, 0xD0 + (mcu // kind.restart_interval - 1) % 8]))
            dc = [0] * len(dc)
        for index in blocks:
            level = max(-60, min(60, dc[index] + chance.choice((0, 0, 1, -1, 3, -7, 25, -40))))
            tables[index][0].put(bits, 0, level - dc[index])
            dc[index] = level
            if kind.progressive_shift is None:
                _put_detail(bits, tables[index][1], kind.detail, chance)
    return [*parts, bits.taken()]


def _put_detail(bits: Bits, table: Table, share: float, chance: Random) -> None:
    run = 0
    for _ in range(63):
        if chance.random() >= share:
            run += 1
            continue
        while run > 15:
            table.put_symbol(bits, 0xF0)
            run -= 16
        table.put(bits, run, chance.choice((1, -1)) * chance.randint(1, chance.choice((1, 2, 20))))
        run = 0
    if run:
        table.put_symbol(bits, 0)


def long_blocks_then_short_ones(longer: int, shorter: int) -> bytes:
    """Return a gray file: blocks of 568 bits, then blocks of 3 bits.

    A decoder that begins inside of a long block, at one of three places, finds short ones up to the end of the block.
    """
    bits = Bits()
    for length in [1 + 9 * (COEFFICIENTS - 1)] * longer + [3] * shorter:
        for place in range(length):
            bits.put((place % 3 == 2) if length > 3 else (place == 1), 1)
    dc, ac = bytes([1, *bytes(15), 0]), bytes([1, 1, *bytes(14), 8, 0])  # 0; for AC 0 and a value of 8 bits, or 10
    return b"".join(
        [
            *(SOI, segment(0xDB, bytes([0]) + b"\1" * COEFFICIENTS)),
            segment(0xC0, struct.pack(">BHHB", 8, 8, 8 * (longer + shorter), 1) + bytes([1, 0x11, 0])),
            *(segment(0xC4, b"\x00" + dc), segment(0xC4, b"\x10" + ac)),
            *(segment(0xDA, bytes([1, 1, 0, 0, 63, 0])), bits.taken(), EOI),
        ]
    )
