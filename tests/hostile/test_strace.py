"""Under strace, a child neither connects, nor runs a program, nor opens a file for writing."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.containers.files import good
from tests.corpus import hostile, needs_corpus
from tests.hostile.films import good_films
from tests.hostile.trials import ISOLATIONS, Kind

ROOT = Path(__file__).parents[2]
CALLS = "execve,execveat,connect,bind,listen,accept4,socket,openat,openat2,open,creat,clone,clone3,fork,vfork"
CALLS += ",unlink,unlinkat,rename,renameat2,mkdir,mkdirat,link,linkat,symlink,symlinkat,truncate,kill,ptrace"

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="NOT TESTED: strace is not installed")

BEGUN = re.compile(r"(\d+) +(\w+)\((.*)")
FORKED = re.compile(r"(?:clone3?|fork|vfork)\(.*= (\d+)$|<\.\.\. (?:clone3?|fork|vfork) resumed>.*= (\d+)$")


@dataclass(frozen=True)
class Seen:
    """The number of children, and their system calls."""

    children: int
    calls: Sequence[tuple[str, str]]


def _traced(files: Sequence[Path], log: Path, isolation: Kind = "source") -> Seen:
    command = ["strace", "-f", "-qq", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", str(log)]
    program = [sys.executable, "-m", "tests.hostile.traced", isolation]
    names = "\n".join(map(str, files))
    subprocess.run([*command, *program], cwd=ROOT, input=names, text=True, check=True, timeout=900, env={})
    return _read(log.read_text().splitlines())


def _read(lines: Sequence[str]) -> Seen:
    """Return what the children did: the processes that templates have forked.

    A template is started with -P and -S. Its first child handles no source: it tries what the system refuses.
    """
    templates = {line.split()[0] for line in lines if "execve(" in line and '"-P", "-S"' in line}
    begun: set[str] = set()
    trying: set[str] = set()
    family: dict[str, str] = {}
    for line in lines:
        process, rest = line.split(maxsplit=1)
        if (found := FORKED.search(rest)) and (process in templates or process in family):
            child = found[1] or found[2]
            if process in trying or (process in templates and process not in begun):
                trying.add(child)
            family[child] = process
            begun.add(process)
    handling = family.keys() - trying
    children = {child for child in handling if family[child] in templates}
    calls = [(found[2], found[3]) for line in lines if (found := BEGUN.match(line)) and found[1] in handling]
    return Seen(len(children), calls)


def _powerless(seen: Seen, files: int) -> None:
    assert seen.children >= files  # two for a source whose child died
    counts = Counter(name for name, _ in seen.calls)
    opened = [rest for name, rest in seen.calls if name in ("open", "openat", "openat2", "creat")]
    assert [each for each in opened if re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND", each)] == []
    # Read once, before the first byte of a source: how much address space is taken, of which the limit counts from.
    assert {each.split(",")[1].strip() for each in opened} <= {'"/proc/self/statm"'}
    assert set(counts) <= {"openat", "clone", "clone3"}
    assert all("CLONE_THREAD" in rest for name, rest in seen.calls if name.startswith("clone"))


def test_good_files_are_decoded_without_power(tmp_path: Path):
    """For every kind of source and format, a child opens no socket, program or file; it may start threads."""
    files = []
    films = {f"film-{number}.heic": data for number, data in enumerate(good_films())}
    for name, data in {**good(), **films}.items():
        files.append(tmp_path / name)
        files[-1].write_bytes(data)
    _powerless(_traced(files, tmp_path / "log"), len(files))
    shared = _traced(files, tmp_path / "log", "shared")
    _powerless(shared, 1)
    assert shared.children < len(files) / 2


@needs_corpus
def test_hostile_files_are_decoded_without_power(tmp_path: Path):
    """The same is true for every tenth file of the corpus."""
    files = [path for path, _ in hostile()[::10] if path.stat().st_size]
    _powerless(_traced(files, tmp_path / "log"), len(files))


@needs_corpus
@pytest.mark.deep
@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_all_hostile_files_are_decoded_without_power(isolation: Kind, tmp_path: Path):
    """The same is true for the whole corpus, with both kinds of isolation."""
    files = [path for path, _ in hostile() if path.stat().st_size]
    _powerless(_traced(files, tmp_path / "log", isolation), len(files) if isolation == "source" else 1)


def test_power_would_be_seen():
    """The test finds each of these calls in a log that contains it."""
    log = [
        '10 execve("/usr/bin/python3", ["python3", "-s", "-P", "-S"], 0x1 /* 2 vars */) = 0',
        "10 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 9",
        '9 execve("/nonexistent/thumbsmith", ["/nonexistent/thumbsmith"], 0x1 /* 2 vars */) = -1 EPERM',
        "10 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 11",
        '11 openat(AT_FDCWD, "/proc/self/statm", O_RDONLY|O_CLOEXEC) = 5',
    ]
    _powerless(_read(log), 1)
    for line in (
        '11 openat(AT_FDCWD, "/tmp/x", O_WRONLY|O_CREAT) = 5',
        '11 openat(AT_FDCWD, "/etc/passwd", O_RDONLY) = 5',
        "11 connect(5, {sa_family=AF_INET}, 16) = 0",
        '11 execve("/bin/sh", ["sh"], 0x1 /* 2 vars */) = 0',
        "11 clone(child_stack=NULL, flags=SIGCHLD) = 12",
    ):
        with pytest.raises(AssertionError):
            _powerless(_read([*log, line]), 1)
