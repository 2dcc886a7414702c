"""`thumbsmith doctor`: what is told is what is so."""

import importlib.util
import sys

import pytest
from PIL import features

from tests.cli.command import Command
from thumbsmith.errors import WorkerError
from thumbsmith.recipe import Limits, Recipe
from thumbsmith.worker import confine
from thumbsmith.worker.examine import examine
from thumbsmith.worker.layers import LAYERS, tried
from thumbsmith.worker.process import Template
from thumbsmith.worker.wire import Closed


def test_versions_formats_and_isolation_are_told(thumbsmith: Command):
    """As one JSON object: the versions, what is read and written, and every layer of isolation."""
    ran = thumbsmith("doctor", "--json")
    (found,) = ran.events
    assert ran.code == 0
    assert found["event"] == "doctor"
    assert {"Pillow", "libwebp", "libavif"} <= found["libraries"].keys()
    assert all(found["writes"].values())
    assert found["reads"].keys() == {"jpeg", "png", "gif", "webp", "tiff", "bmp", "avif", "heic"}
    assert found["isolation"].keys() == LAYERS.keys()
    assert found["workers"] >= 1
    assert found["memory"] > 1 << 20


@pytest.mark.skipif(sys.platform != "linux" or confine.FILTER is None, reason="only Linux has all layers")
def test_all_layers_are_on_here(thumbsmith: Command):
    """On Linux a child is without everything that is listed."""
    assert all(thumbsmith("doctor", "--json").events[0]["isolation"].values())


def test_people_are_told_in_sentences(thumbsmith: Command):
    """Each layer is a line that begins with yes or NO."""
    ran = thumbsmith("doctor")
    assert ran.code == 0
    for meaning in LAYERS.values():
        assert meaning in ran.out


def test_a_missing_extra_is_named(thumbsmith: Command, monkeypatch: pytest.MonkeyPatch):
    """Without HEIC all is well, and the line says how to get it."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "thumbsmith.formats.inventory.find_spec", lambda name: None if name == "pi_heif" else real(name)
    )
    ran = thumbsmith("doctor")
    assert ran.code == 0
    assert 'missing    heic: pip install "thumbsmith[heic]"' in ran.out


def test_a_format_that_is_not_there_is_a_failure(thumbsmith: Command, monkeypatch: pytest.MonkeyPatch):
    """A Pillow without AVIF can't do what recipes ask: exit code 1."""
    real = features.check
    monkeypatch.setattr(features, "check", lambda part: part != "avif" and real(part))
    ran = thumbsmith("doctor")
    assert ran.code == 1
    assert "missing    avif" in ran.out


def test_a_process_with_its_power_says_so():
    """What is tried here, unconfined, succeeds: a layer that is off is not taken for one that is on."""
    found = tried(Limits(max_cpu_seconds=1))
    assert found.keys() == LAYERS.keys()
    for layer in ("files", "network", "programs", "processes", "signals", "names", "cpu"):
        assert not found[layer], layer


def test_a_worker_that_dies_is_told(monkeypatch: pytest.MonkeyPatch):
    """One sentence, and a failure that may pass."""

    def gone(_: Template) -> None:
        raise Closed

    monkeypatch.setattr(Template, "begin", gone)
    with pytest.raises(WorkerError, match="ended before"):
        examine(Recipe.default())
