"""A folder as a destination: every key has its own location."""

import json
import os
import random
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.corpus import CORPUS, needs_corpus
from tests.store.contract import HEADERS, content_of
from thumbsmith.store import Store, open_store
from thumbsmith.store.file_names import casefolded, shortened_name
from thumbsmith.store.folder_layout import FOREIGN_MARK

TRICKY = (
    *("", "", ".", "..", "a", "A", "a.jpg", "A.JPG", "é", "e\u0301", "ß", "SS", "ss", "k", "\u212a", "%", "%41", "%~"),
    *("\0", "\x01", "small.webp", "Small.webp", "manifest.json", ".thumbsmith-a", "a\\b", "a\nb"),
    *("~" + "x" * 300, "X" * 100, "x" * 100),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return an empty destination beside other files."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "small.webp").write_bytes(b"outside")
    (tmp_path / "root").mkdir()
    return open_store(tmp_path / "root").as_destination()


def paths(root: Path) -> Iterator[str]:
    """Yield the relative path of every file below."""
    for folder, _, names in os.walk(root):
        yield from (str(Path(folder, name).relative_to(root)) for name in names)


def look_alikes(root: Path) -> list[str]:
    """Return the folders that contain two folders whose names some file system takes for the same one."""
    return [folder for folder, below, _ in os.walk(root) if len(set(map(casefolded, below))) < len(below)]


def random_keys(count: int, seed: int) -> list[str]:
    """Return distinct keys of 1 to 1,024 bytes from all of Unicode, many of which are alike."""
    rng = random.Random(seed)

    def character() -> str:
        code = rng.choice((rng.randrange(0x80), rng.randrange(0x800), rng.randrange(0x110000)))
        return chr(code) if not 0xD800 <= code < 0xE000 and code != 0x2F else "x"

    def component() -> str:
        if rng.random() < 0.5:
            return rng.choice(TRICKY)
        return "".join(character() for _ in range(rng.choice((1, 2, 5, 20, 20, 300))))

    keys: set[str] = set()
    while len(keys) < count:
        key = "/".join(component() for _ in range(rng.randint(1, 3))).encode()[:1024].decode(errors="ignore")
        if key:
            keys.add(key)
    return sorted(keys)


@needs_corpus
def test_hostile_and_random_keys_are_separate(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hostile keys and 10,000 random ones fit into one folder, each once, and all can be deleted again."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)  # to wait for a disk 40,000 times tells nothing here
    hostile = [entry["key"] for entry in json.loads((CORPUS / "hostile_keys.json").read_text())]
    keys = sorted({*hostile, *(f"{key}/small.webp" for key in hostile if len(key) < 500), *random_keys(10_000, seed=1)})
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: store.put(key, key.encode(), HEADERS), keys))
    assert sorted(info.key for info in store.list()) == keys
    assert all(content_of(store, key) == key.encode() for key in keys)
    assert look_alikes(tmp_path / "root") == []
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(store.delete, keys))
    assert list(store.list()) == []
    assert list((tmp_path / "root").iterdir()) == []
    assert list(paths(tmp_path / "outside")) == ["small.webp"]
    assert {path.name for path in tmp_path.iterdir()} == {"root", "outside"}


@pytest.mark.parametrize(
    "key",
    ["photos/Été 1.jpg/small.webp", "cat.jpg/icon@2x.png", "a b/#1 50% off?.jpg/manifest.json", "c:d/x&y/small.webp"],
)
def test_ordinary_keys_are_paths(store: Store, key: str) -> None:
    """A rendition of an ordinary source is the file at the path of its key."""
    store.put(key, b"x", HEADERS)
    assert list(paths(Path(store.url))) == [key]


def test_cases_are_kept_apart(store: Store) -> None:
    """Of two sources that differ in case or Unicode form the second one is percent-encoded."""
    for key in ("A.jpg", "a.jpg", unicodedata.normalize("NFC", "é.jpg"), unicodedata.normalize("NFD", "é.jpg")):
        store.put(f"{key}/small.webp", b"x", HEADERS)
    expected = {"A.jpg/small.webp", "%61.jpg/small.webp", "é.jpg/small.webp", "%65%CC%81.jpg/small.webp"}
    assert set(paths(Path(store.url))) == expected


def test_cases_are_kept_apart_in_either_order(store: Store) -> None:
    """The first one keeps its name, in upper or lower case."""
    for key in ("a.jpg", "A.jpg"):
        store.put(f"{key}/small.webp", b"x", HEADERS)
    assert set(paths(Path(store.url))) == {"a.jpg/small.webp", "%41.jpg/small.webp"}


def test_other_objects_have_their_own_folders(store: Store) -> None:
    """An object with another name than a rendition is never in the way of a folder with the same name."""
    store.put("notes.txt", b"x", HEADERS)
    store.put("notes.txt/small.webp", b"x", HEADERS)
    assert set(paths(Path(store.url))) == {"notes.txt/.thumbsmith-object", "notes.txt/small.webp"}


@pytest.mark.parametrize("named", ["something else", "k" * 40 + "/x"])
def test_a_wrong_component_makes_a_folder_foreign(store: Store, named: str) -> None:
    """A recorded component counts only if the name of the folder is made from it."""
    name = shortened_name(named if "/" in named else "k" * 300)
    Path(store.url, name).mkdir()
    Path(store.url, name, ".thumbsmith-name").write_text(named)
    Path(store.url, name, "small.webp").write_bytes(b"x")
    assert [info.key for info in store.list()] == [f"{FOREIGN_MARK}{name}/small.webp"]


def test_a_source_keeps_its_folder(store: Store) -> None:
    """A source keeps its folder when the one with the similar name is deleted, and the next one gets the plain name."""
    store.put("A.jpg/small.webp", b"1", HEADERS)
    store.put("a.jpg/small.webp", b"2", HEADERS)
    store.delete("A.jpg/small.webp")
    store.put("a.jpg/manifest.json", b"3", HEADERS)
    assert set(paths(Path(store.url))) == {"%61.jpg/small.webp", "%61.jpg/manifest.json"}
    for name in ("small.webp", "manifest.json"):
        store.delete(f"a.jpg/{name}")
    store.put("a.jpg/small.webp", b"4", HEADERS)
    assert set(paths(Path(store.url))) == {"a.jpg/small.webp"}


@pytest.mark.parametrize("keys", [("a.jpg/x.webp", "a.jpg/x.webp/x.webp"), ("a.jpg/x.webp/x.webp", "a.jpg/x.webp")])
def test_a_source_called_like_a_rendition(store: Store, keys: tuple[str, str]) -> None:
    """A rendition and a source with the same key are separate, in any order of creation and deletion."""
    for order in (keys, keys[::-1]):
        for key in keys:
            store.put(key, key.encode(), HEADERS)
            store.put(key, key.encode(), HEADERS)
        assert sorted(info.key for info in store.list()) == sorted(keys)
        assert [info.key for info in store.children("a.jpg")] == ["a.jpg/x.webp"]
        for key in order:
            assert content_of(store, key) == key.encode()
            store.delete(key)
            assert store.head(key) is None
        assert list(Path(store.url).iterdir()) == []


def test_long_components_are_shortened(store: Store) -> None:
    """The folder of a component that is too long for a name begins like it, and contains the whole component."""
    component = "Long name " * 40
    store.put(f"{component}/small.webp", b"x", HEADERS)
    (folder,) = Path(store.url).iterdir()
    assert folder.name.startswith("Long name Long name ")
    assert len(folder.name.encode()) <= 255
    assert (folder / ".thumbsmith-name").read_text() == component
    assert [info.key for info in store.list()] == [f"{component}/small.webp"]


def test_a_lost_component_is_recorded_again(store: Store) -> None:
    """Without its recorded component a shortened folder is foreign in a listing, until an object is put there."""
    component = "k" * 300
    store.put(f"{component}/small.webp", b"x", HEADERS)
    note = Path(store.url, shortened_name(component), ".thumbsmith-name")
    spoilt = (b"something else", b"\xff", b"/" * 5000)
    for spoil in (note.unlink, *(lambda content=content: note.write_bytes(content) for content in spoilt)):
        spoil()
        assert [info.key for info in store.list()] != [f"{component}/small.webp"]
        assert content_of(store, f"{component}/small.webp") == b"x"
        store.put(f"{component}/small.webp", b"x", HEADERS)
        assert [info.key for info in store.list()] == [f"{component}/small.webp"]


def test_foreign_names_are_never_ours(store: Store) -> None:
    """Files of other programs are listed under foreign keys, which cannot be written, and are not changed."""
    root = Path(store.url)
    names = [
        b"%41",
        b"a\nb",
        b"small%2Ewebp",
        b"manifest%2Ejson",
        b"b\xff",
        b"..x\\",
        b"%6dall.webp",
        b"%2e",
        b"k%~" + b"0" * 64,
    ]
    for name in names:
        Path(os.fsdecode(bytes(root) + b"/dir" + name)).mkdir()
        for path in (b"/" + name, b"/a.jpg" + name, b"/dir" + name + b"/small.webp"):
            Path(os.fsdecode(bytes(root) + path)).write_bytes(b"x")
    store.put("a.jpg/small.webp", b"y", HEADERS)
    foreign = [info.key for info in store.list() if info.key != "a.jpg/small.webp"]
    assert len(set(foreign)) == 3 * len(names)
    for key in foreign:
        store.delete(key)
    kept = [key for key in foreign if key.isascii()]
    assert sorted(info.key for info in store.list()) == sorted({*foreign} - {*kept} | {"a.jpg/small.webp"})


def test_plain_files_of_other_programs_are_objects(store: Store) -> None:
    """An ordinary file is listed, read, replaced and deleted under its path, and no folder replaces it."""
    Path(store.url, "notes.txt").write_bytes(b"theirs")
    store.put("notes.txt/small.webp", b"ours", HEADERS)
    assert {info.key for info in store.list()} == {"notes.txt", "notes.txt/small.webp"}
    assert content_of(store, "notes.txt") == b"theirs"
    store.put("notes.txt", b"replaced", HEADERS)
    assert Path(store.url, "notes.txt").read_bytes() == b"replaced"
    store.delete("notes.txt")
    assert set(paths(Path(store.url))) == {"%6Eotes.txt/small.webp"}


def test_a_copied_component_counts_once(store: Store) -> None:
    """Where a component has two folders, because a tree was copied into this one, the plain name counts."""
    store.put("A.jpg/small.webp", b"A", HEADERS)
    store.put("a.jpg/small.webp", b"a", HEADERS)
    store.delete("A.jpg/small.webp")
    shutil.copytree(Path(store.url, "%61.jpg"), Path(store.url, "a.jpg"))
    keys = [info.key for info in store.list()]
    assert len(keys) == 2
    assert keys.count("a.jpg/small.webp") == 1


def test_a_file_in_the_way_is_avoided(store: Store) -> None:
    """Where a file has the plain name, the folder gets another; where all names are taken, the write fails."""
    for name in ("a.jpg", "%61.jpg"):
        Path(store.url, name).symlink_to("../outside")
    store.put("a.jpg/small.webp", b"x", HEADERS)
    assert content_of(store, "a.jpg/small.webp") == b"x"
    store.delete("a.jpg/small.webp")
    Path(store.url, shortened_name("a.jpg")).symlink_to("../outside")
    with pytest.raises(Exception, match=r"^a\.jpg/small\.webp: File exists$") as raised:
        store.put("a.jpg/small.webp", b"x", HEADERS)
    assert raised.value.transient is False
    assert Path(store.url, "../outside/small.webp").read_bytes() == b"outside"


WRITER = """
import sys
from thumbsmith.store import Headers, open_store
store = open_store(sys.argv[1]).as_destination()
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    store.put(f"{number}/{sys.argv[2]}/manifest.json", sys.argv[2].encode(), Headers(content_type="x"))
"""


def test_two_processes_write_keys_that_collide(store: Store) -> None:
    """Two processes that create folders with similar names at the same moment use different names."""
    command = [sys.executable, "-c", WRITER, store.url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([*command, name], **pipes) for name in ("IMG.JPG", "img.jpg", "IMG.jpg")]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=300)
        assert writer.returncode == 0
    keys = {
        f"{number}/{name}/manifest.json": name for number in range(40) for name in ("IMG.JPG", "img.jpg", "IMG.jpg")
    }
    assert sorted(info.key for info in store.list()) == sorted(keys)
    assert all(content_of(store, key) == name.encode() for key, name in keys.items())
    assert look_alikes(Path(store.url)) == []


def test_writing_and_pruning_at_once(store: Store) -> None:
    """Writers and deleters in one folder, which is created and removed between them, do not disturb one another."""

    def work(number: int) -> None:
        folder = "k" * 300 if number % 2 else "a/b.jpg"
        for _ in range(60):
            store.put(f"{folder}/{number}.webp", b"%d" % number, HEADERS)
            assert content_of(store, f"{folder}/{number}.webp") == b"%d" % number
            store.delete(f"{folder}/{number}.webp")
            assert store.head(f"{folder}/{number}.webp") is None

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert list(Path(store.url).iterdir()) == []
