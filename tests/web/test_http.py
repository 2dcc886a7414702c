"""Conditional requests and ranges, without a server."""

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thumbsmith.web.conditional import Validators
from thumbsmith.web.http import status_phrase

ETAG = '"abc"'
DATE, SECONDS = "Fri, 01 Mar 2024 10:00:00 GMT", 1_709_287_200.0
VERSION = Validators(ETAG, SECONDS + 0.5)


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
    assert VERSION.match({"if-none-match": header}) is matches
    assert not VERSION.match({})


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
    assert VERSION.byte_range(10, {"range": header}) == part


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_after_the_end_is_refused(header):
    """A range that contains no byte raises ValueError."""
    with pytest.raises(ValueError, match="bytes"):
        VERSION.byte_range(10, {"range": header})


def test_a_range_of_another_version_is_ignored():
    """If-Range with another etag or another date gives all bytes. A date of this second is weak, so it does too."""
    headers = {"range": "bytes=0-1"}
    assert VERSION.byte_range(10, {**headers, "if-range": ETAG}) == (0, 2)
    assert VERSION.byte_range(10, {**headers, "if-range": '"old"'}) is None
    assert VERSION.byte_range(10, {**headers, "if-range": "Tue, 01 Jan 2030 00:00:00 GMT"}) is None
    assert VERSION.byte_range(10, {**headers, "if-range": DATE}) == (0, 2)
    now = Validators(ETAG, time.time() + 1)
    assert now.byte_range(10, {**headers, "if-range": formatdate(now.modified, usegmt=True)}) is None


@pytest.mark.parametrize(
    ("headers", "matches"),
    [
        ({"if-modified-since": DATE}, True),
        ({"if-modified-since": "Fri, 01 Mar 2024 10:00:01 GMT"}, True),
        ({"if-modified-since": "Friday, 01-Mar-24 10:00:00 GMT"}, True),
        ({"if-modified-since": "Fri, 01 Mar 2024 09:59:59 GMT"}, False),
        ({"if-modified-since": "yesterday"}, False),
        ({"if-modified-since": "Fri, 99 Mar 2024 99:00:00 GMT"}, False),
        ({"if-modified-since": ""}, False),
        ({"if-modified-since": DATE, "if-none-match": '"x"'}, False),
        ({"if-modified-since": "Fri, 01 Mar 2024 09:59:59 GMT", "if-none-match": ETAG}, True),
    ],
)
def test_a_date_counts_without_an_etag(headers, matches):
    """If-Modified-Since is compared in whole seconds, unless it is invalid or If-None-Match is sent."""
    assert VERSION.match(headers) is matches
    assert not Validators(ETAG).match({"if-modified-since": DATE})


def test_a_future_date_is_not_sent():
    """Last-Modified is sent if the time is known and has passed."""
    assert VERSION.headers() == {"ETag": ETAG, "Last-Modified": DATE}
    assert Validators(ETAG).headers() == Validators(ETAG, time.time() + 100).headers() == {"ETag": ETAG}


@given(st.text(max_size=30), st.integers(0, 100))
def test_no_range_exceeds_the_object(header, size):
    """For any header, the range lies within the object."""
    try:
        part = VERSION.byte_range(size, {"range": "bytes=" + header})
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
