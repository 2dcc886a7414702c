"""Damaged files are rejected with the right code. An error of the store is no rejection."""

import struct
import sys
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.containers.files import HEIC
from tests.image.pictures import recipe, saved, shown, textured
from thumbsmith.errors import Code, MissingDecoder, Rejected, SourceChanged, StoreError
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.decode import decode
from thumbsmith.image.probe import probe
from thumbsmith.image.render import render
from thumbsmith.image.stream import BLOCK_BYTES, SourceStream
from thumbsmith.reader import BytesReader
from thumbsmith.recipe.names import Rendition

KINDS = ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"]


def file(kind: str) -> bytes:
    """Return a picture in this format."""
    image = textured(200, 150)
    return saved(image.quantize(64) if kind == "GIF" else image, kind)


@dataclass(frozen=True)
class Failing:
    """A reader whose store fails beyond a position."""

    data: bytes
    beyond: int
    failure: Exception

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes, or fail."""
        if offset + length > self.beyond:
            raise self.failure
        return self.data[offset : offset + length]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_short_is_refused(kind, share):
    """A file that is cut anywhere is rejected."""
    data = file(kind)
    with pytest.raises(Rejected) as refused:
        render(data[: int(len(data) * share)], recipe())
    assert refused.value.code in (Code.TRUNCATED, Code.CORRUPT)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_a_file_that_is_read_bit_by_bit_is_known_to_be_truncated(kind):
    """If the decoder needs more bytes than the file has, the code is truncated."""
    data = file(kind)
    with pytest.raises(Rejected) as refused:
        render(data[: int(len(data) * 0.7)], recipe())
    assert refused.value.code == Code.TRUNCATED


def test_broken_data_in_a_whole_file_is_corrupt():
    """If a complete file cannot be decoded, the code is corrupt."""
    data = file("PNG")
    start = data.index(b"IDAT") + 4
    with pytest.raises(Rejected) as refused:
        render(data[:start] + bytes(40) + data[start + 40 :], recipe())
    assert refused.value.code == Code.CORRUPT


def test_a_picture_of_another_size_than_was_judged_is_refused():
    """A file whose decoded size differs from its header is rejected."""
    with pytest.raises(Rejected) as refused:
        decode(BytesReader(file("PNG")), Probe(format="png", bytes=1, width=200, height=15), 1.0)
    assert refused.value.code == Code.CORRUPT


@pytest.mark.parametrize("failure", [StoreError("no answer", transient=True), SourceChanged("replaced")])
@pytest.mark.parametrize("kind", KINDS)
def test_a_failing_store_is_told_apart_from_a_broken_picture(kind, failure):
    """An error of the reader is raised unchanged, for any reaction of the decoder."""
    image = textured(1500, 1200)
    fast = {"quality": 100, "speed": 10} if kind == "AVIF" else {}
    data = saved(image.convert("P") if kind == "GIF" else image, kind, **fast)
    found = probe(BytesReader(data))
    with pytest.raises(StoreError) as raised:
        decode(Failing(data, len(data) // 2, failure), found, 1.0)
    assert raised.value is failure


def test_running_out_of_memory_is_not_the_pictures_fault():
    """MemoryError is raised unchanged."""
    data = file("PNG")
    with pytest.raises(MemoryError):
        decode(Failing(data, 100, MemoryError()), probe(BytesReader(data)), 1.0)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(KINDS), st.floats(0, 1), st.binary(min_size=1, max_size=6))
def test_any_damage_ends_in_a_picture_or_a_rejection(kind, where, junk):
    """Random bytes in a file give a thumbnail or a rejection."""
    data = bytearray(file(kind))
    start = int(where * (len(data) - len(junk)))
    data[start : start + len(junk)] = junk
    made: tuple[Rendition, ...] = ()
    with suppress(Rejected):
        made = render(bytes(data), recipe())
    assert len(made) <= 1


@given(st.lists(st.tuples(st.integers(0, 3 * BLOCK_BYTES), st.integers(-1, 2 * BLOCK_BYTES)), max_size=12))
def test_a_stream_reads_as_a_file_does(reads):
    """For any seek and read, bytes and positions are those of a file."""
    data = struct.pack(">I", 1234567) * (BLOCK_BYTES * 5 // 8)
    stream = SourceStream(BytesReader(data))
    for position, length in reads:
        assert stream.seek(position) == position
        end = len(data) if length < 0 else position + length
        assert stream.read(length) == data[position:end]
        assert stream.tell() == max(position, min(end, len(data)))


def test_a_stream_knows_when_it_was_asked_for_more_than_there_is():
    """A read up to the end is no sign of a cut file; a read beyond it is."""
    stream = SourceStream(BytesReader(b"abc"))
    assert stream.read(10) == b"abc"
    assert stream.read() == b""
    assert not stream.exhausted
    assert stream.read(1) == b""
    assert stream.exhausted
    assert stream.seek(-1, 2) == 2
    assert stream.seek(-1, 1) == 1
    with pytest.raises(ValueError, match="before the beginning"):
        stream.seek(-1)


TEN = Probe(format="heic", bytes=100, width=10, height=10)


def test_heic_is_decoded_as_it_is_seen():
    """The decoder of HEIC applies crop and orientation once, and keeps alpha."""
    found = shown(HEIC)
    assert found.size == (20, 30)
    assert found.mode == "RGBA"
    assert 120 < found.getpixel((10, 15))[3] < 136


def test_a_heic_that_is_none_is_refused():
    """A HEIC that libheif cannot read is corrupt."""
    with pytest.raises(Rejected) as refused:
        decode(BytesReader(b"\0\0\0\x18ftypheic" + bytes(80)), TEN, 1.0)
    assert refused.value.code == Code.CORRUPT


def test_a_missing_decoder_is_named(monkeypatch):
    """Without pi_heif a HEIC photo is not rejected: the error names the package to install."""
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(MissingDecoder, match=r"decoding heic needs the package pi_heif: run .* install"):
        decode(BytesReader(bytes(100)), TEN, 1.0)
