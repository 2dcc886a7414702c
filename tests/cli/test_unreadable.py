"""Folders and files that cannot be read, for a user who is not root."""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.pictures import picture

PR_CAPBSET_DROP = 24  # linux/prctl.h
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2  # linux/capability.h


def lose_rights() -> None:
    """Drop root's right to read files against their permissions."""
    if os.geteuid() == 0:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command without these rights."""
    command = [sys.executable, "-m", "thumbsmith", *map(str, arguments)]
    return subprocess.run(command, preexec_fn=lose_rights, capture_output=True, text=True, check=False)


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with thumbnails of all its images in `thumbs` next to it."""
    root = tmp_path / "photos"
    for name in ("a.jpg", "locked/b.jpg", "locked/deep/c.jpg", *(f"many/{number}.jpg" for number in range(12))):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(picture("#102030"))
    assert run("sync", root, tmp_path / "thumbs").returncode == 0
    yield root
    for folder, _, _ in os.walk(tmp_path):
        Path(folder).chmod(0o755)
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                Path(entry).chmod(0o755)


def test_what_cannot_be_read_fails_alone_and_keeps_its_thumbnails(photos):
    """The rest is done, the counts add up, and nothing below an unreadable folder is deleted."""
    thumbs = photos.parent / "thumbs"
    (photos / "new.jpg").write_bytes(picture("#405060"))
    (photos / "locked").chmod(0)
    for file in (photos / "many").iterdir():
        file.chmod(0)
    for command in ("plan", "sync"):
        ran = run(command, photos, thumbs, "--json")
        *events, summary = map(json.loads, ran.stdout.splitlines())
        assert ran.returncode == 1
        assert (summary["sources"], summary["failed"], summary["fresh"]) == (15, 13, 1)
        assert "locked/" in {event["key"] for event in events}
    assert summary["made"] == 1
    assert summary["deleted"] == 0
    assert (thumbs / "locked/deep/c.jpg/manifest.json").exists()
    assert run("explain", photos, "locked/b.jpg", thumbs).returncode == 1


def test_each_message_names_the_key_once(photos):
    """Sync, plan and make name an unreadable file and the reason once, and make continues."""
    (photos / "many/3.jpg").chmod(0)
    for command in ("sync", "plan"):
        ran = run(command, photos, photos.parent / "thumbs")
        line = next(line for line in (ran.stdout + ran.stderr).splitlines() if "many/3.jpg" in line)
        assert line.count("many/3.jpg") == 1
        assert line.endswith("many/3.jpg: Permission denied")
    ran = run("make", photos / "many/3.jpg", photos / "a.jpg", "-o", photos.parent / "made")
    assert (ran.returncode, ran.stderr) == (1, f"{photos}/many/3.jpg: Permission denied\n")
    assert (photos.parent / "made/a.jpg.small.webp").exists()


def test_explain_says_that_a_file_cannot_be_read(photos):
    """An unreadable file is reported, also without a manifest or with another size."""
    thumbs = photos.parent / "thumbs"
    for name in ("a.jpg", "new.jpg", "many/1.jpg"):
        (photos / name).write_bytes(picture("#405060", (99, 77)))
        (photos / name).chmod(0)
        ran = run("explain", photos, name, thumbs, "--json")
        assert (ran.returncode, json.loads(ran.stdout)["state"]) == (1, "failed")
        assert ran.stderr == f"thumbsmith: {name}: it cannot be read: Permission denied\n"


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o444])
def test_a_folder_fails_once(photos, mode: int):
    """A folder that cannot be listed or entered is one failure, and its thumbnails are kept."""
    (photos / "locked").chmod(mode)
    ran = run("sync", photos, photos.parent / "thumbs", "--json")
    *events, summary = map(json.loads, ran.stdout.splitlines())
    assert [event["key"] for event in events if event["outcome"] == "failed"] == ["locked/"]
    assert (ran.returncode, summary["sources"], summary["deleted"]) == (1, 14, 0)


def test_a_root_that_cannot_be_entered(photos):
    """A source that cannot be entered is refused: exit code 2, and one sentence."""
    photos.chmod(0o444)
    ran = run("plan", photos, photos.parent / "thumbs")
    photos.chmod(0o755)
    assert (ran.returncode, ran.stderr) == (2, f"thumbsmith: {photos}: Permission denied\n")


def test_watch_reports_once_and_recovers(photos):
    """Watch reports an unreadable folder and file once, and makes thumbnails when they become readable."""
    thumbs, report = photos.parent / "thumbs", photos.parent / "report"
    (photos / "locked/new.jpg").write_bytes(picture("#405060"))
    (photos / "locked").chmod(0)
    (photos / "a.jpg").chmod(0)
    with report.open("w") as stderr, (photos.parent / "out").open("w") as stdout:
        command = [sys.executable, "-m", "thumbsmith", "watch", photos, thumbs]
        watch = subprocess.Popen(command, preexec_fn=lose_rights, stdout=stdout, stderr=stderr)  # noqa: PLW1509 - no threads
        _wait(lambda: (photos.parent / "out").read_text().count(" sources: ") >= 3)
        (photos / "while.jpg").write_bytes(picture("#708090"))
        _wait((thumbs / "while.jpg/manifest.json").exists)
        (photos / "locked").chmod(0o755)
        _wait((thumbs / "locked/new.jpg/manifest.json").exists)
        watch.send_signal(signal.SIGINT)
        assert watch.wait() == 130
    lines = report.read_text().splitlines()
    assert [line for line in lines if line.startswith("failed")] == [
        "failed a.jpg: Permission denied",
        "failed locked/: Permission denied",
    ]


def test_serve_reports_once_and_recovers(photos):
    """Serve works for other images, logs an unreadable one once, and makes it when it becomes readable."""
    root = photos.parent / "root"
    (root / "sources").parent.mkdir()
    photos.rename(root / "sources")
    (root / "sources/locked").chmod(0)
    (root / "sources/a.jpg").chmod(0)
    command = [sys.executable, "-m", "thumbsmith", "serve", "--root", root, "--port", "0"]
    with (photos.parent / "log").open("w") as log:
        server = subprocess.Popen(command, preexec_fn=lose_rights, stderr=log)  # noqa: PLW1509 - no threads
        _wait(lambda: "http://" in (photos.parent / "log").read_text())
        address = (photos.parent / "log").read_text().split("/ serves")[0]
        with httpx.Client(base_url=address, timeout=60) as client:
            assert client.get("/images/many%2F1.jpg?wait=30").status_code == 200
            _wait(lambda: client.get("/images/a.jpg?wait=5").status_code == 500)
            assert client.get("/images/a.jpg").status_code == 500
            assert client.get("/images").status_code == 200
            (root / "sources/locked").chmod(0o755)
            (root / "sources/a.jpg").chmod(0o644)
            _wait(lambda: client.get("/images/a.jpg?wait=5").status_code == 200)
            _wait(lambda: client.get("/images/locked%2Fb.jpg?wait=5").status_code == 200)
        server.terminate()
        assert server.wait() == 130
    lines = (photos.parent / "log").read_text().splitlines()
    assert sorted(line for line in lines if line.startswith("failed")) == [
        "failed 'a.jpg': Permission denied",
        "failed 'locked/': Permission denied",
    ]


def _wait(until: Callable[[], bool]) -> None:
    """Wait until the condition is true; fail after two minutes."""
    end = time.monotonic() + 120
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_folders_that_cannot_hold_sources_are_not_entered(photos):
    """Hidden, system and excluded folders that cannot be read are no failures."""
    for name in ("lost+found", "sub/@eaDir", "$RECYCLE.BIN", ".hidden", "private"):
        (photos / name).mkdir(parents=True)
        (photos / name).chmod(0)
    recipe = photos.parent / "recipe.toml"
    recipe.write_text('[source]\nexclude = ["private/**"]\n')
    ran = run("sync", photos, photos.parent / "thumbs", "--recipe", recipe)
    assert ran.returncode == 0, ran.stderr


def test_an_unreadable_folder_of_thumbnails_fails_its_sources_alone(photos):
    """Sources whose thumbnails cannot be listed fail; others have their state."""
    thumbs = photos.parent / "thumbs"
    (thumbs / "many").chmod(0)
    shutil.rmtree(photos / "locked/deep")
    ran = run("sync", photos, thumbs, "--json")
    summary = json.loads(ran.stdout.splitlines()[-1])
    assert ran.returncode == 1
    assert (summary["sources"], summary["failed"], summary["fresh"]) == (14, 12, 2)
    assert not (thumbs / "locked/deep").exists()


def test_a_folder_of_links_explains_that_links_are_not_followed(photos):
    """A source without files is explained by its number of links."""
    links = photos.parent / "links"
    links.mkdir()
    (links / "a.jpg").symlink_to(photos / "a.jpg")
    thumbs = photos.parent / "other"
    assert "1 symbolic link" in run("sync", links, thumbs).stderr
    for command in ("plan", "sync"):
        summary = json.loads(run(command, links, thumbs, "--json").stdout.splitlines()[-1])
        assert (summary["sources"], summary["links"]) == (0, 1)
    assert "links are not followed" in run("explain", links, "a.jpg", thumbs).stdout
