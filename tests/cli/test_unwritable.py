"""Folders that are not writable are reported once, before an image is decoded, by each command that writes."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.pictures import picture
from tests.store.contract import HEADERS
from thumbsmith.errors import StoreError
from thumbsmith.store import open_store


def _mounted(*arguments: str) -> None:
    if os.geteuid() != 0 or subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode:
        pytest.skip("mounts need rights that this process does not have")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Return a folder for a mount, which is unmounted at the end."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    yield folder
    while os.path.ismount(folder):
        subprocess.run(["umount", folder], check=True)


def _read_only(folder: Path) -> str:
    _mounted("-t", "tmpfs", "none", str(folder))
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    return "Read-only file system"


def _full(folder: Path) -> str:
    _mounted("-t", "tmpfs", "-o", "size=16k", "none", str(folder))
    return "No space left on device"


def _below_a_file(folder: Path) -> str:
    folder.rmdir()
    folder.touch()
    return "Not a directory|found a file"


WAYS = pytest.mark.parametrize("spoil", [_read_only, _full, _below_a_file])


@WAYS
@pytest.mark.parametrize(
    "arguments",
    [
        "sync photos DST",
        "sync photos DST/new/folder",
        "watch photos DST",
        "make photos/a.jpg photos/b.jpg -o DST",
        "make photos/a.jpg -o DST/new",
        "serve --root DST --port 0",
    ],
)
def test_it_is_reported_before_a_picture_is_decoded(
    thumbsmith: Command, place: Path, spoil: Callable[[Path], str], arguments: str
):
    """Exit code 2, one sentence with the reason, and no line about an image."""
    words = spoil(place)
    ran = thumbsmith(*arguments.replace("DST", str(place)).split())
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert re.search(words, ran.err)


@WAYS
def test_the_demo_reports_it(thumbsmith: Command, place: Path, spoil: Callable[[Path], str]):
    """The demo reports a working folder that is not writable, and exits with 2."""
    words = spoil(place)
    Path("thumbsmith-demo").symlink_to(place)
    ran = thumbsmith("demo")
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert re.search(words, ran.err)


def test_beside_an_image_in_a_read_only_folder(thumbsmith: Command, place: Path):
    """Without -o, make checks the folder of each image."""
    _mounted("-t", "tmpfs", "none", str(place))
    (place / "a.jpg").write_bytes(picture())
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    ran = thumbsmith("make", "photos/b.jpg", place / "a.jpg")
    assert (ran.code, "Read-only file system" in ran.err) == (2, True)
    assert not list(Path("photos").glob("*.webp"))


def test_nothing_to_make_needs_no_writing(thumbsmith: Command, place: Path):
    """A destination that is up to date may be read-only: exit code 0."""
    _mounted("-t", "tmpfs", "none", str(place))
    assert thumbsmith("sync", "photos", place).code == 0
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    assert thumbsmith("sync", "photos", place).code == 0


def test_a_full_disk_still_lets_thumbnails_be_deleted(thumbsmith: Command, place: Path):
    """If nothing is to be made, thumbnails are deleted even on a full disk."""
    _mounted("-t", "tmpfs", "-o", "size=1m", "none", str(place))
    assert thumbsmith("sync", "photos", place).code == 0
    with pytest.raises(OSError, match="No space"):
        (place / "fill").write_bytes(bytes(1 << 20))
    Path("photos/a.jpg").unlink()
    ran = thumbsmith("sync", "photos", place, "--json")
    assert (ran.code, ran.summary["deleted"]) == (0, 4)


def test_a_full_disk_does_not_refuse_what_frees_space(thumbsmith: Command, place: Path):
    """Deletions come first. Then sources without room fail (exit code 1), and others are made (0)."""
    _mounted("-t", "tmpfs", "-o", "size=2m", "none", str(place))
    assert thumbsmith("sync", "photos", place).code == 0
    Path("photos/a.jpg").rename("photos/new.jpg")
    (place / "fill").write_bytes(bytes(_free(place)))
    ran = thumbsmith("sync", "photos", place, "--json")
    assert (ran.code, ran.summary["deleted"], ran.summary["failed"]) == (1, 4, 1)
    (place / "fill").unlink()
    ran = thumbsmith("sync", "photos", place, "--json")
    assert (ran.code, ran.summary["made"]) == (0, 1)


SIX = "".join(f"[variants.v{number}]\nwidth = {64 * number}\nfit = 'inside'\n" for number in range(1, 7))


@pytest.mark.parametrize("added", ["", "[variants.added]\nwidth = 20\n"])
def test_a_removed_variant_frees_a_full_disk(thumbsmith: Command, place: Path, added: str):
    """Thumbnails of a variant that the recipe no longer has are deleted on a full disk, and the rest is made."""
    _mounted("-t", "tmpfs", "-o", "size=2m", "none", str(place))
    Path("thumbsmith.toml").write_text(SIX)
    assert thumbsmith("sync", "photos", place).code == 0
    kept = SIX.rpartition("[variants.v4]")[0]
    Path("thumbsmith.toml").write_text(kept + added)
    (place / "fill").write_bytes(bytes(_free(place)))
    assert _free(place) == 0
    ran = thumbsmith("sync", "photos", place, "--json")
    assert ran.code == 0, ran.err
    assert ran.summary["deleted"] == 3 * ran.summary["made"]
    assert not list(place.rglob("v6*"))
    assert bool(added) == bool(list(place.rglob("added*")))


def test_a_removed_variant_does_not_hide_that_a_disk_is_read_only(thumbsmith: Command, place: Path):
    """Where nothing can be deleted either, one sentence and exit code 2 remain."""
    _mounted("-t", "tmpfs", "none", str(place))
    Path("thumbsmith.toml").write_text(SIX)
    assert thumbsmith("sync", "photos", place).code == 0
    Path("thumbsmith.toml").write_text(SIX.rpartition("[variants.v6]")[0])
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    ran = thumbsmith("sync", "photos", place)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)


def _free(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="root keeps its capabilities without setpriv")
def test_a_user_without_permission(thumbsmith: Command):
    """A folder without write permission gives exit code 2 and one sentence. Root is tested without capabilities."""
    Path("thumbs").mkdir(mode=0o555)
    drop = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    command = [*drop, sys.executable, "-m", "thumbsmith", "sync", "photos", "thumbs"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
    assert ran.stderr.endswith("thumbs: nothing can be written there: Permission denied\n")
    assert len(ran.stderr.splitlines()) == 1


def test_trying_leaves_nothing(tmp_path: Path):
    """The check of a writable folder leaves it empty, and creates a missing one."""
    store = open_store(tmp_path / "new" / "folder").as_destination()
    store.check_writable()
    assert list(Path(store.url).iterdir()) == []
    store.put("a.jpg", b"1", HEADERS)
    store.check_writable()


def test_a_root_that_is_a_file(tmp_path: Path):
    """A file instead of the folder is a permanent error, since a retry does not help."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file: nothing can be written there: Not a directory") as raised:
        open_store(tmp_path / "file").check_writable()
    assert not raised.value.transient
