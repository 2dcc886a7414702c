"""Folders and files that cannot be read, as a user without the rights of root meets them."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pictures import picture

PR_CAPBSET_DROP = 24  # linux/prctl.h
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2  # linux/capability.h


def lose_rights() -> None:
    """Take from root the right to read what permissions forbid; other users never had it."""
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
    """Return a folder of which everything has its thumbnails in `thumbs` beside it."""
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
    """Everything else is done, the counts add up, and nothing below an unreadable folder is deleted."""
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
    """Sources whose thumbnails cannot be listed are failed, not missing; others are judged."""
    thumbs = photos.parent / "thumbs"
    (thumbs / "many").chmod(0)
    shutil.rmtree(photos / "locked/deep")
    ran = run("sync", photos, thumbs, "--json")
    summary = json.loads(ran.stdout.splitlines()[-1])
    assert ran.returncode == 1
    assert (summary["sources"], summary["failed"], summary["fresh"]) == (14, 12, 2)
    assert not (thumbs / "locked/deep").exists()


def test_a_folder_of_links_explains_that_links_are_not_followed(photos):
    """Zero sources are explained with the number of links."""
    links = photos.parent / "links"
    links.mkdir()
    (links / "a.jpg").symlink_to(photos / "a.jpg")
    thumbs = photos.parent / "other"
    assert "1 symbolic link" in run("sync", links, thumbs).stderr
    assert "links are not followed" in run("explain", links, "a.jpg", thumbs).stdout
