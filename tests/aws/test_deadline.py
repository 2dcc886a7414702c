"""An invocation ends in time: unfinished keys are returned for a retry, and nothing is written later."""

import threading
import time

import pytest

from tests.aws.faulty import Faulty
from tests.aws.scene import Context, Scene, failed, image_lines, notification, queued
from tests.worker.pictures import noise, slow
from thumbsmith.dispatch.converger import ANSWER_SECONDS, STORE_SECONDS, Deadline
from thumbsmith.errors import OutOfTime
from thumbsmith.recipe import Limits


def test_there_is_time_to_answer():
    """Work ends two seconds before the function does, or a quarter of a short time."""
    assert Deadline.after(60, Limits()).seconds_left == pytest.approx(60 - ANSWER_SECONDS, abs=0.1)
    assert Deadline.after(2, Limits()).seconds_left == pytest.approx(1.5, abs=0.1)


def test_a_key_needs_time_to_begin():
    """A key needs the time limit of a source and some for the stores, but at most half of the time."""
    limits = Limits(max_cpu_seconds=10)
    assert Deadline.after(60, limits).needed_seconds == 10 + STORE_SECONDS
    assert Deadline.after(60, limits, core_share=0.5).needed_seconds == 20 + STORE_SECONDS
    assert Deadline.after(12, limits).needed_seconds == pytest.approx(5)
    Deadline.after(12, limits).check()
    with pytest.raises(OutOfTime):
        Deadline(time.monotonic() + 14.9, 15).check()
    with pytest.raises(OutOfTime):
        Deadline(time.monotonic(), 0).request_lifetime().check()


def test_no_key_is_begun_too_late(scene: Scene, capsys: pytest.CaptureFixture[str]):
    """Keys without enough time left are not begun; they are returned for a retry at once."""
    source = scene.source = Faulty("src")
    keys = [f"{number}.jpg" for number in range(10)]
    scene.upload(*keys)
    source.faults.update(dict.fromkeys(keys, lambda: time.sleep(0.2)))  # twice for each key
    scene.threads = 1
    answer = scene.call(queued(*map(notification, keys)), Context(milliseconds=4000))
    done = scene.complete_keys()
    assert 1 <= len(done) < 9
    assert failed(answer) == [f"m{keys.index(key)}" for key in keys if key not in done]
    logged = [line for line in image_lines(capsys) if line["outcome"] == "failed"]
    assert {(line["code"], line["error"]) for line in logged} == {("transient", "OutOfTime")}
    assert any("not begun" in line["detail"] for line in logged)


def test_a_hanging_store_does_not_delay_others(scene: Scene):
    """A key whose store hangs is returned in time, and nothing is written for it later."""
    source = scene.source = Faulty("src")
    awake, entered, gave_up = threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        if not awake.wait(60):
            gave_up.set()

    source.faults["a.jpg"] = hang
    scene.upload("a.jpg", "b.jpg")
    answer = scene.call(queued(notification("a.jpg"), notification("b.jpg")), Context(milliseconds=4000))
    assert entered.is_set()
    assert not gave_up.is_set()
    assert failed(answer) == ["m0"]
    awake.set()
    for thread in threading.enumerate():
        if thread.name.startswith("thumbsmith"):
            thread.join(10)
    assert scene.complete_keys() == {"b.jpg"}
    assert not [info.key for info in scene.destination.list() if info.key.startswith("a.jpg")]


def test_a_slow_decoder_is_ended(scene: Scene):
    """A slow source is ended before the function is; it is retried, not rejected."""
    scene.recipe = slow(60)
    scene.upload("a.jpg", data=noise())
    started = time.monotonic()
    assert failed(scene.call(queued(notification("a.jpg")), Context(milliseconds=2000))) == ["m0"]
    assert time.monotonic() - started < 30  # half of the time that decoding takes
    assert list(scene.destination.list()) == []


def test_no_time_at_all(scene: Scene):
    """Without any time, all keys are returned."""
    scene.upload("a.jpg")
    assert failed(scene.call(queued(notification("a.jpg")), Context(milliseconds=0))) == ["m0"]
    assert scene.complete_keys() == set()
