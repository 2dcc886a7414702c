"""Conditional and range requests, pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thumbsmith.web.http import byte_range, matches_etag

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (ETAG, True),
        ('W/"abc"', True),
        ('"x", "abc"', True),
        ("*", True),
        ('"x"', False),
        ("abc", False),
        ("", False),
        ('"x,"abc"', False),
    ],
)
def test_a_known_version_matches_etag(header, known):
    """If-None-Match names the version, weakly compared, among others, or any."""
    assert matches_etag(ETAG, {"if-none-match": header}) is known
    assert not matches_etag(ETAG, {})


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=3-", (3, 10)),
        ("bytes=-4", (6, 10)),
        ("bytes=-40", (0, 10)),
        ("bytes=2-400", (2, 10)),
        ("bytes=5-2", None),
        ("bytes=0-1,3-4", None),
        ("bytes=-", None),
        ("bytes=x-1", None),
        ("lines=0-1", None),
        ("", None),
    ],
)
def test_a_range_is_the_bytes_it_names(header, part):
    """First and last byte, an open end, the last bytes; what is no single range of bytes is ignored."""
    assert byte_range(10, ETAG, {"range": header}) == part


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_of_nothing_cannot_be_satisfied(header):
    """A range that begins behind the end is refused."""
    with pytest.raises(ValueError, match="bytes"):
        byte_range(10, ETAG, {"range": header})


def test_a_range_of_another_version_is_all_of_this_one():
    """If-Range with another etag, or a date, gives everything."""
    asked = {"range": "bytes=0-1"}
    assert byte_range(10, ETAG, {**asked, "if-range": ETAG}) == (0, 2)
    assert byte_range(10, ETAG, {**asked, "if-range": '"old"'}) is None
    assert byte_range(10, ETAG, {**asked, "if-range": "Tue, 01 Jan 2030 00:00:00 GMT"}) is None


@given(st.text(max_size=30), st.integers(0, 100))
def test_no_header_makes_a_range_beyond_the_object(header, size):
    """Whatever is asked for, what is sent lies within the object."""
    try:
        part = byte_range(size, ETAG, {"range": "bytes=" + header})
    except ValueError:
        return
    assert part is None or 0 <= part[0] < part[1] <= size
