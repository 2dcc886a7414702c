"""A user without the rights of root, also where root runs the tests."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cloud.restrictions import ROOT
from tests.pictures import picture
from tests.unprivileged.as_user import REFUSED

SECONDS = 300
THUMBSMITH = (sys.executable, "-m", "thumbsmith")

# No other process runs as this user: the kernel counts the processes of a user over the whole machine.
USER = 40_000 + os.getpid() % 10_000


@dataclass(frozen=True)
class User:
    """Runs commands in a folder that belongs to the user."""

    folder: Path

    def run(self, *arguments: str | Path, **more: object) -> subprocess.CompletedProcess[str]:
        """Run `thumbsmith ARGUMENTS` and return its result."""
        return self.program(*THUMBSMITH, *map(str, arguments), **more)

    def program(
        self, *command: str, environment: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program, with additional variables, in another folder than that of the user."""
        command, variables = self._prepared(command, environment or {})
        return subprocess.run(
            command,
            cwd=folder or self.folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    @contextlib.contextmanager
    def running(self, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
        """Run `thumbsmith ARGUMENTS` during the block."""
        command, variables = self._prepared([*THUMBSMITH, *map(str, arguments)], {})
        pipe = subprocess.PIPE
        with subprocess.Popen(command, cwd=self.folder, env=variables, stdout=pipe, stderr=pipe, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def _prepared(self, command: Sequence[str], more: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
        """Return a command line that runs a command as the user, and its variables."""
        home = self.folder / "home"
        variables = {"PATH": os.defpath, "HOME": str(home), "LANG": "C.UTF-8", "COLUMNS": "300", **more}
        if os.geteuid() != 0:
            return list(command), variables
        become = [sys.executable, "-m", "tests.unprivileged.as_user", str(USER), str(self.folder)]
        return [*become, *command], {**variables, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="session")
def possible(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where root cannot see the file system as another user on this kernel."""
    tried = User(tmp_path_factory.mktemp("user")).program(sys.executable, "-c", "")
    if tried.returncode == REFUSED:
        pytest.skip(tried.stderr.strip())
    assert tried.returncode == 0, tried.stderr


@pytest.fixture
def user(possible: None, tmp_path: Path) -> Iterator[User]:
    """Return a user in a folder with five photographs: two in `photos`, three in `photos/locked`."""
    (tmp_path / "home").mkdir()
    for name in ("a.jpg", "sub/b.jpg", "locked/c.jpg", "locked/d.jpg", "locked/deep/e.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture())
    if os.geteuid() == 0:
        for path in (tmp_path, *tmp_path.rglob("*")):
            os.chown(path, USER, USER)
    yield User(tmp_path)
    for path in (tmp_path, *tmp_path.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)  # before what is in it is listed
