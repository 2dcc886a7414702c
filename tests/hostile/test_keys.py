"""Hostile names, links, and special files, through the whole program."""

import json
import os
import socket
import subprocess
import sys
import threading
import unicodedata
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.corpus import CORPUS, needs_corpus
from tests.pictures import opened, picture
from thumbsmith import Recipe, converge
from thumbsmith.errors import StoreError
from thumbsmith.store import Store, open_store
from thumbsmith.store.base import Headers

RECIPE = Recipe.loads('[variants.a]\nwidth = 16\nformats = ["png"]')

NAMES = (
    "plain.jpg",
    "a b.jpg",
    "new\nline.jpg",
    "carriage\rreturn.jpg",
    "tab\t.jpg",
    "\x1b[2J\x1b[31mred.jpg",
    "bell\x07.jpg",
    '{"event": "summary"}.jpg',
    'quote".jpg',
    "back\\slash.jpg",
    "a..\\..\\up.jpg",
    "%2e%2e%2fup.jpg",
    "%00.jpg",
    "-rf.jpg",
    "--help.jpg",
    "~root.jpg",
    "$(id).jpg",
    "`id`.jpg",
    "a;b.jpg",
    "a|b.jpg",
    "a#1.jpg",
    "a[page=3].jpg",
    "*.jpg",
    "CON.jpg",
    "C:x.jpg",
    "a:b.jpg",
    "trailing. ",
    "trailing.jpg.",
    "\u202egpj.exe.jpg",
    "\u200b.jpg",
    "\ufeff.jpg",
    "\u2028.jpg",
    unicodedata.normalize("NFC", "e\u0301.jpg"),
    unicodedata.normalize("NFD", "\u00e9.jpg"),
    "case.jpg",
    "CASE.jpg",
    "Case.jpg",
    "\u00df.jpg",
    "ss.jpg",
    "\u0130.jpg",
    "i.jpg",
    "manifest.json",
    "a.png",
    "a@2x.png",
    "x" * 251 + ".jpg",
    "\U0001f5bc.jpg",
)


def _sync(folder: Path) -> list[dict]:
    """Return the lines of a sync of `in` to `out`, each of which must be JSON."""
    command = [sys.executable, "-m", "thumbsmith", "sync", "in", "out", "--json", "--yes"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.decode().split("\n")[:-1]]


def _pixel(store: Store, key: str) -> tuple[int, ...]:
    """Return the first pixel of a picture in a store."""
    reader = store.open(key)
    assert reader is not None, key
    with closing(reader):
        return opened(reader.read(0, reader.size)).getpixel((0, 0))


def _tree(folder: Path) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root, name)
            regular = path.is_file() and not path.is_symlink()
            found[str(path.relative_to(folder))] = path.read_bytes() if regular else str(path.lstat().st_mode)
    return found


@pytest.fixture
def yard(tmp_path: Path) -> Path:
    """Give a folder with sources and a recipe, and a secret folder next to it that must not be touched or shown."""
    (tmp_path / "yard" / "in").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.jpg").write_bytes(picture("#ff00ff"))
    (tmp_path / "yard" / "thumbsmith.toml").write_text(
        '[source]\ninclude = ["**", "**.json"]\n[variants.a]\nwidth = 16\nformats = ["png"]\n'
    )
    return tmp_path / "yard"


def test_every_name_has_its_thumbnail_and_its_line(yard: Path):
    """For any names, each source has one line of JSON with its name, and a thumbnail of its own."""
    made = set()
    for number, name in enumerate(NAMES):
        with suppress(OSError):  # a file system may not hold all of them
            (yard / "in" / name).write_bytes(picture(f"#{number * 5:02x}4080"))
            made.add(name)
    before = _tree(yard.parent / "outside")
    lines = _sync(yard)
    sources = [line for line in lines if line["event"] == "source"]
    assert Counter(line["key"] for line in sources) == Counter(made)
    assert {line["outcome"] for line in sources} == {"made"}
    assert lines[-1]["event"] == "summary"
    assert lines[-1]["made"] == len(made)
    store = open_store(str(yard / "out")).as_destination()
    for number, name in enumerate(NAMES):
        if name in made:
            assert _pixel(store, f"{name}/a.png")[0] in range(number * 5 - 3, number * 5 + 4)
    assert _tree(yard.parent / "outside") == before
    assert {path.name for path in yard.iterdir()} == {"in", "out", "thumbsmith.toml"}


def test_what_is_no_file_is_no_source(yard: Path):
    """Links, circles of links, pipes, sockets and devices are skipped without waiting for them."""
    root, outside = yard / "in", yard.parent / "outside"
    (root / "good.jpg").write_bytes(picture())
    (root / "link.jpg").symlink_to(outside / "secret.jpg")
    (root / "folder").symlink_to(outside)
    (root / "dangling.jpg").symlink_to("nowhere")
    (root / "self.jpg").symlink_to("self.jpg")
    (root / "up").symlink_to("..")
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    os.mkfifo(root / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listening, suppress(OSError):
        listening.bind(str(root / "socket.jpg"))
    with suppress(PermissionError):
        os.mknod(root / "device.jpg", 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
    lines = _sync(yard)
    assert [line["key"] for line in lines if line["event"] == "source"] == ["good.jpg"]


def test_a_destination_full_of_links_is_not_followed(yard: Path):
    """The target of a link in place of a thumbnail, a manifest or their folder is not changed."""
    outside = yard.parent / "outside"
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (yard / "in" / name).write_bytes(picture())
    (yard / "out" / "a.jpg").mkdir(parents=True)
    (yard / "out" / "a.jpg" / "a.png").symlink_to(outside / "secret.jpg")
    (yard / "out" / "a.jpg" / "manifest.json").symlink_to(outside / "new.json")
    (yard / "out" / "b.jpg").symlink_to(outside)
    (yard / "out" / "c.jpg").symlink_to("nowhere")
    before = _tree(outside)
    command = [sys.executable, "-m", "thumbsmith", "sync", "in", "out", "--json", "--yes"]
    subprocess.run(command, cwd=yard, capture_output=True, timeout=300, check=False)
    assert _tree(outside) == before


def test_swapping_a_source_for_a_link_shows_nothing_of_what_it_leads_to(yard: Path):
    """The secret is never read while a file and a parent folder are replaced by links 200 times during a run."""
    root, outside = yard / "in", yard.parent / "outside"
    (root / "sub").mkdir()
    for path in (root / "x.jpg", root / "sub" / "secret.jpg"):
        path.write_bytes(picture("#00ff00"))
    source, destination = open_store(str(root)), open_store(str(yard / "out")).as_destination()
    over = threading.Event()

    def swap() -> None:
        for _ in range(200):
            (root / "x.jpg").rename(root / ".x")
            (root / "x.jpg").symlink_to(outside / "secret.jpg")
            (root / "sub").rename(root / ".sub")
            (root / "sub").symlink_to(outside)
            (root / "x.jpg").unlink()
            (root / ".x").rename(root / "x.jpg")
            (root / "sub").unlink()
            (root / ".sub").rename(root / "sub")
        over.set()

    thread = threading.Thread(target=swap)
    thread.start()
    seen = Counter[str]()
    while not over.is_set() or not seen:
        for key in ("x.jpg", "sub/secret.jpg"):
            with suppress(StoreError):
                seen[converge(key, source, destination, RECIPE).status] += 1
            if destination.head(f"{key}/a.png"):
                assert _pixel(destination, f"{key}/a.png")[1] > 200
    thread.join()
    assert sum(seen.values()) > 5


@needs_corpus
def test_hostile_keys_of_a_bucket_stay_beneath_the_destination(tmp_path: Path):
    """Keys that try to escape get their own thumbnails, and nothing is written outside of the folder."""
    keys = [entry["key"] for entry in json.loads((CORPUS / "hostile_keys.json").read_text())]
    _contained(tmp_path, [key for key in dict.fromkeys(keys) if isinstance(key, str)])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(
        st.text(st.sampled_from("aA\u00e9/.\\%~\0\n:*e\u0301\u202e "), min_size=1, max_size=12), min_size=1, max_size=4
    )
)
def test_any_keys_of_a_bucket_stay_beneath_the_destination(tmp_path_factory: pytest.TempPathFactory, keys: list[str]):
    """The same is true for random keys of difficult characters."""
    _contained(tmp_path_factory.mktemp("any"), list(dict.fromkeys(keys)))


def _contained(folder: Path, keys: list[str]) -> None:
    source = open_store("memory://")
    made = []
    for key in keys:
        with suppress(StoreError, ValueError):
            source.put(key, picture(f"#{len(made) % 256:02x}8000"), Headers(content_type="image/jpeg"))
            made.append(key)
    destination = open_store(str(folder / "out" / "thumbs")).as_destination()
    outcomes = {}
    for key in made:
        outcomes[key] = converge(key, source, destination, RECIPE).status
    assert {path.name for path in folder.iterdir()} <= {"out"}
    assert not (folder / "out").exists() or {path.name for path in (folder / "out").iterdir()} <= {"thumbs"}
    for number, key in enumerate(made):
        if outcomes[key] == "made":
            assert _pixel(destination, f"{key}/a.png")[0] in range(number % 256 - 3, number % 256 + 4), key
