"""Files are written as a whole or not at all, and a sweep removes the temporary files of dead writers."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.store.contract import HEADERS, content_of, unprivileged
from thumbsmith.errors import StoreError
from thumbsmith.store import Store, open_store
from thumbsmith.store.atomic_write import is_abandoned, temporary_name, write_whole

# Writes one object, and hangs just before it is complete.
STUCK = """
import os, sys, time
from thumbsmith.store import Headers, open_store
os.fsync = lambda fd: (print("writing", flush=True), time.sleep(600))
open_store(sys.argv[1]).as_destination().put("a/b.jpg/small.webp", b"new" * 1000, Headers(content_type="x"))
"""

# Writes a small object, then one that meets the limit of a file's size.
LIMITED = """
import resource, sys
from thumbsmith.errors import StoreError
from thumbsmith.store import Headers, open_store
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
store = open_store(sys.argv[1])
store.put("a.jpg", b"old", Headers(content_type="x"))
try:
    store.put("a.jpg", b"new" * 1000, Headers(content_type="x"))
except StoreError as error:
    print(error, error.transient)
resource.setrlimit(resource.RLIMIT_FSIZE, before)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a destination whose root does not exist yet."""
    return open_store(tmp_path / "some" / "root").as_destination()


def temporaries(store: Store) -> list[Path]:
    """Return the temporary files below."""
    return list(Path(store.url).rglob(".thumbsmith-*.tmp"))


def test_a_killed_writer_leaves_a_temporary_to_be_swept(store: Store) -> None:
    """A killed writer leaves the old object and one temporary file; a sweep keeps it while the writer runs."""
    store.put("a/b.jpg/small.webp", b"old", HEADERS)
    writer = subprocess.Popen([sys.executable, "-c", STUCK, store.url], stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout.readline() == "writing\n"
        assert len(temporaries(store)) == 1
        assert store.sweep() == 0
        assert len(temporaries(store)) == 1
    finally:
        writer.kill()
        assert [info.key for info in store.list()] == ["a/b.jpg/small.webp"]
        deadline = time.monotonic() + 30
        while store.sweep() == 0 and time.monotonic() < deadline:  # a killed process takes a moment to end
            time.sleep(0.01)
        writer.communicate()
    assert temporaries(store) == []
    assert content_of(store, "a/b.jpg/small.webp") == b"old"
    store.delete("a/b.jpg/small.webp")
    assert list(Path(store.url).iterdir()) == []


def test_a_sweep_removes_folders_that_it_leaves_empty(store: Store) -> None:
    """The folders that a dead writer created for its object are removed too."""
    folder = Path(store.url, "a", "b.jpg")
    folder.mkdir(parents=True)
    (folder / ended()).touch()
    assert store.sweep() == 1
    assert list(Path(store.url).iterdir()) == []


def test_a_limit_on_size_leaves_the_old_object(tmp_path: Path) -> None:
    """A write that fails keeps the earlier object, and leaves no temporary file."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout == "a.jpg: File too large False\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]
    assert (tmp_path / "a.jpg").read_bytes() == b"old"


def test_a_folder_in_the_way_is_a_failure(tmp_path: Path) -> None:
    """Where a folder has the path of the object nothing is replaced, and no temporary file is left."""
    (tmp_path / "a.jpg").mkdir()
    with pytest.raises(StoreError, match=r"^a\.jpg: ") as raised:
        open_store(tmp_path).put("a.jpg", b"x", HEADERS)
    assert raised.value.transient is False
    (tmp_path / "b").touch()
    with pytest.raises(StoreError, match=r"^b/a\.jpg: File exists$"):
        open_store(tmp_path).put("b/a.jpg", b"x", HEADERS)
    assert {path.name for path in tmp_path.iterdir()} == {"a.jpg", "b"}


def test_readers_see_whole_objects_only(store: Store) -> None:
    """While an object is replaced repeatedly, a reader finds one version or the other."""
    store.put("a.jpg/small.webp", b"0" * 50_000, HEADERS)
    command = (
        "import sys; from thumbsmith.store import Headers, open_store\n"
        "store = open_store(sys.argv[1]).as_destination()\n"
        "for n in range(200): store.put('a.jpg/small.webp', b'%d' % (n % 10) * (50_000 + n), Headers(content_type='x'))"
    )
    writer = subprocess.Popen([sys.executable, "-c", command, store.url])
    while writer.poll() is None:
        content = content_of(store, "a.jpg/small.webp")
        assert content is not None
        assert len(content) >= 50_000
        assert len(set(content)) == 1
    assert writer.returncode == 0
    assert temporaries(store) == []


def test_objects_have_the_usual_mode(store: Store) -> None:
    """A web server of another user may read what the umask allows."""
    before = os.umask(0o022)
    try:
        store.put("a.jpg/small.webp", b"", HEADERS)
    finally:
        os.umask(before)
    assert Path(store.url, "a.jpg/small.webp").stat().st_mode & 0o777 == 0o644
    assert Path(store.url, "a.jpg").stat().st_mode & 0o777 == 0o755


def test_temporaries_are_no_objects(store: Store) -> None:
    """Neither layout lists a temporary file, nor reads or writes it by its name."""
    store.put("a.jpg/small.webp", b"", HEADERS)
    name = temporary_name()
    Path(store.url, "a.jpg", name).touch()
    Path(store.url, ".thumbsmith-folder").mkdir()
    Path(store.url, ".thumbsmith-folder", "a.jpg").touch()
    for view in (store, open_store(store.url)):
        assert [info.key for info in view.list()] == ["a.jpg/small.webp"]
        assert [info.key for info in view.children("a.jpg")] == ["a.jpg/small.webp"]
        assert view.head(f"a.jpg/{name}") is None


def test_a_failed_write_is_cleaned_up(tmp_path: Path) -> None:
    """Where the data cannot be written the temporary file is removed at once."""
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(TypeError):
        write_whole(folder, "a", "text")
    os.close(folder)
    assert list(tmp_path.iterdir()) == []


def ended() -> str:
    """Return the name of a temporary file of a process that has ended."""
    code = "from thumbsmith.store.atomic_write import temporary_name; print(temporary_name())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def other(name: str, part: int, value: str) -> str:
    """Return the name of a temporary file with one part replaced: 2 the process, 3 its start, 4 the PID namespace."""
    parts = name.removesuffix(".tmp").split("-")
    parts[part - 1] = value
    return "-".join(parts) + ".tmp"


def test_only_files_of_dead_writers_are_abandoned() -> None:
    """A writer here is looked up; one elsewhere counts as dead after an hour without a write."""
    now, own = time.time(), temporary_name()
    assert is_abandoned(ended(), now) or not Path("/proc/self/stat").exists()
    assert not is_abandoned(own, now)
    assert not is_abandoned(other(own, 4, "0" * 8), now)
    assert not is_abandoned(other(own, 4, "0" * 8), now - 3000)
    assert is_abandoned(other(own, 4, "0" * 8), now - 4000)
    assert is_abandoned(other(own, 2, "9999999999"), now)
    assert not is_abandoned("small.webp", 0)
    assert not is_abandoned(".thumbsmith-object", 0)
    assert not is_abandoned(".thumbsmith-name", 0)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="without /proc a start is not known")
def test_a_process_number_that_was_reused() -> None:
    """The start distinguishes a process from an earlier one with the same number; an ended one does not run."""
    now, own = time.time(), temporary_name()
    assert not is_abandoned(own, 0)
    assert is_abandoned(other(own, 3, "1"), now)
    with unprivileged():
        assert is_abandoned(other(own, 2, "1"), now)
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    start = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
    assert is_abandoned(other(other(own, 2, str(child.pid)), 3, start), now)
    child.wait()
