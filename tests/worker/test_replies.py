"""Every reply of a child is a valid one, or a ProtocolError."""

from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thumbsmith.errors import Code, MissingDecoder, Rejected, WorkerError
from thumbsmith.image.probe import Probe
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Format, Recipe, Variant
from thumbsmith.worker.replies import (
    MAX_SENTENCE_CHARS,
    MemoryRequest,
    ReadRequest,
    RenderJob,
    RenderResult,
    check_blob_sizes,
    parse_reply,
)
from thumbsmith.worker.wire import MAX_BLOCK_BYTES, Frame, ProtocolError

RECIPE = Recipe(
    variants=(Variant(name="small", width=9, formats=(Format.WEBP, "source")), Variant(name="big", width=20))
)
ORDER = RenderJob(BytesReader(bytes(1000)), RECIPE, None)
PROBE = Probe(format="jpeg", bytes=1000, width=30, height=20, depth=8)
PICTURES = [
    {"name": "small.webp", "width": 9, "height": 6},
    {"name": "small.jpg", "width": 9, "height": 6},
    {"name": "big.webp", "width": 20, "height": 13},
]
HASH = "1QcSHQRnh493V4dIh4eXh1h4kJUI"
BLOBS = (b"one", b"two", b"three")


def _made(blobs: tuple[bytes, ...] = BLOBS, **changes: object) -> Frame:
    fields: dict[str, Any] = {"probe": asdict(PROBE), "renditions": PICTURES, "color": "#a1b2c3", "thumbhash": HASH}
    fields["notes"] = ["so"]
    return Frame("made", fields | changes, blobs)


def test_a_valid_result_is_accepted():
    """A valid result gives the probe, the renditions under the names of the job, and the placeholder."""
    answer = parse_reply(_made(), ORDER)
    assert isinstance(answer, RenderResult)
    assert answer.probe == PROBE
    assert (answer.color, answer.thumbhash, answer.notes) == ("#a1b2c3", HASH, ("so",))
    assert [
        (made.variant, made.format, made.type, made.width, made.height, made.data) for made in answer.renditions
    ] == [
        ("small", "webp", "image/webp", 9, 6, b"one"),
        ("small", "jpeg", "image/jpeg", 9, 6, b"two"),
        ("big", "webp", "image/webp", 20, 13, b"three"),
    ]


def test_only_wanted_renditions_are_accepted():
    """With names wanted, exactly those must come."""
    order = RenderJob(ORDER.reader, RECIPE, frozenset({"big.webp", "of-another-recipe.png"}))
    answer = parse_reply(_made((b"three",), renditions=PICTURES[2:], color=None, thumbhash=None), order)
    assert isinstance(answer, RenderResult)
    assert [made.variant for made in answer.renditions] == ["big"]
    with pytest.raises(ProtocolError):
        parse_reply(_made(), order)


@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        (Frame("read", {"offset": 0, "length": 1000}), ReadRequest(0, 1000)),
        (Frame("read", {"offset": 999, "length": 1}), ReadRequest(999, 1)),
        (Frame("admit", {"memory": 5000}), MemoryRequest(5000)),
    ],
)
def test_valid_requests_are_accepted(frame: Frame, answer: object):
    """A child may request a range within the source, and memory within the limit."""
    assert parse_reply(frame, ORDER) == answer


def test_refusals_are_raised():
    """A rejection, a missing decoder and an error in our code are raised as such."""
    with pytest.raises(Rejected) as rejected:
        parse_reply(Frame("rejected", {"code": "truncated", "detail": "it ends"}), ORDER)
    assert (rejected.value.code, rejected.value.detail) == (Code.TRUNCATED, "it ends")
    with pytest.raises(MissingDecoder, match="heic"):
        parse_reply(Frame("missing", {"detail": "needs heic", "extra": None}), ORDER)
    with pytest.raises(ProtocolError):
        parse_reply(Frame("missing", {"detail": "needs it", "extra": "'; rm -r ~ #"}), ORDER)
    with pytest.raises(WorkerError, match="KeyError"):
        parse_reply(Frame("failed", {"detail": "KeyError: 1"}), ORDER)


def test_a_sentence_is_made_safe():
    """Text for manifests and terminals has no control character and no lone surrogate, and is short."""
    with pytest.raises(Rejected) as rejected:
        parse_reply(Frame("rejected", {"code": "corrupt", "detail": "\x1b[2J\ud800\n" + "x" * 10_000}), ORDER)
    detail = rejected.value.detail
    assert detail.startswith("�[2J��x")
    assert len(detail) == MAX_SENTENCE_CHARS
    detail.encode()


@pytest.mark.parametrize(
    "frame",
    [
        Frame("", {}),
        Frame("go", {}),
        Frame("read", {}),
        Frame("read", {"offset": -1, "length": 1}),
        Frame("read", {"offset": 1000, "length": 1}),
        Frame("read", {"offset": 0, "length": 0}),
        Frame("read", {"offset": 0, "length": 1001}),
        Frame("read", {"offset": 0, "length": MAX_BLOCK_BYTES + 1}),
        Frame("read", {"offset": "0", "length": 1}),
        Frame("read", {"offset": False, "length": 1}),
        Frame("read", {"offset": 0.0, "length": 1}),
        Frame("admit", {"memory": -1}),
        Frame("admit", {"memory": RECIPE.limits.max_memory + 1}),
        Frame("admit", {"memory": None}),
        Frame("rejected", {"code": "boring", "detail": ""}),
        Frame("rejected", {"code": [], "detail": ""}),
        Frame("rejected", {"code": "corrupt", "detail": None}),
        Frame("missing", {"detail": {}}),
        Frame("failed", {"detail": 1}),
        Frame("made", {}),
        _made(probe=None),
        _made(probe={}),
        _made(probe=asdict(PROBE) | {"more": 1}),
        _made(probe=asdict(PROBE) | {"format": "exe"}),
        _made(probe=asdict(PROBE) | {"format": 3}),
        _made(probe=asdict(PROBE) | {"bytes": 999}),
        _made(probe=asdict(PROBE) | {"orientation": 9}),
        _made(probe=asdict(PROBE) | {"orientation": True}),
        _made(probe=asdict(PROBE) | {"width": -1}),
        _made(probe=asdict(PROBE) | {"width": 0}),
        _made(probe=asdict(PROBE) | {"frames": 0}),
        _made(probe=asdict(PROBE) | {"width": 50_000, "height": 50_000}),
        _made(probe=asdict(PROBE) | {"width": 1 << 70}),
        _made(probe=asdict(PROBE) | {"alpha": 1}),
        _made(color="red"),
        _made(color="#A1B2C3"),
        _made(color="#a1b2c3\n"),
        _made(color=7),
        _made(thumbhash=7),
        _made(thumbhash="abcd\n"),
        _made(thumbhash="A" * 41),
        _made(renditions={}),
        _made(renditions=[]),
        _made(renditions=[*PICTURES, PICTURES[0]]),
        _made(renditions=[PICTURES[0], PICTURES[0], PICTURES[2]]),
        _made(renditions=[*PICTURES[:2], {"name": "../../evil.webp", "width": 1, "height": 1}]),
        _made(renditions=[*PICTURES[:2], None]),
        _made(renditions=[*PICTURES[:2], PICTURES[2] | {"width": 0}]),
        _made(renditions=[*PICTURES[:2], PICTURES[2] | {"height": 16384}]),
        _made(renditions=[*PICTURES[:2], PICTURES[2] | {"height": "13"}]),
        _made(renditions=[*PICTURES[:2], PICTURES[2] | {"height": 12}]),
        _made((b"one", b"two")),
        _made((b"one", b"two", b"three", b"four")),
        _made((b"one", b"", b"three")),
    ],
)
def test_invalid_replies_are_protocol_errors(frame: Frame):
    """Unknown kinds, wrong types, numbers out of range, and renditions that are not in the job are refused."""
    with pytest.raises(ProtocolError):
        parse_reply(frame, ORDER)


def _most(recipe: str, probe: Probe = PROBE) -> int:
    """Return the largest size that may be announced for the only rendition of a job."""
    order = RenderJob(BytesReader(bytes(1000)), Recipe.loads(recipe), None)
    said = Frame("made", {"probe": asdict(probe)})
    least, most = 0, 1 << 40
    while least < most:
        middle = (least + most + 1) // 2
        try:
            check_blob_sizes(said, [middle], order)
        except ProtocolError:
            most = middle - 1
        else:
            least = middle
    return least


def test_a_picture_bounds_the_bytes_that_may_come_for_it():
    """The limit is the pixels of one picture and little more; for each frame, where animation is kept."""
    one = _most("[variants.a]\nwidth = 9")
    assert 9 * 6 * 4 < one < 9 * 6 * 4 + (100 << 10)
    large = replace(PROBE, width=3000, height=2000)
    assert 300 * 200 * 4 < _most("[variants.a]\nwidth = 300", large) - one < 300 * 200 * 5
    moving = replace(PROBE, format="gif", frames=100)
    assert _most("[variants.a]\nwidth = 9", moving) == one
    assert 100 * 9 * 6 * 4 < _most('[variants.a]\nwidth = 9\nanimation = "keep"', moving) < one + (200 << 10)
    assert _most('[variants.a]\nwidth = 9\ncolor = "keep"') < one + (20 << 20)


def test_requests_have_no_blobs():
    """A request has no blobs, and a result has one for each rendition."""
    for said, lengths in ((Frame("read", {"offset": 0, "length": 1}), [0]), (_made(()), [1, 1]), (_made(()), [1] * 4)):
        with pytest.raises(ProtocolError, match="blobs, instead of"):
            check_blob_sizes(said, lengths, ORDER)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
FIELDS = ("offset", "length", "memory", "code", "detail", "probe", "renditions", "color", "thumbhash")


@given(
    kind=st.sampled_from(["read", "admit", "made", "rejected", "missing", "failed"]),
    changes=st.dictionaries(st.sampled_from(FIELDS), JSON),
    probe=st.dictionaries(st.sampled_from(sorted(asdict(PROBE))), JSON),
)
def test_no_reply_breaks_the_parent(kind: str, changes: dict[str, object], probe: dict[str, object]):
    """A reply with any value in any field is parsed, refused, or a ProtocolError: no other exception."""
    frame = Frame(kind, {**_made().fields, "probe": asdict(PROBE) | probe, **changes}, BLOBS)
    with suppress(ProtocolError, Rejected, MissingDecoder, WorkerError):
        assert isinstance(parse_reply(frame, ORDER), ReadRequest | MemoryRequest | RenderResult)
