"""Builds the code of a function without Docker: a zip with pinned wheels for its platform, and this package."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from thumbsmith.errors import UsageError

PACKAGE: Final = Path(__file__).parents[1]
DISTRIBUTION: Final = "thumbsmith"

# botocore needs the descriptions of these services. The descriptions of all others would be half of the zip.
SERVICES: Final = ("s3", "dynamodb", "sqs")

# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html: Amazon Linux 2023, glibc 2.34.
PLATFORMS: Final = {"arm64": "aarch64-manylinux_2_34", "x86_64": "x86_64-manylinux_2_34"}

# The processor as the names of native libraries have it (`image/eighth.py`).
MACHINES: Final = {"arm64": "aarch64", "x86_64": "x86_64"}

# The date of all files in the zip. Equal content gives an equal zip, which is not deployed again.
FILE_DATE: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Contents:
    """The content of a kind of function: wheels as pinned in NAME.txt, and this package without `left_out`.

    `extras` are names of EXTRAS, whose wheels are pinned in files of these names.
    """

    name: str
    left_out: tuple[str, ...]
    extras: tuple[str, ...] = ()

    @property
    def requirements(self) -> tuple[Path, ...]:
        """Return the paths of the files that pin the wheels."""
        return tuple(Path(__file__).with_name(f"{each}.txt") for each in (self.name, *self.extras))


# The extras of a function: decoders of further formats.
EXTRAS: Final = ("documents", "raw")

# Functions do not need the parts for the command line.
CONVERGING: Final = Contents("function", ("cli", "cdk", "web", "samples", "__pycache__"))
API: Final = Contents("api", ("cli", "cdk", "assets", "samples", "__pycache__"))


@dataclass(frozen=True, slots=True)
class Package:
    """The result: size of the zip, size of all files in it, and whether it contains bytecode."""

    zip_bytes: int
    bytes: int
    bytecode: bool


def build(
    target: Path,
    *,
    python: str,
    architecture: str,
    contents: Contents = CONVERGING,
    files: dict[str, str] | None = None,
    folder: Path | None = None,
) -> Package:
    """Write the zip to `target` for a Python ("3.13") on an architecture ("arm64" or "x86_64").

    `files` are texts to add, by name. All files of a `folder` are added too. Raises UsageError if a pinned wheel does
    not exist for the platform, and OSError from the file system.
    """
    with tempfile.TemporaryDirectory(prefix="thumbsmith-package-") as name:
        root = Path(name)
        _install(root, python, architecture, contents.requirements)
        shutil.copytree(PACKAGE, root / "thumbsmith", ignore=shutil.ignore_patterns(*contents.left_out))
        _keep_native(root / "thumbsmith", MACHINES[architecture])
        _describe(root)
        if folder:
            shutil.copytree(folder, root, dirs_exist_ok=True)
        for path, text in (files or {}).items():
            (root / path).write_text(text, encoding="utf-8")
        _strip(root)
        bytecode = _compile(root, python)
        size = _zip(root, target)
        return Package(zip_bytes=target.stat().st_size, bytes=size, bytecode=bytecode)


def _install(root: Path, python: str, architecture: str, requirements: tuple[Path, ...]) -> None:
    """Install the pinned wheels for that platform. No code of a wheel is compiled or run."""
    command = ["install", "--quiet", "--target", str(root), "--python-version", python, "--link-mode", "copy"]
    command += ["--python-platform", PLATFORMS[architecture], "--only-binary", ":all:", "--no-deps"]
    files = [part for each in requirements for part in ("--requirement", str(each))]
    done = _uv("pip", *command, "--require-hashes", *files)
    if done.returncode:
        raise UsageError(f"cannot build the code for Python {python} on {architecture}: {done.stderr.strip()}")


def _keep_native(package: Path, machine: str) -> None:
    """Remove native libraries for other machines, and their source. Where none is left, the function works without."""
    for file in (package / "image" / "native").glob("*"):
        if file.name != f"eighth-linux-{machine}.so":
            file.unlink()


def _describe(root: Path) -> None:
    """Write the metadata with the version, which a copied package does not have."""
    folder = root / f"{DISTRIBUTION}-{version(DISTRIBUTION)}.dist-info"
    folder.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: {version(DISTRIBUTION)}\n"
    (folder / "METADATA").write_text(metadata, encoding="utf-8")


def _strip(root: Path) -> None:
    """Remove files that no function needs: commands, type stubs, other services, bytecode of other versions."""
    services = root / "botocore" / "data"
    unused = [path for path in services.iterdir() if path.is_dir() and path.name not in SERVICES]
    for folder in (root / "bin", *unused, *root.rglob("__pycache__")):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (root / ".lock", *root.rglob("*.pyi")):
        file.unlink(missing_ok=True)


def _compile(root: Path, python: str) -> bool:
    """Add bytecode, which needs a Python of that version here; return whether it was added.

    The code folder is read-only on Lambda. Without bytecode, each cold start compiles all imported modules. Python does
    not compare the bytecode with the date of its source, which is not in the zip (PEP 552).
    """
    interpreter = _interpreter(python)
    if interpreter is None:
        return False
    command = ["-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(root), str(root)]
    done = subprocess.run([interpreter, *command], check=False, stdout=subprocess.DEVNULL)  # noqa: S603 - no user input
    return done.returncode == 0


def _interpreter(python: str) -> str | None:
    """Return a Python of that version on this machine: the running one, or one that uv finds. Downloads nothing."""
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    done = _uv("python", "find", "--no-project", "--no-python-downloads", python)
    return done.stdout.strip() if done.returncode == 0 else None


def _zip(root: Path, target: Path) -> int:
    """Write all files below the root in sorted order, with one date; return their size in bytes."""
    size = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), FILE_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if path.name == "bootstrap" else 0o100644) << 16
            data = path.read_bytes()
            archive.writestr(entry, data)
            size += len(data)
    return size


def _uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run uv, which the extra `cdk` installs."""
    command = [sys.executable, "-m", "uv", "--no-progress", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - no user input
