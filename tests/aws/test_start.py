"""The function as Lambda loads it: loaded modules, reports about settings, and missing system features."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pictures import picture
from tests.reconcile.scene import HEADERS
from thumbsmith import open_store

HERE = Path(__file__).parents[2]
NO_FILES = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}

CALLED = """
import json, sys
from tests.aws.scene import Context, notification
from thumbsmith.aws.handler import handler
for _ in range(2):
    try:
        print(json.dumps({"answer": handler(notification("a.jpg"), Context())}))
    except Exception as error:
        print(json.dumps({"raised": type(error).__name__, "sentence": str(error)}))
"""

LOADED = """
import sys
import thumbsmith.aws.handler
print("\\n".join(["", *sys.modules]))
"""

WITHOUT = """
import multiprocessing.synchronize  # imported, so that only its use fails
import _multiprocessing, os
class NoSemaphores:
    def __init__(self, *_): raise OSError(38, "Function not implemented")
_multiprocessing.SemLock = NoSemaphores
opened = os.open
def guarded(path, *rest, **more):
    assert not str(path).startswith("/dev/shm"), path
    return opened(path, *rest, **more)
os.open = guarded
"""


def python(code: str, *, measured: bool = True, **settings: str) -> str:
    """Return the output of a fresh interpreter that runs this code with these settings as its only environment.

    Its coverage is measured, which loads modules, unless `measured` is False.
    """
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-central-1"}
    coverage = {name: value for name, value in os.environ.items() if measured and name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=keys | coverage | settings,
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout


def called(**settings: str) -> list[dict[str, Any]]:
    """Return the log lines of a function that is called twice for a.jpg, without those of isolation and metrics."""
    return parsed(python(CALLED, **settings))


def parsed(printed: str) -> list[dict[str, Any]]:
    """Return the lines of a log, without those of isolation and metrics."""
    lines = [json.loads(line) for line in printed.splitlines()]
    return [line for line in lines if line.get("event") not in {"isolation", "metrics"}]


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    """Return settings for two folders; the first contains a.jpg."""
    open_store(tmp_path / "src").put("a.jpg", picture(), HEADERS)
    return {"THUMBSMITH_SOURCE": str(tmp_path / "src"), "THUMBSMITH_DESTINATION": f"file://{tmp_path}/dst"}


def test_it_makes_thumbnails(folders: dict[str, str], tmp_path: Path):
    """With source and destination in the environment, it makes thumbnails by the default recipe."""
    made, first, fresh, second = called(**folders)
    assert (made["outcome"], fresh["outcome"]) == ("made", "fresh")
    assert first["answer"]["images"][0]["outcome"] == "made"
    assert second["answer"]["images"][0]["outcome"] == "fresh"
    names = {path.name for path in (tmp_path / "dst" / "a.jpg").iterdir()}
    assert {"icon.webp", "small.webp", "large.webp", "manifest.json"} <= names


def test_without_shared_memory(folders: dict[str, str]):
    """It works without /dev/shm and semaphores, which Lambda does not have."""
    _, first, *_ = parsed(python(WITHOUT + CALLED, **folders))
    assert first["answer"]["images"][0]["outcome"] == "made"


def test_what_is_loaded():
    """It loads no command, construct, image library, botocore, folder store or third-party package."""
    settings = {"THUMBSMITH_SOURCE": "s3://source", "THUMBSMITH_DESTINATION": "s3://destination"}
    lambdas = {"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13", "AWS_SESSION_TOKEN": "t"}
    loaded = python(LOADED, measured=False, **settings, **lambdas, **NO_FILES).splitlines()[2:]
    ours = {name.removeprefix("thumbsmith.") for name in loaded if name.startswith("thumbsmith.")}
    assert not {name.partition(".")[0] for name in ours} & {"cli", "cdk", "web", "bulk", "backfill"}
    assert not {name for name in ours if name.startswith(("image.decode", "image.encode"))} | ours & {"image.render"}
    assert "store.s3_direct" in ours
    assert not ours & {"store.s3_botocore", "store.folder"}
    others = {name.partition(".")[0] for name in loaded} - {"thumbsmith", "__main__"}
    assert {name for name in others - {*sys.stdlib_module_names} if not name.startswith("_")} <= {"a1_coverage"}
    assert not others & {"multiprocessing", "asyncio", "sqlite3", "tomllib"}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"THUMBSMITH_SOURCE": ""}, "THUMBSMITH_SOURCE: expected s3://BUCKET/PREFIX, found nothing"),
        ({"THUMBSMITH_DESTINATION": "ftp://b"}, "ftp:// is no known store"),
        (
            {"THUMBSMITH_SOURCE": "s3://b/a", "THUMBSMITH_DESTINATION": "s3://b/a/thumbs"},
            "source s3://b/a/ and destination s3://b/a/thumbs/ overlap",
        ),
        ({"THUMBSMITH_RECIPE": "[variants.a]\nwidht = 3"}, "THUMBSMITH_RECIPE: [variants.a]"),
        ({"THUMBSMITH_RECIPE": "missing.toml", "LAMBDA_TASK_ROOT": "/var/task"}, "/var/task/missing.toml: expected"),
    ],
)
def test_invalid_settings(settings: dict[str, str], sentence: str, folders: dict[str, str]):
    """An error in the settings is logged once when the function loads, and raised by every call."""
    logged, *calls = called(**(folders | NO_FILES | settings))
    assert (logged["event"], logged["level"]) == ("settings", "ERROR")
    assert logged["detail"].startswith(sentence)
    assert "\n" not in logged["detail"]
    assert calls == [{"raised": logged["error"], "sentence": logged["detail"]}] * 2


def test_the_recipe_beside_the_code(folders: dict[str, str], tmp_path: Path):
    """A relative path starts at the function's folder, whose thumbsmith.toml is the default recipe."""
    (tmp_path / "thumbsmith.toml").write_text("[variants.one]\nwidth = 8\n")
    (tmp_path / "two.toml").write_text("[variants.two]\nwidth = 8\n")
    for setting, name in (("", "one.webp"), ("two.toml", "two.webp"), ("[variants.three]\nwidth = 8", "three.webp")):
        called(**folders, THUMBSMITH_RECIPE=setting, LAMBDA_TASK_ROOT=str(tmp_path))
        assert (tmp_path / "dst" / "a.jpg" / name).exists()
