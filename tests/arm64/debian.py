"""Debian packages of another architecture or release: downloaded and unpacked, never installed on this machine."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# Documentation and translations are half of the files, and no test reads them.
LEFT_OUT = ("doc", "man", "locale", "zoneinfo", "info", "lintian", "bug")


@dataclass(frozen=True)
class Suite:
    """One release of Debian for one architecture, with lists and state of its own below `folder`."""

    folder: Path
    name: str
    architecture: str

    def packages(self, *wanted: str) -> list[Path]:
        """Download the packages and everything that they depend on; return the files. Raises CalledProcessError."""
        archives = self.folder / "cache" / "archives"
        shutil.rmtree(archives, ignore_errors=True)
        (archives / "partial").mkdir(parents=True)
        self._apt("install", "--yes", "--download-only", "--no-install-recommends", *wanted)
        return sorted(archives.glob("*.deb"))

    def package(self, name: str) -> Path:
        """Download one package without its dependencies; return the file. Raises CalledProcessError."""
        self._apt("download", name)
        (found,) = self.folder.glob(f"{name}_*.deb")
        return found

    def depends_on(self, name: str, start: str) -> str:
        """Return the one dependency of a package whose name starts like that: `linux-image-arm64` names a version."""
        lines = (line.split() for line in self._apt("depends", name, program="apt-cache").splitlines())
        (found,) = {line[1] for line in lines if line[0] == "Depends:" and line[1].startswith(start)}
        return found

    def _apt(self, *arguments: str, program: str = "apt-get") -> str:
        command = [program, "-q", *arguments]
        environment = os.environ | {"APT_CONFIG": str(self._configuration), "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            check=True,
            text=True,
            capture_output=True,
        ).stdout

    @cached_property
    def _configuration(self) -> Path:
        """Write what leads apt to this suite, and download its lists."""
        for name in ("lists/partial", "cache/archives/partial", "state", "etc"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "state" / "status").touch()  # nothing is installed: all dependencies are downloaded
        source = f"deb [arch={self.architecture} signed-by={KEYRING}] {mirror()} {self.name} main\n"
        (self.folder / "etc" / "sources.list").write_text(source)
        settings = {
            "Dir::State": self.folder / "state",
            "Dir::State::lists": self.folder / "lists",
            "Dir::State::status": self.folder / "state" / "status",
            "Dir::Cache": self.folder / "cache",
            "Dir::Etc::sourcelist": self.folder / "etc" / "sources.list",
            "Dir::Etc::sourceparts": "-",
            "APT::Architecture": self.architecture,
            "APT::Architectures": self.architecture,
            "APT::Sandbox::User": "",
            "Debug::NoLocking": "1",
        }
        path = self.folder / "apt.conf"
        path.write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
        environment = os.environ | {"APT_CONFIG": str(path)}
        subprocess.run(["apt-get", "-q", "update"], env=environment, check=True, capture_output=True)
        return path


def mirror() -> str:
    """Return the address that this machine gets Debian's packages from. Raises LookupError where apt knows none."""
    form = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN)", "Created-By: Packages"]
    for address in (line.split()[0] for line in _output(form).splitlines() if line):
        if address.rstrip("/").endswith("/debian"):
            return address
    raise LookupError("apt on this machine names no mirror of Debian")


def architecture() -> str:
    """Return this machine's architecture as Debian names it."""
    return _output(["dpkg", "--print-architecture"]).strip()


def _output(command: list[str], **options: Any) -> str:
    """Return what a command prints. Raises CalledProcessError, with what it printed on stderr."""
    return subprocess.run(command, check=True, text=True, capture_output=True, **options).stdout


def unpack(packages: list[Path], root: Path) -> None:
    """Unpack packages below a folder, in the layout where /bin, /sbin and /lib are links to /usr. No script is run."""
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        if not (root / name).is_symlink():
            (root / name).symlink_to(f"usr/{name}")
    excluded = [f"--exclude=./usr/share/{name}" for name in LEFT_OUT]
    for package in packages:
        extract = ["tar", "--extract", "--keep-directory-symlink", "--no-same-owner", "--directory", root, *excluded]
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as contents:
            subprocess.run(extract, stdin=contents.stdout, check=True)
        if contents.returncode:
            raise subprocess.CalledProcessError(contents.returncode, contents.args)
