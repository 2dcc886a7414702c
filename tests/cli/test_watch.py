"""`thumbsmith watch` as a process over real folders: thumbnails follow all changes."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.cli.command import Command
from tests.pictures import picture

DEADLINE = 90


class Watch:
    """A running `thumbsmith watch photos thumbs --json`, and the lines it prints."""

    def __init__(self, folder: Path, *options: str) -> None:
        """Start it."""
        self.photos, self.thumbs = folder / "photos", folder / "thumbs"
        self.photos.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "thumbsmith", "watch", "photos", "thumbs", "--json", *options]
        environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
        with (folder / "told.txt").open("a") as told:
            self.process = subprocess.Popen(
                command, cwd=folder, stdout=subprocess.PIPE, stderr=told, text=True, env=environment
            )
        self.events: queue.Queue[dict | None] = queue.Queue()
        self.seen: list[dict] = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.events.put(json.loads(line))
        self.events.put(None)

    def until(self, found: Callable[[dict], bool]) -> dict:
        """Return the next event that matches."""
        deadline = time.monotonic() + DEADLINE
        while True:
            event = self.events.get(timeout=max(0, deadline - time.monotonic()))
            assert event is not None, (self.seen, self.process.wait(DEADLINE))
            self.seen.append(event)
            if found(event):
                return event

    def until_watching(self) -> Self:
        """Return once the folder is watched."""
        self.until(lambda event: event["event"] == "watching")
        return self

    def until_told(self, key: str, outcome: str) -> dict:
        """Return the event about the key."""
        return self.until(lambda event: (event.get("key"), event.get("outcome")) == (key, outcome))

    def until_made(self, keys: set[str]) -> None:
        """Return after each of the keys was made."""
        left = set(keys)

        def all_made(event: dict) -> bool:
            if event.get("outcome") == "made":
                left.discard(event["key"])
            return not left

        self.until(all_made)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send the signal; return the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(DEADLINE)
        self.reader.join(DEADLINE)
        return code

    def made(self) -> set[str]:
        """Return the sources that have a manifest."""
        return {path.parent.relative_to(self.thumbs).as_posix() for path in self.thumbs.rglob("manifest.json")}

    def upload(self, key: str, data: bytes | None = None) -> None:
        """Write an image."""
        path = self.photos / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture() if data is None else data)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Watch]]:
    """Return a function that starts a watch, which is stopped at the end."""
    started: list[Watch] = []

    def begin(*options: str) -> Watch:
        started.append(Watch(tmp_path, *options))
        return started[-1]

    yield begin
    for watch in started:
        watch.process.terminate()
        watch.process.wait(DEADLINE)
        watch.reader.join(DEADLINE)
        watch.process.stdout.close()


def test_everything_is_made_first_and_then_followed(tmp_path: Path, start: Callable[..., Watch]):
    """Existing images are made at the start; later additions, replacements, renames and deletions follow."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "first.jpg").write_bytes(picture())
    watch = start().until_watching()
    assert watch.made() == {"first.jpg"}
    watch.upload("new.jpg")
    assert watch.until_told("new.jpg", "made")["renditions"] == 3
    watch.upload("new.jpg", picture("#010203", (300, 200)))
    watch.until_told("new.jpg", "made")
    (watch.photos / "new.jpg").rename(watch.photos / "named.jpg")
    watch.until_made({"named.jpg"})
    (watch.photos / "first.jpg").unlink()
    assert watch.until_told("first.jpg", "deleted")["event"] == "orphan"
    assert watch.made() == {"named.jpg"}
    watch.upload("notes.gif", b"no picture")
    assert watch.until_told("notes.gif", "rejected")["code"] == "unsupported_format"
    manifest = json.loads((watch.thumbs / "named.jpg" / "manifest.json").read_text())
    assert (manifest["source"]["width"], manifest["source"]["height"]) == (300, 200)


def test_a_burst(tmp_path: Path, start: Callable[..., Watch]):
    """Two hundred new images, half of them in new folders, all get thumbnails."""
    (tmp_path / "thumbsmith.toml").write_text("[variants.icon]\nwidth = 16\n")
    watch = start().until_watching()
    keys = {f"{number}.jpg" for number in range(100)} | {f"in {number % 7}/deep/{number}.jpg" for number in range(100)}
    for key in keys:
        watch.upload(key)
    watch.until_made(keys)
    assert watch.made() == keys


def test_a_growing_file(start: Callable[..., Watch]):
    """An image that is written slowly is made once it is complete, and is never rejected."""
    watch = start().until_watching()
    whole = picture("#c04020", (600, 400))
    with (watch.photos / "slow.jpg").open("wb", buffering=0) as file:
        for begin in range(0, len(whole), len(whole) // 12):
            file.write(whole[begin : begin + len(whole) // 12])
            time.sleep(0.02)  # far shorter than a file must stand still
    watch.until_told("slow.jpg", "made")
    assert not [event for event in watch.seen if event.get("outcome") in {"rejected", "failed"}]


def test_a_folder_moved_in_and_out(tmp_path: Path, start: Callable[..., Watch]):
    """The images of a folder that is moved in, renamed, and moved out get, move and lose their thumbnails."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    for name in ("a.jpg", "deep/b.jpg"):
        (elsewhere / name).write_bytes(picture())
    watch = start().until_watching()
    watch.upload("stays.jpg")
    elsewhere.rename(watch.photos / "in")
    watch.until_made({"in/a.jpg", "in/deep/b.jpg"})
    (watch.photos / "in").rename(watch.photos / "on")
    watch.until_made({"on/a.jpg", "on/deep/b.jpg"})
    (watch.photos / "on" / "deep" / "c.jpg").write_bytes(picture())
    watch.until_made({"on/deep/c.jpg"})
    (watch.photos / "on").rename(elsewhere)
    left = {"on/a.jpg", "on/deep/b.jpg", "on/deep/c.jpg"}
    watch.until(lambda event: left.discard(event.get("key")) or not left)
    assert watch.stop() == 130
    assert watch.made() == {"stays.jpg"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_finishes_the_pictures_in_hand(number: signal.Signals, start: Callable[..., Watch]):
    """A signal gives exit code 130, complete sources only, and no temporary file."""
    watch = start("--jobs", "1").until_watching()
    for index in range(30):
        watch.upload(f"{index}.jpg", picture(f"#0000{index:02x}", (1500, 1000)))
    watch.until(lambda event: event.get("outcome") == "made")
    assert watch.stop(number) == 130
    files = [path for path in watch.thumbs.rglob("*") if path.is_file()]
    assert len(files) == 4 * len(watch.made())
    assert 1 <= len(watch.made()) < 30


def test_stopping_the_first_sync_ends_it(tmp_path: Path, start: Callable[..., Watch]):
    """A signal during the first sync ends the watch like a sync."""
    (tmp_path / "photos").mkdir()
    for index in range(60):
        (tmp_path / "photos" / f"{index}.jpg").write_bytes(picture(f"#0000{index:02x}", (1500, 1000)))
    watch = start("--jobs", "1")
    watch.until(lambda event: event.get("outcome") == "made")
    assert watch.stop() == 130
    assert 1 <= len(watch.made()) < 60


def test_two_at_once_do_no_harm(start: Callable[..., Watch]):
    """Two watches of the same folders continue, and all thumbnails are correct."""
    both = [watch.until_watching() for watch in [start(), start()]]
    keys = {f"{number}.jpg" for number in range(10)}
    for key in keys:
        both[0].upload(key)
    told: list[set[str]] = [set(), set()]
    for watch, seen in zip(both, told, strict=True):
        watch.until(lambda event, seen=seen: seen.add(event.get("key")) or keys <= seen)
    (both[0].photos / "7.jpg").unlink()
    both[0].upload("8.jpg", picture("#000000", (99, 99)))
    assert both[0].until(lambda event: event.get("key") == "8.jpg")
    deadline = time.monotonic() + DEADLINE
    while "7.jpg" in both[0].made() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [watch.stop() for watch in both] == [130, 130]
    command = [sys.executable, "-m", "thumbsmith", "plan", "photos", "thumbs", "--json"]
    ran = subprocess.run(command, cwd=both[0].photos.parent, capture_output=True, text=True, check=True, timeout=300)
    summary = json.loads(ran.stdout.splitlines()[-1])
    assert (summary["sources"], summary["fresh"], summary["orphaned"]) == (9, 9, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="the queue that overflows is that of inotify")
def test_an_overflow_of_the_system_queue_loses_nothing(start: Callable[..., Watch]):
    """If the system drops events while the watch is paused, all changes are found later."""
    watch = start().until_watching()
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    watch.process.send_signal(signal.SIGSTOP)
    for number in range(most // 3):
        (watch.photos / f".{number}").write_bytes(b"1")
    watch.upload("unseen/a.jpg")
    watch.process.send_signal(signal.SIGCONT)
    watch.until_told("unseen/a.jpg", "made")
    watch.upload("unseen/b.jpg")
    watch.until_told("unseen/b.jpg", "made")


def test_a_source_that_goes_ends_it(tmp_path: Path, start: Callable[..., Watch]):
    """If the folder itself is deleted, the watch ends with a sentence, and no thumbnail is deleted."""
    watch = start().until_watching()
    watch.upload("a.jpg")
    watch.until_told("a.jpg", "made")
    watch.photos.rename(tmp_path / "taken")
    assert watch.process.wait(DEADLINE) == 2
    assert "photos: No such file or directory" in (tmp_path / "told.txt").read_text()
    assert watch.made() == {"a.jpg"}


def test_an_empty_folder_in_its_place_does_not_wipe(tmp_path: Path, start: Callable[..., Watch]):
    """If an empty folder replaces the full one, nothing is deleted and a message says so; new images are made."""
    watch = start().until_watching()
    watch.upload("a.jpg")
    watch.until_told("a.jpg", "made")
    (tmp_path / "empty").mkdir()
    watch.photos.rename(tmp_path / "taken")
    (tmp_path / "empty").rename(watch.photos)
    watch.upload("b.jpg")
    watch.until_told("b.jpg", "made")
    assert watch.stop() == 130
    assert watch.made() == {"a.jpg", "b.jpg"}
    assert "use --yes to delete them" in (tmp_path / "told.txt").read_text()


def test_a_link_that_is_switched_is_followed(tmp_path: Path, start: Callable[..., Watch]):
    """If the folder is a link that changes, all images in the new folder are made, now and later."""
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.jpg").write_bytes(picture())
        (tmp_path / name / "both.jpg").write_bytes(picture(f"#00000{name}", (int(name) * 100, 100)))
    (tmp_path / "photos").symlink_to("1")
    watch = start("--yes").until_watching()
    (tmp_path / "next").symlink_to("2")
    (tmp_path / "next").rename(tmp_path / "photos")
    watch.until_made({"2.jpg", "both.jpg"})
    watch.upload("later.jpg")
    watch.until_told("later.jpg", "made")
    assert json.loads((watch.thumbs / "both.jpg" / "manifest.json").read_text())["source"]["width"] == 200
    assert watch.stop() == 130


@pytest.mark.parametrize("command", ["watch", "explain", "init"])
def test_help_has_examples(command: str, thumbsmith: Command):
    """--help of the command ends with code 0 and shows an example."""
    ran = thumbsmith(command, "--help")
    assert ran.code == 0
    assert f"thumbsmith {command} " in ran.out.partition("Examples")[2]


def test_a_source_that_is_missing_is_told(thumbsmith: Command):
    """A missing folder gives exit code 2 and one sentence, and nothing is made."""
    ran = thumbsmith("watch", "nowhere", "thumbs")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.endswith("nowhere: No such file or directory\n")
    assert thumbsmith.thumbs() == set()


def test_only_a_folder_is_watched(thumbsmith: Command):
    """Other kinds of sources are refused: exit code 2, one sentence."""
    ran = thumbsmith("watch", "memory://photos", "thumbs")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "thumbsmith: memory://photos: only a folder can be watched\n"


def test_a_store_that_fails_later_is_told(tmp_path: Path, start: Callable[..., Watch]):
    """If the destination fails during a later sync, a message says so, and the watch continues."""
    watch = start().until_watching()
    watch.upload("a.jpg")
    watch.until_told("a.jpg", "made")
    watch.thumbs.rename(tmp_path / "away")
    watch.thumbs.write_text("no folder")
    watch.photos.rename(tmp_path / "taken")
    watch.upload("b.jpg")
    while "thumbs: Not a directory" not in (tmp_path / "told.txt").read_text():
        time.sleep(0.05)
    watch.upload("c.jpg")
    assert "Not a directory" in watch.until_told("c.jpg", "failed")["detail"]
    assert watch.stop() == 130


def test_a_first_sync_that_is_refused_ends_it(tmp_path: Path, start: Callable[..., Watch]):
    """A start that would delete more than half of all thumbnails is refused like by sync; --yes allows it."""
    watch = start().until_watching()
    watch.upload("a.jpg")
    watch.until_told("a.jpg", "made")
    assert watch.stop() == 130
    (watch.photos / "a.jpg").unlink()
    assert start().process.wait(DEADLINE) == 2
    assert "use --yes" in (tmp_path / "told.txt").read_text()
    assert watch.made() == {"a.jpg"}
    assert start("--yes").until_watching().made() == set()


def test_people_read_sentences(tmp_path: Path):
    """Without --json, new thumbnails are on stdout; rejections and how to stop are on stderr."""
    (tmp_path / "photos").mkdir()
    run = [sys.executable, "-m", "thumbsmith", "watch", "photos", "thumbs"]
    process = subprocess.Popen(run, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr.readline().endswith("photos; Ctrl-C to stop\n")
        (tmp_path / "photos" / "notes.gif").write_text("no picture")
        assert process.stderr.readline().startswith("rejected notes.gif: unsupported_format, ")
        (tmp_path / "photos" / "a.jpg").write_bytes(picture())
        assert process.stdout.readline().startswith("0 sources: 0 made")
        assert process.stdout.readline() == "made a.jpg: 3 thumbnails written\n"
        (tmp_path / "photos" / "a.jpg").unlink()
        assert process.stdout.readline() == "deleted a.jpg: 4 objects deleted\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 130
    finally:
        process.kill()
        process.communicate(timeout=DEADLINE)
