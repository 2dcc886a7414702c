"""The command as a process: version, help, signals, pipes, and two at the same time."""

import json
import os
import re
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.pictures import picture

COMMAND = [sys.executable, "-m", "thumbsmith"]


def _run(*arguments: str, cwd: Path, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, check=False, **options
    )


def _photos(folder: Path, count: int, size: tuple[int, int] = (60, 40)) -> None:
    (folder / "photos").mkdir()
    for number in range(count):
        (folder / "photos" / f"{number:03}.jpg").write_bytes(picture(f"#0000{number:02x}", size))


def test_version(tmp_path: Path):
    """--version prints the installed version."""
    assert _run("--version", cwd=tmp_path).stdout == f"thumbsmith {version('thumbsmith')}\n"


PRINTING = "import atexit, sys; atexit.register(lambda: print(*sys.modules, sep='\\n')); "
MAIN = "from thumbsmith.cli import main; main()"


@pytest.mark.parametrize(
    ("arguments", "needed", "unneeded"),
    [
        ("--version", "thumbsmith.cli", "click thumbsmith.recipe subprocess importlib.metadata"),
        ("--help", "thumbsmith.cli.app", "thumbsmith.recipe thumbsmith.cli.sync thumbsmith.store subprocess rich"),
        ("make photo.jpg", "thumbsmith.cli.make", "thumbsmith.bulk.scan thumbsmith.recipe.load"),
        ("plan photos thumbs", "thumbsmith.bulk.scan", "subprocess thumbsmith.bulk.sync"),
        ("sync photos thumbs", "thumbsmith.bulk.sync", "thumbsmith.backfill thumbsmith.cli.watch"),
    ],
)
def test_a_command_loads_what_it_needs(tmp_path: Path, arguments: str, needed: str, unneeded: str):
    """No command loads the modules of other commands, an image library, or what only terminals and mistakes need."""
    (tmp_path / "photo.jpg").write_bytes(picture())
    (tmp_path / "photos").mkdir()
    command = [sys.executable, "-c", PRINTING + MAIN, *arguments.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    loaded = set(done.stdout.splitlines())
    assert done.returncode == 0, done.stderr
    assert needed in loaded
    libraries = {"PIL", "_libvips", "botocore", "starlette", "rich", "pydantic"}
    others = {"thumbsmith.cli.conformance", "thumbsmith.cli.serve", "thumbsmith.cli.mistakes"}
    assert not loaded & {*libraries, *others, *unneeded.split()}


def test_a_mistyped_command_is_guessed(tmp_path: Path):
    """A mistyped command gives the nearest name and exit code 2."""
    ran = _run("snyc", cwd=tmp_path)
    assert (ran.returncode, "did you mean sync?" in ran.stderr) == (2, True)


@pytest.mark.parametrize("command", ["make", "plan", "sync", "demo"])
def test_every_command_has_help_with_examples(command: str, tmp_path: Path):
    """--help of each command ends with code 0 and shows an example."""
    ran = _run(command, "--help", cwd=tmp_path, env={**os.environ, "COLUMNS": "120"})
    assert ran.returncode == 0
    assert "Examples" in ran.stdout
    assert f"thumbsmith {command} " in ran.stdout


def test_no_command_is_help(tmp_path: Path):
    """Without a command, the help lists the commands."""
    ran = _run(cwd=tmp_path)
    assert "sync" in ran.stdout + ran.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_finishes_the_pictures_being_made(number: signal.Signals, tmp_path: Path):
    """A signal gives exit code 130, reported thumbnails are complete, and the next run makes the rest."""
    _photos(tmp_path, 60, (1500, 1000))
    arguments = [*COMMAND, "sync", "photos", "thumbs", "--json", "--jobs", "1"]
    with subprocess.Popen(
        arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        first = process.stdout.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "stopping: finishing the images in progress, for at most 2 seconds" in err
    *sources, summary = map(json.loads, [first, *out.splitlines()])
    assert summary["event"] == "summary"
    done = [each for each in sources if each["outcome"] == "made"]
    assert 1 <= len(done) < 60
    assert all("stopped" in each["detail"] or "closed" in each["detail"] for each in sources if each not in done)
    for each in done:
        assert len(list((tmp_path / "thumbs" / each["key"]).iterdir())) == 4
    rest = _run("sync", "photos", "thumbs", cwd=tmp_path)
    assert f"60 sources: {60 - len(done)} made, {len(done)} fresh" in rest.stdout


def test_a_killed_sync_leaves_nothing_that_the_next_does_not_mend(tmp_path: Path):
    """After kill -9, the next run makes all thumbnails and leaves no temporary file."""
    _photos(tmp_path, 20, (1500, 1000))
    arguments = [*COMMAND, "sync", "photos", "thumbs", "--json"]
    with subprocess.Popen(
        arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        process.kill()
    assert _run("sync", "photos", "thumbs", cwd=tmp_path).returncode == 0
    files = [path.name for path in (tmp_path / "thumbs").rglob("*") if path.is_file()]
    assert len(files) == 20 * 4
    assert not [name for name in files if name.startswith(".")]


def test_two_at_once_do_no_harm(tmp_path: Path):
    """Two syncs of the same folders at the same time succeed, and all thumbnails are correct."""
    _photos(tmp_path, 25)
    arguments = [*COMMAND, "sync", "photos", "thumbs"]
    both = [subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    assert "25 sources: 0 made, 25 fresh" in _run("sync", "photos", "thumbs", cwd=tmp_path).stdout


def test_a_closed_pipe_is_no_traceback(tmp_path: Path):
    """`thumbsmith plan --json | head -1` ends without a message."""
    _photos(tmp_path, 200)
    command = f"{sys.executable} -m thumbsmith plan photos thumbs --json | head -1"
    ran = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert len(ran.stdout.splitlines()) == 1
    assert ran.stderr == ""


def test_an_unwritable_destination_is_told(tmp_path: Path):
    """A destination that is not writable gives exit code 2 and one sentence before an image is decoded."""
    _photos(tmp_path, 2)
    thumbs = tmp_path / "thumbs"
    if os.geteuid() == 0:  # root may write to any folder but those of the kernel
        thumbs = Path("/sys/thumbs")
    else:
        thumbs.mkdir(mode=0o555)
    ran = _run("sync", "photos", str(thumbs), cwd=tmp_path)
    assert ran.returncode == 2, ran
    (sentence,) = ran.stderr.splitlines()
    refusal = "(Permission denied|Operation not permitted|Read-only file system)"
    assert re.search(f"nothing can be written there: {refusal}", sentence), sentence
    assert not any(thumbs.rglob("*"))


def test_a_full_destination_is_told_and_mended(tmp_path: Path):
    """A full disk gives exit code 1, a sentence for each source, and no temporary file; later the rest is made."""
    thumbs = tmp_path / "thumbs"
    thumbs.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", thumbs], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system can only be mounted by root")
    try:
        _photos(tmp_path, 12)
        ran = _run("sync", "photos", "thumbs", cwd=tmp_path)
        assert ran.returncode == 1
        assert all(
            re.fullmatch(r"failed .*(No space left on device|not tried: .*)", each) for each in ran.stderr.splitlines()
        )
        assert not list(thumbs.rglob(".*"))
        subprocess.run(["mount", "-o", "remount,size=4m", thumbs], check=True)
        assert _run("sync", "photos", "thumbs", cwd=tmp_path).returncode == 0
        assert len([path for path in thumbs.rglob("*") if path.is_file()]) == 48
    finally:
        subprocess.run(["umount", thumbs], check=True)
