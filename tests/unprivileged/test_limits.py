"""Low limits on open files and processes, for a user without rights: never a traceback."""

import json
import subprocess
import sys

import pytest

from tests.unprivileged.conftest import THUMBSMITH, User

LIMITED = """
import os, resource, sys
limit = getattr(resource, sys.argv[1])
resource.setrlimit(limit, (int(sys.argv[2]),) * 2)
os.execv(sys.argv[3], sys.argv[3:])
"""


def limited(user: User, limit: str, value: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `thumbsmith ARGUMENTS` within a limit."""
    return user.program(sys.executable, "-c", LIMITED, limit, str(value), *THUMBSMITH, *arguments)


def is_honest(user: User, ran: subprocess.CompletedProcess[str]) -> bool:
    """Return whether all thumbnails were made, after a check that all other output is sentences."""
    assert "Traceback" not in ran.stderr, ran.stderr
    assert ran.returncode in {0, 1}, ran.stderr
    manifests = list((user.folder / "thumbs").rglob("manifest.json"))
    summary = json.loads(ran.stdout.splitlines()[-1]) if ran.stdout else {"made": 0, "failed": 5}
    assert (summary["made"], summary["made"] + summary["failed"]) == (len(manifests), 5)
    assert ran.stdout or len(ran.stderr.splitlines()) == 1
    assert (ran.returncode == 0) == (summary["failed"] == 0)
    return ran.returncode == 0


@pytest.mark.parametrize("files", [12, 20, 64])
def test_few_open_files(user: User, files: int):
    """Within any limit each thumbnail is made or its failure is reported; 64 files are enough."""
    ran = limited(user, "RLIMIT_NOFILE", files, "sync", "photos", "thumbs", "--json", "--jobs", "2")
    assert is_honest(user, ran) or files < 64
    assert user.run("sync", "photos", "thumbs").returncode == 0


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_few_processes(user: User, processes: int):
    """A user who may start few or no processes or threads gets sentences, and the next run makes the rest."""
    ran = limited(user, "RLIMIT_NPROC", processes, "sync", "photos", "thumbs", "--json", "--jobs", "2")
    assert not is_honest(user, ran) or processes > 1
    again = user.run("sync", "photos", "thumbs", "--json")
    assert (again.returncode, json.loads(again.stdout.splitlines()[-1])["failed"]) == (0, 0)
