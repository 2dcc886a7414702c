"""THUMBSMITH_ISOLATION=required: no source is handled where a layer is missing, and nothing is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from thumbsmith import render
from thumbsmith.errors import NotIsolated
from thumbsmith.reader import BytesReader
from thumbsmith.worker import Workers, sandbox
from thumbsmith.worker.isolation import LAYERS
from thumbsmith.worker.processes import Template

from ..pictures import picture
from .pictures import SMALL
from .processes import Watch, linux
from .sandbox import SANDBOX

needs_filter = pytest.mark.skipif(sandbox.FILTER is None, reason="only Linux has all layers")


@pytest.fixture
def _required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUMBSMITH_ISOLATION", "required")


@pytest.fixture
def _unfiltered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every worker report that it can send signals."""
    monkeypatch.setattr(Template, "layers", lambda _: {name: name != "signals" for name in LAYERS})


@linux
@needs_filter
@pytest.mark.usefixtures("_required")
def test_with_all_layers_thumbnails_are_made():
    """The worker that was checked before the first source handles it."""
    watch = Watch()
    with Workers(count=1) as workers:
        (tried,) = watch.templates()
        assert workers.render(BytesReader(picture()), SMALL).renditions
        assert workers.layers() == dict.fromkeys(LAYERS, True)
        assert watch.templates() == [tried]


@pytest.mark.usefixtures("_required", "_unfiltered")
def test_a_worker_that_lacks_a_layer_is_given_no_picture():
    """Every method names the missing layer, and a `with` block closes the workers."""
    watch = Watch()
    workers = Workers(count=1)
    for handle in (workers.start, lambda: workers.render(BytesReader(picture()), SMALL), workers.__enter__):
        with pytest.raises(NotIsolated, match="does not block sending signals: no picture"):
            handle()
    assert watch.templates() == []


@pytest.mark.usefixtures("_required")
def test_the_calling_process_handles_no_picture():
    """It has no isolation."""
    with pytest.raises(NotIsolated, match="render works in the calling process"):
        render(picture(), SMALL)


def _run(folder: Path, *arguments: str, sandbox: bool = True) -> subprocess.CompletedProcess[str]:
    within = [sys.executable, SANDBOX, "refuse", "prctl,seccomp"] if sandbox else []
    return subprocess.run(
        [*within, sys.executable, "-m", "thumbsmith", *arguments],
        env=os.environ | {"THUMBSMITH_ISOLATION": "required"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@linux
@needs_filter
@pytest.mark.parametrize(
    "command",
    [
        ["sync", "photos", "thumbs"],
        ["make", "photos/a.jpg"],
        ["watch", "photos", "thumbs"],
        ["serve", "--port", "0"],
        ["demo"],
        ["doctor"],
    ],
    ids=lambda command: command[0],
)
def test_commands_refuse_before_they_begin(command: list[str], tmp_path: Path):
    """One sentence names what is missing, the exit code is 2, and no thumbnail is written."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(picture())
    done = _run(tmp_path, *command)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "thumbsmith: THUMBSMITH_ISOLATION=required, and this system does not block starting programs"
    )
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.rglob("*small*"))


@linux
@needs_filter
def test_a_command_runs_with_all_layers(tmp_path: Path):
    """No layer is missing here."""
    (tmp_path / "a.jpg").write_bytes(picture())
    assert _run(tmp_path, "make", "a.jpg", sandbox=False).returncode == 0
    assert (tmp_path / "a.jpg.small.webp").exists()


FUNCTION = """
import json
from tests.aws.scene import Context, notification
from thumbsmith.aws.handler import handler
try:
    print(json.dumps(handler(notification("a.jpg"), Context())))
except Exception as error:
    print(json.dumps({"raised": type(error).__name__}))
"""


@linux
@needs_filter
@pytest.mark.parametrize("setting", ["required", ""])
def test_a_function_hands_back_what_it_must_not_handle(setting: str, tmp_path: Path):
    """Under the restrictions of Lambda it raises, so that the messages come again; without the setting it works."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.jpg").write_bytes(picture())
    places = {"THUMBSMITH_SOURCE": str(tmp_path / "src"), "THUMBSMITH_DESTINATION": str(tmp_path / "out")}
    done = subprocess.run(
        [sys.executable, SANDBOX, "refuse", "prctl,seccomp", sys.executable, "-c", FUNCTION],
        env={**os.environ, **places, "THUMBSMITH_ISOLATION": setting},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    *_, answer = lines = [json.loads(line) for line in done.stdout.splitlines()]
    told = [line for line in lines if line.get("event") == "isolation"]
    problems = [line["error"] for line in lines if line.get("event") == "settings"]
    if setting:
        assert (answer, problems) == ({"raised": "NotIsolated"}, ["NotIsolated"])
        assert not (tmp_path / "out").exists()
    else:
        assert len(told) == 1
        assert set(told[0]["open"]) >= {"signals", "programs"}
        assert "files" in told[0]["layers"]
        assert [image["outcome"] for image in answer["images"]] == ["made"]
