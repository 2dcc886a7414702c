"""Thumbsmith on an arm64 kernel, emulated: the processor of most functions and of many servers and boards."""

import json
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.arm64 import image, machine
from tests.corpus import needs_corpus, photos

FOLDER = image.CHECKOUT / ".venv-arm64"
NEEDED = ("apt-get", "dpkg-deb", "tar")
MISSING = [name for name in NEEDED if not shutil.which(name)]
pytestmark = [
    pytest.mark.deep,
    needs_corpus,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="emulates arm64 on x86-64 alone"),
    pytest.mark.skipif(bool(MISSING), reason=f"downloads Debian packages, and there is no {', '.join(MISSING)}"),
]

# The emulator stops by itself: half of this is what an idle machine with two cores needs.
SECONDS = 40 * 60

# An emulated processor takes some 20 times as long as a real one.
RECIPE = "[limits]\nmax_cpu_seconds = 900\n"
SMALL = f"{RECIPE}[variants.small]\nwidth = 256\nheight = 256\n"
PHOTOS = 5


def steps() -> dict[str, list[str]]:
    """Return what the machine runs, by name."""
    variables = ["env", "HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis", "THUMBSMITH_FUNCTION_CODE=/var/task"]
    tests = [
        *variables,
        "/opt/venv/bin/python",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--basetemp",
        "/tmp/tests",
    ]
    return {
        "recipe": ["sh", "-c", f"printf '{RECIPE}' > /tmp/recipe.toml".replace("\n", "\\n")],
        "small recipe": ["sh", "-c", f"printf '{SMALL}' > /tmp/small.toml".replace("\n", "\\n")],
        "doctor": ["thumbsmith", "doctor", "--json"],
        "sync": ["thumbsmith", "sync", "/opt/photos", "/share/thumbnails", "--recipe", "/tmp/recipe.toml", "--json"],
        "small": ["thumbsmith", "sync", "/opt/photos", "/share/small", "--recipe", "/tmp/small.toml", "--json"],
        "conformance": ["thumbsmith", "conformance", "--recipe", "/tmp/recipe.toml"],
        "worker": [*tests, "tests/worker"],
        "function": [*tests, "tests/cloud/test_lambda.py"],
    }


@pytest.fixture(scope="module")
def pictures() -> list[Path]:
    """Return the photographs that are made into thumbnails there, full size."""
    return [photo for photo in photos() if photo.suffix == ".jpg"][:PHOTOS]


@pytest.fixture(scope="module")
def run(pictures: list[Path]) -> Iterator[machine.Run]:
    """Give the run of the machine, which is started once."""
    try:
        made = image.build(FOLDER, pictures, steps())
    except (subprocess.CalledProcessError, LookupError) as problem:
        pytest.skip(f"the machine's disk cannot be made: {problem}: {getattr(problem, 'stderr', '')}"[-2000:])
    return machine.boot(made, FOLDER / "share", SECONDS)


def step(run: machine.Run, name: str) -> machine.Step:
    """Return a step that has ended, and say how the machine ended where it has not."""
    assert name in run.steps, f"the machine did not finish the step {name!r}:\n{run.console[-3000:]}"
    return run.steps[name]


def test_doctor_finds_all_layers(run: machine.Run):
    """The doctor finds every decoder and every layer of isolation."""
    done = step(run, "doctor")
    assert done.code == 0, done.output
    assert json.loads(done.output)["native"]


def test_conformance(run: machine.Run):
    """Every hard picture of the conformance command is right."""
    done = step(run, "conformance")
    assert done.code == 0, done.output


def test_worker_processes(run: machine.Run):
    """The tests of worker processes pass: fork, limits, filter of calls, crashes."""
    done = step(run, "worker")
    assert done.code == 0, done.output[-8000:]


def test_the_function_from_its_zip(run: machine.Run):
    """The function's real zip handles a batch of messages under Lambda's restrictions."""
    done = step(run, "function")
    assert done.code == 0, done.output[-8000:]
    assert "skipped" not in done.output.splitlines()[-1]


@pytest.mark.parametrize(("name", "text", "files"), [("sync", RECIPE, 4), ("small", SMALL, 2)])
def test_photographs_give_the_same_bytes(
    run: machine.Run, pictures: list[Path], tmp_path: Path, name: str, text: str, files: int
):
    """Full-size photographs become the same thumbnails, byte for byte, as on this machine; small ones natively."""
    done = step(run, name)
    assert done.code == 0, done.output
    source, destination, recipe = tmp_path / "photos", tmp_path / "thumbnails", tmp_path / "recipe.toml"
    source.mkdir()
    for picture in pictures:
        shutil.copy2(picture, source)
    recipe.write_text(text)
    command = ["thumbsmith", "sync", str(source), str(destination), "--recipe", str(recipe)]
    subprocess.run([image.CHECKOUT / ".venv/bin/python", "-m", *command], check=True, capture_output=True)
    made = run.files / ("thumbnails" if name == "sync" else name)
    assert contents(made) == contents(destination)
    assert len(contents(destination)) == files * PHOTOS


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files by name, of manifests what does not depend on the file system."""
    return {
        str(path.relative_to(folder)): without_etags(path.read_bytes()) if path.suffix == ".json" else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def without_etags(manifest: bytes) -> bytes:
    """Return a manifest without the etags, which a folder makes of times."""
    content = json.loads(manifest)
    for each in (content["source"], *content["renditions"]):
        del each["etag"]
    return json.dumps(content).encode()
