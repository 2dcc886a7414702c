"""An invocation ends in time: what it cannot do is handed back, and nothing is written afterwards."""

import threading
import time

import pytest

from tests.aws.faulty import Faulty
from tests.aws.scene import Context, Scene, failed, lines, notification, queued
from tests.worker.pictures import noise, slow
from thumbsmith.aws.converger import ANSWERING, STORING, Deadline
from thumbsmith.errors import OutOfTime
from thumbsmith.recipe import Limits


def test_there_is_time_to_answer():
    """Work ends before the function does; of a function with little time a quarter is kept."""
    assert Deadline.after(60, Limits()).left == pytest.approx(60 - ANSWERING, abs=0.1)
    assert Deadline.after(2, Limits()).left == pytest.approx(1.5, abs=0.1)


def test_a_key_is_begun_where_it_can_be_ended():
    """It needs what decoding may take, and some for the stores; where that is never there, half of the time."""
    limits = Limits(max_cpu_seconds=10)
    assert Deadline.after(60, limits).needed == 10 + STORING
    assert Deadline.after(12, limits).needed == pytest.approx(5)
    Deadline.after(12, limits).begin()
    with pytest.raises(OutOfTime):
        Deadline(time.monotonic() + 14.9, 15).begin()
    with pytest.raises(OutOfTime):
        Deadline(time.monotonic(), 0).lifetime().check()


def test_what_there_is_no_room_for_is_not_begun(scene: Scene, capsys: pytest.CaptureFixture[str]):
    """The first keys are begun; those that come when the time is half over are handed back at once."""
    source = scene.source = Faulty("src")
    keys = [f"{number}.jpg" for number in range(10)]
    scene.upload(*keys)
    source.faults.update(dict.fromkeys(keys, lambda: time.sleep(0.2)))  # twice a key: before, and once it is made
    scene.threads = 1
    answer = scene.call(queued(*map(notification, keys)), Context(milliseconds=4000))
    done = scene.pictured()
    assert 1 <= len(done) < 9
    assert failed(answer) == [f"m{keys.index(key)}" for key in keys if key not in done]
    told = [line for line in lines(capsys) if line["outcome"] == "failed"]
    assert {(line["code"], line["error"]) for line in told} == {("transient", "OutOfTime")}
    assert any("not begun" in line["detail"] for line in told)


def test_a_store_that_hangs_holds_nobody_up(scene: Scene):
    """The key is handed back while the store still hangs; when it answers, nothing is written any more."""
    source = scene.source = Faulty("src")
    awake, asked, gave_up = threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        asked.set()
        if not awake.wait(60):
            gave_up.set()

    source.faults["a.jpg"] = hang
    scene.upload("a.jpg", "b.jpg")
    answer = scene.call(queued(notification("a.jpg"), notification("b.jpg")), Context(milliseconds=4000))
    assert asked.is_set()
    assert not gave_up.is_set()
    assert failed(answer) == ["m0"]
    awake.set()
    for thread in threading.enumerate():
        if thread.name.startswith("thumbsmith"):
            thread.join(10)
    assert scene.pictured() == {"b.jpg"}
    assert not [info.key for info in scene.destination.list() if info.key.startswith("a.jpg")]


def test_a_decoder_that_takes_too_long_is_ended(scene: Scene):
    """A picture for which the limits allow a minute is ended before the function is, and is not to blame."""
    scene.recipe = slow(60)
    scene.upload("a.jpg", data=noise())
    started = time.monotonic()
    assert failed(scene.call(queued(notification("a.jpg")), Context(milliseconds=2000))) == ["m0"]
    assert time.monotonic() - started < 30  # half of what decoding it takes
    assert list(scene.destination.list()) == []


def test_no_time_at_all(scene: Scene):
    """All is handed back."""
    scene.upload("a.jpg")
    assert failed(scene.call(queued(notification("a.jpg")), Context(milliseconds=0))) == ["m0"]
    assert scene.pictured() == set()
