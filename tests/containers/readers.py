"""Range readers that count their reads, or fail."""

from dataclasses import dataclass, field

from thumbsmith.errors import Rejected, StoreError
from thumbsmith.image.probe import Probe, probe
from thumbsmith.reader import BytesReader, RangeReader


@dataclass
class CountingReader:
    """Bytes in memory. Every read is recorded as (offset, length), and must lie within the source."""

    data: bytes
    reads: list[tuple[int, int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return len(self.data)

    @property
    def cost(self) -> int:
        """Return the number of bytes of all reads."""
        return sum(length for _, length in self.reads)

    def read(self, offset: int, length: int) -> bytes:
        """Return the slice."""
        assert offset >= 0
        assert length > 0
        assert offset + length <= self.size
        self.reads.append((offset, length))
        return self.data[offset : offset + length]


@dataclass
class FailingReader:
    """A reader that fails after some reads."""

    data: bytes
    failure: StoreError
    after: int = 0

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        """Return the slice, or raise."""
        if self.after == 0:
            raise self.failure
        self.after -= 1
        return self.data[offset : offset + length]


@dataclass(frozen=True)
class LyingReader:
    """A source with fewer bytes than its size says."""

    data: bytes
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Return the existing bytes."""
        return self.data[offset : offset + length]


def judged(source: bytes | RangeReader) -> Probe | Rejected:
    """Return the probe of a source, or its rejection. Other exceptions are raised."""
    try:
        return probe(BytesReader(source) if isinstance(source, bytes) else source)
    except Rejected as rejected:
        return rejected


def rejected(source: bytes) -> tuple[str, str]:
    """Return the code and the detail of a source that must be rejected."""
    found = judged(source)
    assert isinstance(found, Rejected)
    return found.code, found.detail


def probed(source: bytes) -> Probe:
    """Return the probe of a source that must not be rejected."""
    found = judged(source)
    assert isinstance(found, Probe), found
    return found
