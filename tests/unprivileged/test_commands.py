"""The commands for a user without rights: isolation is complete, and what may not be read or written is reported."""

import json
import os
import queue
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.pictures import picture
from tests.unprivileged.conftest import SECONDS, User
from thumbsmith.worker import sandbox
from thumbsmith.worker.isolation import LAYERS

REQUIRED = {"THUMBSMITH_ISOLATION": "required"}
REFUSAL = "(nothing can be written there|expected a folder to write to, found|locked[a-z/]*): Permission denied"

confined = pytest.mark.skipif(sandbox.FILTER is None, reason="only Linux on x86-64 and arm64 has all layers")


def lines_of(process: subprocess.Popen[str]) -> Iterator[str]:
    """Yield the lines of stdout; a line that does not come fails the test. A process may have only one such reader."""
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda: [lines.put(line) for line in process.stdout], daemon=True).start()
    while True:
        yield lines.get(timeout=SECONDS)


def events(ran: subprocess.CompletedProcess[str]) -> tuple[dict[str, str], dict[str, int]]:
    """Return the outcome of each source, and the summary."""
    *sources, summary = map(json.loads, ran.stdout.splitlines())
    outcomes = (event for event in sources if event["event"] == "source")  # plan says state instead
    return {event["key"]: event.get("outcome") or event["state"] for event in outcomes}, summary


def made(folder: Path) -> set[str]:
    """Return the sources that have a manifest."""
    return {path.parent.relative_to(folder).as_posix() for path in folder.rglob("manifest.json")}


def test_the_user_has_no_rights(user: User):
    """The commands of these tests do not run as root, and may not read what permissions forbid."""
    (user.folder / "photos/a.jpg").chmod(0)
    ran = user.program("/bin/sh", "-c", "id -u; cat photos/a.jpg")
    assert ran.stdout.strip() not in {"", "0"}
    assert "Permission denied" in ran.stderr


@confined
def test_every_layer_of_isolation_holds(user: User):
    """Doctor finds all layers active, and runs where they are required."""
    ran = user.run("doctor", "--json", environment=REQUIRED)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["isolation"] == dict.fromkeys(LAYERS, True)


@confined
@pytest.mark.parametrize("home", ["home", "missing", "/proc"])
def test_a_folder_is_kept_up_to_date(user: User, home: str):
    """Isolated workers make all thumbnails, none twice: also where the user has no home for a cache."""
    environment = {**REQUIRED, "HOME": str(user.folder / home)}
    first = user.run("sync", "photos", "thumbs", "--json", environment=environment)
    assert (first.returncode, first.stderr) == (0, "")
    assert (events(first)[1]["made"], events(first)[1]["renditions"]) == (5, 15)
    again = user.run("sync", "photos", "thumbs", "--json", environment=environment)
    assert (again.returncode, events(again)[1]["fresh"]) == (0, 5)


@confined
def test_the_demo_runs(user: User):
    """The demo makes the thumbnails of its eight samples."""
    ran = user.run("demo", environment=REQUIRED)
    assert ran.returncode == 0, ran.stderr
    assert len(made(user.folder / "thumbsmith-demo/thumbnails")) == 8


def test_what_cannot_be_read_is_reported_and_keeps_its_thumbnails(user: User):
    """A folder that cannot be listed, one that cannot be entered, and a file: the rest is made, nothing is deleted."""
    assert user.run("sync", "photos", "thumbs").returncode == 0
    before = made(user.folder / "thumbs")
    photos = user.folder / "photos"
    for name in ("new.jpg", "closed/f.jpg"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_bytes(picture())
    for name, mode in (("a.jpg", 0), ("locked", 0), ("closed", 0o444)):
        (photos / name).chmod(mode)
    for command in ("plan", "sync"):
        ran = user.run(command, "photos", "thumbs", "--json")
        outcomes, summary = events(ran)
        assert ran.returncode == 1
        refused = {key for key in outcomes if outcomes[key] == "failed"}
        assert refused >= {"a.jpg", "locked/"}
        assert any(key.startswith("closed/") for key in refused)
        assert not any(key.startswith("locked/") and outcomes[key] != "failed" for key in outcomes)
        assert summary.get("deleted", 0) == summary.get("orphaned", 0) == 0
    assert summary["made"] == 1
    assert made(user.folder / "thumbs") == before | {"new.jpg"}


@pytest.mark.parametrize("refused", ["photos/a.jpg", "photos/locked/c.jpg"])
def test_one_image_that_cannot_be_read_fails_alone(user: User, refused: str):
    """Make reports it, makes the thumbnails of the others, and ends with exit code 1."""
    (user.folder / "photos/a.jpg").chmod(0)
    (user.folder / "photos/locked").chmod(0)
    ran = user.run("make", refused, "photos/sub/b.jpg", "-o", "out")
    assert ran.returncode == 1
    assert re.fullmatch(rf"{refused}: .*Permission denied\n", ran.stderr)
    assert {path.name for path in (user.folder / "out").iterdir()} == {
        f"b.jpg.{variant}.webp" for variant in ("icon", "small", "large")
    }


def test_a_name_like_a_thumbnail_in_a_folder_that_cannot_be_entered(user: User):
    """It cannot be checked whether it is a thumbnail; the others are made."""
    (user.folder / "photos/locked").chmod(0)
    ran = user.run("make", "photos/locked/x.webp.small.webp", "photos/sub/b.jpg", "-o", "out")
    assert (ran.returncode, len(list((user.folder / "out").iterdir()))) == (0, 3), ran.stderr
    assert "skipped" in ran.stderr


@pytest.mark.parametrize("place", ["full", "full/new", "locked", "locked/new", "locked/new/folder"])
@pytest.mark.parametrize(
    "arguments",
    [
        "sync photos/sub PLACE --json",
        "watch photos/sub PLACE --json",
        "make photos/a.jpg -o PLACE",
        "serve --root PLACE --port 0",
    ],
)
def test_a_destination_that_cannot_be_written_to(user: User, arguments: str, place: str):
    """Exit code 2 and one sentence before anything is decoded: root could write there."""
    (user.folder / "full").mkdir(mode=0o555)
    (user.folder / "locked").mkdir(mode=0)
    ran = user.run(*arguments.replace("PLACE", place).split())
    assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert re.search(REFUSAL, ran.stderr)


def test_the_demo_in_a_folder_that_cannot_be_written_to(user: User):
    """The demo writes below the working folder: exit code 2 and one sentence."""
    (user.folder / "full").mkdir(mode=0o555)
    ran = user.run("demo", folder=user.folder / "full")
    assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (2, "", 1)
    assert re.search(REFUSAL, ran.stderr)


def test_images_beside_which_nothing_can_be_written(user: User):
    """Without -o make writes beside the image: exit code 2 before anything is decoded."""
    (user.folder / "photos/sub").chmod(0o555)
    ran = user.run("make", "photos/a.jpg", "photos/sub/b.jpg")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert re.search(REFUSAL, ran.stderr)
    assert not list((user.folder / "photos").glob("*.webp"))


@pytest.mark.parametrize("command", ["sync", "plan", "watch"])
def test_a_source_that_cannot_be_read_at_all(user: User, command: str):
    """One sentence with the folder, exit code 2, and the thumbnails stay."""
    assert user.run("sync", "photos", "thumbs").returncode == 0
    before = made(user.folder / "thumbs")
    for mode in (0, 0o111):
        (user.folder / "photos").chmod(mode)
        ran = user.run(command, "photos", "thumbs", "--json")
        assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (2, "", 1)
        assert "photos: Permission denied" in ran.stderr
    assert made(user.folder / "thumbs") == before


def test_a_recipe_that_cannot_be_read_is_not_replaced_by_the_default(user: User):
    """A recipe that is named, or is in a working folder that may not be entered: exit code 2, nothing is made."""
    closed = user.folder / "closed"
    closed.mkdir()
    recipe = closed / "thumbsmith.toml"
    recipe.write_text("[variants.tiny]\nwidth = 8\n")
    places = [str(user.folder / name) for name in ("photos", "thumbs")]
    recipe.chmod(0)
    for arguments, environment in ((["--recipe", str(recipe)], {}), ([], {"THUMBSMITH_RECIPE": str(recipe)})):
        ran = user.run("sync", *places, *arguments, environment=environment)
        assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (2, "", 1)
        assert "thumbsmith.toml: expected a readable file, found: Permission denied" in ran.stderr
    closed.chmod(0)
    if os.geteuid() == 0:  # another user cannot start a program there
        ran = user.run("sync", *places, folder=closed)
        assert ran.returncode == 2
        assert "thumbsmith.toml: expected a readable file, found: Permission denied" in ran.stderr
    assert not (user.folder / "thumbs").exists()


def test_watch_follows_the_rest(user: User):
    """Over a folder with an unreadable part, watch reports that part and makes what is added elsewhere."""
    (user.folder / "photos/locked").chmod(0)
    with user.running("watch", "photos", "thumbs", "--json") as process:
        lines, seen = lines_of(process), []
        for line in lines:
            seen.append(json.loads(line))
            if seen[-1]["event"] == "watching":
                break
        assert ("locked/", "failed") in {(event.get("key"), event.get("outcome")) for event in seen}
        (user.folder / "photos/new.jpg").write_bytes(picture())
        for line in lines:
            if json.loads(line).get("key") == "new.jpg":
                assert json.loads(line)["outcome"] in {"made", "fresh"}  # a scan may have made them first
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 130
        assert "Traceback" not in process.stderr.read()
    assert made(user.folder / "thumbs") == {"a.jpg", "sub/b.jpg", "new.jpg"}


def test_serve_shows_the_rest(user: User):
    """Over a folder with an unreadable part, serve makes and shows the other thumbnails."""
    (user.folder / "photos").rename(user.folder / "sources")
    (user.folder / "sources/locked").chmod(0)
    with user.running("serve", "--port", "0") as process:
        line = process.stderr.readline()
        address = re.match(r"(http://\S+)/ ", line)
        assert address, line + process.stderr.read()
        with httpx.Client(base_url=address[1], timeout=SECONDS) as client:
            for key in ("a.jpg", "sub/b.jpg"):
                assert client.get(f"/images/{key}?wait=60").status_code == 200
            refused = client.get("/images/locked/c.jpg?wait=1")
            assert refused.status_code >= 400
            assert client.get("/").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 130
        assert "Traceback" not in process.stderr.read()
    assert made(user.folder / "thumbnails") == {"a.jpg", "sub/b.jpg"}
