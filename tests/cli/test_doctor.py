"""`thumbsmith doctor`: its output is true."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import features

from tests.cli.command import Command
from thumbsmith.errors import WorkerError
from thumbsmith.image import eighth
from thumbsmith.image.formats import SOURCE_FORMATS
from thumbsmith.installation import install_command
from thumbsmith.worker import Workers, sandbox
from thumbsmith.worker.isolation import LAYERS
from thumbsmith.worker.processes import Template
from thumbsmith.worker.wire import PeerClosed


def test_versions_formats_and_isolation_are_told(thumbsmith: Command):
    """One JSON object has the versions, the formats read and written, and each isolation layer."""
    ran = thumbsmith("doctor", "--json")
    (found,) = ran.events
    assert ran.code == 0
    assert found["event"] == "doctor"
    assert {"Pillow", "libwebp", "libavif"} <= found["libraries"].keys()
    assert all(found["writes"].values())
    assert found["reads"].keys() == SOURCE_FORMATS.keys()
    assert found["isolation"].keys() == LAYERS.keys()
    assert found["native"] is eighth.is_available()
    assert found["workers"] >= 1
    assert found["memory"] > 1 << 20


@pytest.mark.skipif(sys.platform != "linux" or sandbox.FILTER is None, reason="only Linux has all layers")
def test_all_layers_are_on_here(thumbsmith: Command):
    """On Linux all layers of a child are active."""
    assert all(thumbsmith("doctor", "--json").events[0]["isolation"].values())


def test_people_are_told_in_sentences(thumbsmith: Command):
    """Each layer is a line that states what is blocked, such as "blocked: opening files"."""
    ran = thumbsmith("doctor")
    assert ran.code == 0
    for layer in LAYERS.values():
        assert f"blocked: {layer.blocks}\n" in ran.out


@pytest.mark.parametrize("built", [True, False])
def test_a_missing_native_decoder_is_told(thumbsmith: Command, monkeypatch: pytest.MonkeyPatch, built: bool):
    """One line states whether there is a native decoder. Without it, nothing is missing."""
    monkeypatch.setattr(eighth, "is_available", lambda: built)
    ran = thumbsmith("doctor")
    assert ran.code == 0
    (line,) = [line for line in ran.out.splitlines() if line.startswith("native")]
    assert ("no native decoder" in line) is not built


def test_an_open_layer_is_told_with_its_risk(thumbsmith: Command, monkeypatch: pytest.MonkeyPatch):
    """A layer that this system does not support is a line with the risk."""
    held = dict.fromkeys(LAYERS, True) | {"programs": False}
    monkeypatch.setattr(Template, "layers", lambda _: held)
    ran = thumbsmith("doctor")
    assert ran.code == 0
    (line,) = [line for line in ran.out.splitlines() if "not blocked here" in line]
    assert "not blocked here: starting programs. " in line
    assert line.endswith(f"A malicious image {LAYERS['programs'].risk}")


def test_a_missing_package_is_named(thumbsmith: Command, monkeypatch: pytest.MonkeyPatch):
    """Without the package for HEIC the exit code is 1, and the line names the package."""
    real = importlib.util.find_spec
    monkeypatch.setattr("thumbsmith.image.opening.find_spec", lambda name: None if name == "pi_heif" else real(name))
    ran = thumbsmith("doctor")
    assert ran.code == 1
    assert f"missing    heic: {install_command()}" in ran.out


def test_a_format_that_is_not_there_is_a_failure(thumbsmith: Command, monkeypatch: pytest.MonkeyPatch):
    """A Pillow without AVIF gives exit code 1."""
    real = features.check
    monkeypatch.setattr(features, "check", lambda part: part != "avif" and real(part))
    ran = thumbsmith("doctor")
    assert ran.code == 1
    assert "missing    avif" in ran.out


def test_a_process_that_is_not_confined_says_so():
    """In a process without confinement, each layer is missing. So are limits that the process may raise again."""
    code = (
        "import resource; from thumbsmith.worker.isolation import LAYERS;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]));"
        "print(*[name for name, layer in LAYERS.items() if layer.is_active()])"
    )
    environment = {"PYTHONPATH": str(Path(sandbox.__file__).parents[2]), "HOME": "/"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    open_ones = LAYERS.keys() - set(done.stdout.split())
    assert open_ones >= {"environment", "files", "network", "programs", "processes", "signals", "names"}


def test_a_worker_that_dies_is_told(monkeypatch: pytest.MonkeyPatch):
    """A worker that dies gives one sentence and a transient error."""

    def gone(_: Template) -> None:
        raise PeerClosed

    monkeypatch.setattr(Template, "layers", gone)
    with Workers(1) as workers, pytest.raises(WorkerError, match="ended before"):
        workers.layers()
