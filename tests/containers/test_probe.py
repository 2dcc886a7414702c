"""For any bytes, the probe returns a Probe, or raises Rejected or the error of the reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.containers.files import good
from tests.containers.readers import CountingReader, FailingReader, LyingReader, judged
from thumbsmith.errors import Code, Rejected, SourceChanged, StoreError
from thumbsmith.image.probe import Probe, probe

CODES = {Code.EMPTY, Code.UNSUPPORTED_FORMAT, Code.CORRUPT, Code.TRUNCATED}


def _judge(data: bytes) -> Probe | Rejected:
    """Return the result, after a check of its values and of the number of bytes that were read."""
    reader = CountingReader(data)
    found = judged(reader)
    if isinstance(found, Rejected):
        assert found.code in CODES
        assert found.detail.isprintable()
        return found
    assert reader.cost <= 4 * reader.size + 65_536
    assert found.bytes == len(data)
    assert min(found.width, found.height, found.frames, found.scans, *found.size) >= 1
    assert 1 <= found.orientation <= 8
    assert 1 <= found.channels <= 6
    return found


@given(st.binary(max_size=300))
def test_noise_is_judged(data: bytes):
    """Random bytes give a Probe or a Rejected."""
    _judge(data)


@given(st.sampled_from(sorted(good())), st.data())
def test_noise_behind_a_signature_is_judged(name: str, data: st.DataObject):
    """Random bytes after the first bytes of a valid file give a Probe or a Rejected."""
    head = good()[name][: data.draw(st.integers(2, 64))]
    _judge(head + data.draw(st.binary(max_size=300)))


@given(st.sampled_from(sorted(good())), st.data())
def test_damaged_files_are_judged(name: str, data: st.DataObject):
    """A valid file with some bytes replaced, deleted or inserted gives a Probe or a Rejected."""
    damaged = bytearray(good()[name])
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, min(len(damaged), 700)))
        end = start + data.draw(st.integers(0, 4))
        damaged[start:end] = data.draw(st.binary(max_size=4) | st.sampled_from([b"\xff" * 4, bytes(4), b"\x7f\xff"]))
    _judge(bytes(damaged))


@given(st.sampled_from(sorted(good())), st.data())
def test_cut_files_are_judged(name: str, data: st.DataObject):
    """A valid file, cut anywhere, has the same size as before, or is truncated, corrupt or unsupported."""
    whole = good()[name]
    cut = _judge(whole[: data.draw(st.integers(0, len(whole) - 1))])
    if isinstance(cut, Probe):
        found = probe(CountingReader(whole))
        assert (cut.format, cut.width, cut.height) == (found.format, found.width, found.height)


@pytest.mark.parametrize("name", sorted(good()))
def test_a_file_cut_within_its_header_is_truncated(name: str):
    """A file that ends after its signature is truncated."""
    cut = _judge(good()[name][:13])
    assert isinstance(cut, Rejected)
    assert cut.code == Code.TRUNCATED


@pytest.mark.parametrize("name", sorted(good()))
def test_a_reader_that_fails_is_heard(name: str):
    """An error of the store is raised unchanged, in any read."""
    reader = CountingReader(good()[name])
    probe(reader)
    for after in range(len(reader.reads)):
        failure = StoreError("the disk is gone", transient=True)
        with pytest.raises(StoreError) as raised:
            probe(FailingReader(good()[name], failure, after))
        assert raised.value is failure


def test_a_source_that_changes_is_heard():
    """SourceChanged is raised, and does not reject the source."""
    with pytest.raises(SourceChanged):
        probe(FailingReader(good()["png"], SourceChanged("replaced")))


def test_a_source_that_is_shorter_than_it_says_is_truncated():
    """A reader that returns fewer bytes than its size promises gives truncated, and no endless loop."""
    data = good()["jpeg-progressive"]
    with pytest.raises(Rejected, match="truncated"):
        probe(LyingReader(data[:30], 1000))


def test_nothing_is_empty():
    """A source without bytes is empty. It is not read."""
    reader = CountingReader(b"")
    with pytest.raises(Rejected) as rejected:
        probe(reader)
    assert rejected.value.code == Code.EMPTY
    assert reader.reads == []


def test_the_crop_and_the_turn_make_the_size_that_is_seen():
    """`size` is that of the crop, if there is one, after orientation."""
    stored = {"format": "heic", "bytes": 1, "width": 64, "height": 48}
    assert Probe(**stored).size == (64, 48)
    assert Probe(**stored, crop_width=60, crop_height=40).size == (60, 40)
    assert Probe(**stored, crop_width=60, crop_height=40, orientation=5).size == (40, 60)
