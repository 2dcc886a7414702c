"""The color profile of a JPEG, which is in numbered parts."""

import pytest

from tests.image.pictures import saved, textured
from thumbsmith.image import transfer
from thumbsmith.image.decode import DecodedImage, decode
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader

PROFILE = transfer.cicp_profile(12, 13)
HALF = len(PROFILE) // 2
FIRST, SECOND = PROFILE[:HALF], PROFILE[HALF:]


def part(number: int, count: int, data: bytes) -> bytes:
    """Return a segment with a part of a profile."""
    content = b"ICC_PROFILE\0" + bytes((number, count)) + data
    return b"\xff\xe2" + (len(content) + 2).to_bytes(2) + content


def decoded(*segments: bytes) -> DecodedImage:
    """Return what is decoded of a JPEG with these segments."""
    data = saved(textured(60, 40), "JPEG")
    reader = BytesReader(data[:2] + b"".join(segments) + data[2:])
    return decode(reader, probe(reader), 1.0)


@pytest.mark.parametrize(
    "parts",
    [
        (part(1, 1, PROFILE),),
        (part(1, 2, FIRST), part(2, 2, SECOND)),
        (part(2, 2, SECOND), part(1, 2, FIRST)),
        (part(1, 1, PROFILE), part(1, 1, PROFILE)),
        (part(1, 1, PROFILE), part(1, 1, b"another")),
        (part(1, 3, FIRST), part(3, 3, SECOND), part(2, 3, b"")),
    ],
)
def test_parts_are_joined_in_order(parts: tuple[bytes, ...]):
    """The parts of a profile are joined in any order, also if one occurs twice."""
    found = decoded(*parts)
    assert (found.profile, found.note) == (PROFILE, None)
    assert found.to_srgb is not None


@pytest.mark.parametrize(
    "parts",
    [
        (part(1, 2, FIRST),),
        (part(2, 2, SECOND),),
        (part(0, 1, PROFILE),),
        (part(0, 0, PROFILE),),
        (part(3, 2, PROFILE),),
        (part(1, 2, FIRST), part(2, 3, SECOND)),
        (part(1, 1, FIRST), part(2, 2, SECOND)),
        (part(1, 1, b""),),
        (part(1, 1, b"no profile"),),
    ],
)
def test_a_profile_that_is_not_whole_is_ignored(parts: tuple[bytes, ...]):
    """The picture is made without, and a note says so."""
    found, plain = decoded(*parts), decoded()
    assert (found.profile, found.to_srgb, found.image.tobytes()) == (None, None, plain.image.tobytes())
    assert found.note == "the color profile is broken, and was ignored"
    assert plain.note is None
