"""Conditional requests and ranges, without a server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thumbsmith.web.http import byte_range, matches_etag, status_phrase

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("header", "matches"),
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
def test_if_none_match_names_an_etag(header, matches):
    """The etag matches itself, its weak form, an entry of a list, and the wildcard."""
    assert matches_etag(ETAG, {"if-none-match": header}) is matches
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
def test_a_range_gives_its_bytes(header, part):
    """A range names first and last byte, has an open end, or counts from the end; anything else is ignored."""
    assert byte_range(10, ETAG, {"range": header}) == part


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_after_the_end_is_refused(header):
    """A range that contains no byte raises ValueError."""
    with pytest.raises(ValueError, match="bytes"):
        byte_range(10, ETAG, {"range": header})


def test_a_range_of_another_version_is_ignored():
    """If-Range with another etag or with a date gives all bytes."""
    headers = {"range": "bytes=0-1"}
    assert byte_range(10, ETAG, {**headers, "if-range": ETAG}) == (0, 2)
    assert byte_range(10, ETAG, {**headers, "if-range": '"old"'}) is None
    assert byte_range(10, ETAG, {**headers, "if-range": "Tue, 01 Jan 2030 00:00:00 GMT"}) is None


@given(st.text(max_size=30), st.integers(0, 100))
def test_no_range_exceeds_the_object(header, size):
    """For any header, the range lies within the object."""
    try:
        part = byte_range(size, ETAG, {"range": "bytes=" + header})
    except ValueError:
        return
    assert part is None or 0 <= part[0] < part[1] <= size


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (404, "Not Found"),
        (413, "Content Too Large"),
        (414, "URI Too Long"),
        (416, "Range Not Satisfiable"),
        (422, "Unprocessable Content"),
    ],
)
def test_a_status_has_the_phrase_of_the_standard(status, phrase):
    """Problems have the phrases of RFC 9110 on every version of Python."""
    assert status_phrase(status) == phrase
