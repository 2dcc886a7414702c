"""Raw photographs as cameras write them, with any picture for display, and data of a sensor for DNG."""

import struct

from tests.containers.files import box, picture, saved

# From XYZ to linear sRGB, times 10,000: the camera of the DNG sees colors as sRGB does.
TO_SRGB = (32_406, -15_372, -4_986, -9_689, 18_758, 415, 557, -2_040, 10_570)

MAKER = b"Maker\0\0\0"

# A field: tag, type, and its values; bytes for text and undefined data; an int for the place of a part, as "part 0".
Values = tuple[int, ...] | bytes


class Tiff:
    """A TIFF in the making: directories and parts behind the header, with the places of earlier ones."""

    def __init__(self, order: str = "<", magic: bytes = b"II*\0", gap: bytes = b"") -> None:
        """Begin a file; the offset of its first directory is filled in last."""
        self.order = order
        self.data = bytearray(magic + bytes(4) + gap)

    def part(self, data: bytes) -> int:
        """Append bytes; return their offset."""
        self.data += bytes(len(self.data) % 2)
        self.data += data
        return len(self.data) - len(data)

    def directory(self, *fields: tuple[int, int, Values], following: int = 0) -> int:
        """Append a directory; return its offset."""
        entries = b""
        for tag, kind, values in sorted(fields):
            form = {1: "B", 3: "H", 4: "I", 7: "B", 2: "B", 13: "I"}[kind]
            raw = values if isinstance(values, bytes) else struct.pack(f"{self.order}{len(values)}{form}", *values)
            count = len(raw) // struct.calcsize(self.order + form)
            inline = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack(self.order + "I", self.part(raw))
            entries += struct.pack(self.order + "HHI", tag, kind, count) + inline
        head = struct.pack(self.order + "H", len(fields))
        return self.part(head + entries + struct.pack(self.order + "I", following))

    def file(self, first: int) -> bytes:
        """Return the file, which begins with this directory."""
        struct.pack_into(self.order + "I", self.data, 4, first)
        return bytes(self.data)


def _sized(width: int, height: int, compression: int, photometric: int) -> list[tuple[int, int, Values]]:
    return [(256, 4, (width,)), (257, 4, (height,)), (259, 3, (compression,)), (262, 3, (photometric,))]


def cr2(jpeg: bytes, orientation: int = 1) -> bytes:
    """Return a CR2: a JPEG in the first directory, and compressed data of a sensor, which are a JPEG too."""
    made = Tiff(gap=b"CR\2\0" + bytes(4))
    place, sensor = made.part(jpeg), made.part(b"\xff\xd8\xff\xc3\0\x0b\x0e\0\x20\0\x20\1\0\x11\0\xff\xd9")
    data = made.directory((259, 3, (6,)), (273, 4, (sensor,)), (279, 4, (17,)))
    fields = [(256, 3, (40,)), (257, 3, (24,)), (259, 3, (6,)), (273, 4, (place,)), (279, 4, (len(jpeg),))]
    return made.file(made.directory(*fields, (271, 2, b"Canon\0"), (274, 3, (orientation,)), following=data))


def nef(jpeg: bytes, orientation: int = 1, size: tuple[int, int] = (0, 0)) -> bytes:
    """Return a NEF: a small uncompressed picture, and directories in it for the JPEG and the sensor."""
    made = Tiff(">", b"MM\0*")
    place, thumbnail = made.part(jpeg), made.part(bytes(12))
    preview = made.directory((259, 3, (6,)), (513, 4, (place,)), (514, 4, (len(jpeg),)))
    sensor = made.directory(*_sized(*size, 34713, 32803), (273, 4, (thumbnail,)), (279, 4, (12,)))
    fields = [*_sized(2, 2, 1, 2), (273, 4, (thumbnail,)), (279, 4, (12,)), (330, 4, (preview, sensor))]
    return made.file(made.directory(*fields, (271, 2, b"NIKON CORPORATION\0"), (274, 3, (orientation,))))


def arw(jpeg: bytes, orientation: int = 1, size: tuple[int, int] = (0, 0)) -> bytes:
    """Return an ARW: a JPEG in the first directory, and a directory in it for the sensor."""
    made = Tiff()
    place = made.part(jpeg)
    sensor = made.directory(*_sized(*size, 32767, 32803))
    fields = [(259, 3, (6,)), (513, 4, (place,)), (514, 4, (len(jpeg),)), (330, 4, (sensor,))]
    return made.file(made.directory(*fields, (271, 2, b"SONY\0"), (274, 3, (orientation,))))


def dng(jpeg: bytes, orientation: int = 1, size: tuple[int, int] = (0, 0), sensor: bytes = b"") -> bytes:
    """Return a DNG: the JPEG is a strip of a directory, beside one for the uncompressed data of a sensor."""
    made = Tiff()
    place, data = made.part(jpeg), made.part(sensor or bytes(2))
    preview = made.directory((254, 4, (1,)), *_sized(40, 24, 7, 6), (273, 4, (place,)), (279, 4, (len(jpeg),)))
    matrix = b"".join(struct.pack("<ii", value, 10_000) for value in TO_SRGB)
    mosaic = made.directory(
        (254, 4, (0,)),
        *_sized(*size, 1, 32803),
        (258, 3, (16,)),
        (273, 4, (data,)),
        (277, 3, (1,)),
        (278, 4, (size[1],)),
        (279, 4, (len(sensor),)),
        (33421, 3, (2, 2)),
        (33422, 1, bytes((0, 1, 1, 2))),
    )
    fields = [*_sized(2, 2, 1, 2), (330, 4, (preview, mosaic)), (50706, 1, bytes((1, 4, 0, 0))), (50708, 2, MAKER)]
    at, neutral = made.part(matrix), made.part(struct.pack("<6I", 1, 1, 1, 1, 1, 1))
    first = made.directory(
        *fields, (271, 2, MAKER), (272, 2, MAKER), (274, 3, (orientation,)), (50721, 7, b"place"), (50728, 7, b"place")
    )
    whole = bytearray(made.file(first))
    for tag, kind, count, part in ((50721, 10, 9, at), (50728, 5, 3, neutral)):  # signed and unsigned rationals
        struct.pack_into("<HHII", whole, whole.index(struct.pack("<HHI", tag, 7, 5)), tag, kind, count, part)
    return bytes(whole)


def orf(jpeg: bytes, orientation: int = 1) -> bytes:
    """Return an ORF: offsets of the JPEG count from the maker's note, where Olympus keeps it."""
    note = Tiff(magic=b"OLYMPUS\0", gap=b"")
    note.data = bytearray(b"OLYMPUS\0II\3\0")
    own = len(note.data)
    note.data += bytes(2 + 12 + 4)
    place = note.part(jpeg)
    settings = note.directory((0x101, 4, (place,)), (0x102, 4, (len(jpeg),)))
    note.data[own : own + 18] = struct.pack("<HHHIII", 1, 0x2020, 13, 1, settings, 0)
    made = Tiff(magic=b"IIRO")
    exif = made.directory((37500, 7, bytes(note.data)))
    return made.file(made.directory((271, 2, b"OLYMPUS\0"), (274, 3, (orientation,)), (34665, 4, (exif,))))


def rw2(jpeg: bytes, orientation: int = 1, size: tuple[int, int] = (0, 0)) -> bytes:
    """Return a RW2: the JPEG is the value of a field."""
    made = Tiff(magic=b"IIU\0")
    sides = [(7, 3, (size[0],)), (6, 3, (size[1],))] if size[0] else []
    return made.file(made.directory((46, 7, jpeg), (274, 3, (orientation,)), *sides))


def raf(jpeg: bytes) -> bytes:
    """Return a RAF. Its orientation is that of the JPEG."""
    return b"FUJIFILMCCD-RAW 0201FF393101".ljust(84, b"\0") + struct.pack(">II", 160, len(jpeg)) + bytes(68) + jpeg


def cr3(jpeg: bytes, orientation: int = 1) -> bytes:
    """Return a CR3: the large JPEG is the sample of a track, a small one is in a box of its own."""
    small = saved("JPEG", picture(size=(20, 12)))
    made = Tiff()
    block = made.file(made.directory((274, 3, (orientation,))))
    preview = struct.pack(">4xHHHHI", 1, 20, 12, 1, len(small)) + small
    canon = box(b"uuid", bytes.fromhex("85c0b687820f11e08111f4ce462b6a48"), box(b"CMT1", block))
    own = box(b"uuid", bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16"), bytes(8), box(b"PRVW", preview))
    start = box(b"ftyp", b"crx ", bytes(4), b"crx isom")

    def moov(place: int) -> bytes:
        table = box(b"stsz", bytes(4), struct.pack(">II", len(jpeg), 1)) + box(
            b"co64", bytes(4), struct.pack(">IQ", 1, place)
        )
        return box(b"moov", canon, box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", table)))))

    place = len(start) + len(moov(0)) + len(own) + 8
    return start + moov(place) + own + box(b"mdat", jpeg)
