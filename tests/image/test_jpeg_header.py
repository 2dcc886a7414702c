"""The header of a JPEG is read in few steps, and as it is."""

import os
from dataclasses import dataclass, field
from io import BytesIO
from random import Random

import pytest
from PIL import Image

from tests.image.pictures import saved, textured
from thumbsmith.image import pillow, stream
from thumbsmith.image.decode import decode
from thumbsmith.image.probe import probe
from thumbsmith.image.stream import SourceStream
from thumbsmith.reader import BytesReader


@dataclass
class Counted:
    """A reader over bytes that counts its reads."""

    data: bytes
    reads: list[tuple[int, int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes from `offset`."""
        self.reads.append((offset, length))
        return self.data[offset : offset + length]


def test_exif_is_not_parsed_for_a_resolution(monkeypatch: pytest.MonkeyPatch):
    """Pillow does not parse the EXIF of a JPEG that is decoded: nothing here needs its resolution."""
    exif = Image.Exif()
    exif[0x011A] = 300.0
    data = saved(textured(60, 40), "JPEG", exif=exif)
    calls = []
    monkeypatch.setattr(pillow.Image.Exif, "load", lambda *arguments: calls.append(arguments))
    reader = BytesReader(data)
    assert decode(reader, probe(reader), 1.0).image.size == (60, 40)
    assert not calls


def test_a_stream_is_read_like_a_file(monkeypatch: pytest.MonkeyPatch):
    """Reads of any length from any position give what a file gives, and a read at the end is noted."""
    monkeypatch.setattr(stream, "BLOCK_BYTES", 64)
    chance = Random(1)
    data = chance.randbytes(300)
    source, file = SourceStream(BytesReader(data)), BytesIO(data)
    for _ in range(2_000):
        length = chance.choice((None, -1, 0, 1, 2, 5, 63, 64, 65, 400))
        whence = chance.choice((os.SEEK_SET, os.SEEK_CUR, os.SEEK_END))
        offset = chance.randint(-20, 20) if whence == os.SEEK_CUR else chance.randint(0, 320)
        if whence == os.SEEK_CUR and file.tell() + offset < 0:
            continue
        if chance.random() < 0.5:
            assert source.seek(offset, whence) == file.seek(offset, whence)
        ends = length is not None and length > 0 and file.tell() >= len(data)
        source.exhausted = False
        assert source.read(length) == file.read(length)
        assert source.exhausted == ends
        assert source.tell() == file.tell()


def test_many_small_reads_are_one_read_of_the_source():
    """A header that is read byte by byte costs one read of the source."""
    reader = Counted(bytes(range(200)))
    source = SourceStream(reader)
    assert b"".join(source.read(1) for _ in range(200)) == reader.data
    assert len(reader.reads) == 1
