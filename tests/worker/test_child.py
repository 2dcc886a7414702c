"""The messages of a child about its source. It runs in a thread here; test_workers.py runs real processes."""

import socket
import sys
import threading
from collections.abc import Collection

import pytest

from thumbsmith.errors import Code, MissingDecoder, Rejected, WorkerError
from thumbsmith.image.render import render
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Limits, Recipe
from thumbsmith.recipe.names import rendition_name
from thumbsmith.worker.child import prepare, render_job
from thumbsmith.worker.isolation import Isolation
from thumbsmith.worker.replies import MemoryRequest, ReadRequest, RenderJob, RenderResult, parse_reply
from thumbsmith.worker.wire import Channel, Frame

from ..containers.files import HEIC
from ..pictures import picture
from .pictures import SMALL, noise

UNLIMITED = 1 << 30


def _said(data: bytes, recipe: Recipe, wanted: Collection[str] | None = None, head: int = 1 << 30) -> RenderResult:
    """Return the result of a child for these bytes; raise the error that it reports."""
    ours, theirs = socket.socketpair()
    named = None if wanted is None else sorted(wanted)
    order = Frame("make", {"size": len(data), "wanted": named, "granted": 0}, (data[:head],))
    child = threading.Thread(target=render_job, args=(order, recipe, Channel(theirs)))
    child.start()
    try:
        return _served(
            Channel(ours), RenderJob(BytesReader(data), recipe, None if wanted is None else frozenset(wanted))
        )
    finally:
        child.join()
        ours.close()
        theirs.close()


def _served(channel: Channel, order: RenderJob) -> RenderResult:
    while True:
        match parse_reply(channel.receive(UNLIMITED), order):
            case ReadRequest(offset, length):
                channel.send("bytes", order.reader.read(offset, length))
            case MemoryRequest(memory):
                assert memory > 0
                channel.send("go")
            case RenderResult() as made:
                return made


@pytest.mark.parametrize("head", [0, 1000, 1 << 30])
def test_a_child_makes_what_rendering_makes(head: int):
    """The renditions equal those of a render in this process, with any size of the head."""
    data = noise()
    made = _said(data, Recipe.default(), head=head)
    assert made.renditions == render(data, Recipe.default())
    assert (made.probe.format, made.probe.width, made.probe.height) == ("jpeg", 700, 500)
    assert made.color is not None


def test_only_what_is_wanted_is_made():
    """A rendition is the same alone and among all; with none wanted the source is only checked."""
    data = picture()
    everything = {rendition_name(made.variant, made.format): made for made in _said(data, Recipe.default()).renditions}
    assert _said(data, Recipe.default(), {"small.webp"}).renditions == (everything["small.webp"],)
    judged = _said(data, Recipe.default(), set())
    assert (judged.renditions, judged.color) == ((), None)


@pytest.mark.parametrize(
    ("data", "limits", "code"),
    [
        (b"PK\x03\x04 and more", Limits(), Code.UNSUPPORTED_FORMAT),
        (picture()[:100], Limits(), Code.TRUNCATED),
        (noise()[:200_000], Limits(), Code.TRUNCATED),
        (picture(), Limits(max_pixels=10), Code.TOO_MANY_PIXELS),
        (picture(), Limits(max_memory=10), Code.OVER_MEMORY),
    ],
)
def test_a_source_that_gives_no_thumbnail_is_rejected(data: bytes, limits: Limits, code: Code):
    """Header, limits, memory and decoder each have their code."""
    with pytest.raises(Rejected) as rejected:
        _said(data, Recipe(limits=limits))
    assert rejected.value.code == code


def test_an_error_in_our_code_is_reported():
    """A job with a wrong type is an error in our code: the message names the exception and the line."""
    ours, theirs = socket.socketpair()
    order = Frame("make", {"size": "ten", "wanted": None, "granted": 0}, (picture(),))
    with ours, theirs:
        render_job(order, SMALL, Channel(theirs))
        with pytest.raises(WorkerError, match=r"TypeError: .* \(\w+\.py:\d+\)"):
            parse_reply(Channel(ours).receive(0), RenderJob(BytesReader(picture()), SMALL, None))


class Starved(Channel):
    """A channel of a process that has no memory left to receive anything."""

    def receive(self, max_bytes: int) -> Frame:
        """Raise MemoryError, as an allocation would."""
        raise MemoryError(max_bytes)


def test_running_out_of_memory_is_the_pictures_fault():
    """Where a prediction was too low, the memory limit rejects the source: over_memory."""
    ours, theirs = socket.socketpair()
    data = picture()
    with ours, theirs:
        render_job(Frame("make", {"size": len(data), "wanted": None, "granted": 0}, (data,)), SMALL, Starved(theirs))
        order = RenderJob(BytesReader(data), SMALL, None)
        channel = Channel(ours)
        assert isinstance(parse_reply(channel.receive(0), order), MemoryRequest)
        with pytest.raises(Rejected) as rejected:
            parse_reply(channel.receive(0), order)
    assert rejected.value.code == Code.OVER_MEMORY


def test_a_missing_decoder_is_reported(monkeypatch: pytest.MonkeyPatch):
    """A HEIC without its package is neither rejected nor an error in our code: the message names the package."""
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(MissingDecoder, match=r"decoding heic needs the package pi_heif: run .* install"):
        _said(HEIC, SMALL)


def test_a_child_that_is_not_confined_handles_nothing(monkeypatch: pytest.MonkeyPatch):
    """A step that the system granted before and refuses now is reported, and no source is read."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("resource.setrlimit", refuse)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        order = Frame("prepare", {"ceiling": None, "shared": False, "extras": []}, (SMALL.to_json().encode(),))
        prepare(order, Isolation(frozenset(), {}))(Channel(theirs))
        with pytest.raises(WorkerError, match=r"confining a worker process failed at core: .*Operation not permitted"):
            parse_reply(Channel(ours).receive(0), RenderJob(BytesReader(picture()), SMALL, None))
