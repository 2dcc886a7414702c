"""Builds the native decoder into the package, and makes the README the long description of the package.

The compiler that the variable CC names compiles for this machine. Without that variable, ziglang compiles for both
processors of Linux if it is installed, so that every wheel also has the library for functions on AWS; else cc compiles.
WHEEL_MACHINE=x86_64 or aarch64 makes the wheel one for that processor and any Linux with glibc: see `make wheels`.
"""

import os
import platform
import re
import shlex
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

NATIVE = "src/thumbsmith/image/native"
OPTIONS = ("-std=c11", "-O2", "-g0", "-shared", "-fPIC", "-fvisibility=hidden", "-fstack-protector-strong")

# The oldest C library of the wheels: that of manylinux2014, PEP 599.
GLIBC = (2, 17)
MACHINES = ("x86_64", "aarch64")


class NativeHook(BuildHookInterface[Any]):
    """Compiles before a wheel is built, editable ones included."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and tell the builder which files to add and what the wheel is for."""
        folder = Path(self.root, NATIVE)
        built = [target for target, compiler in compilers(folder).items() if compiled(compiler, folder, target)]
        for stale in set(folder.glob("*.so")) - set(built):
            stale.unlink()
        if not built:
            print("no C compiler: the wheel is built without the native decoder", file=sys.stderr)
            return
        build_data["artifacts"].append(f"/{NATIVE}/*.so")
        if version != "editable":
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{wheel_platform()}"


class ReadmeHook(MetadataHookInterface):
    """Makes README.md the long description. Its relative links lead to the repository, at the tag of the version."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the long description to the metadata."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        repository, tag = metadata["urls"]["Repository"], f"v{package_version(Path(self.root))}"

        def absolute(link: re.Match[str]) -> str:
            page = "raw" if link[1].endswith((".jpg", ".png", ".svg")) else "blob"
            return f"]({repository}/{page}/{tag}/{link[1]})"

        text = re.sub(r"\]\((?!https?:|#)([^)]+)\)", absolute, text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def package_version(root: Path) -> str:
    """Return the version of the package in a checkout."""
    text = (root / "src/thumbsmith/__init__.py").read_text(encoding="utf-8")
    return re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)[0]


def compilers(folder: Path) -> dict[Path, list[str]]:
    """Return the files to make, each with the compiler that makes it."""
    if sys.platform == "linux" and "CC" not in os.environ and find_spec("ziglang"):
        glibc = ".".join(map(str, GLIBC))
        zig = [sys.executable, "-m", "ziglang", "cc", "-target"]
        return {folder / f"eighth-linux-{machine}.so": [*zig, f"{machine}-linux-gnu.{glibc}"] for machine in MACHINES}
    return {folder / f"eighth-{sys.platform}-{platform.machine()}.so": shlex.split(os.environ.get("CC", "cc"))}


def compiled(compiler: list[str], folder: Path, target: Path) -> bool:
    """Return whether the compiler made the file."""
    part = target.with_suffix(".part")
    command = [*compiler, *OPTIONS, "-o", str(part), "eighth.c"]
    try:
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True)
    except OSError:  # there is no such command
        return False
    if done.returncode:
        part.unlink(missing_ok=True)
        return False
    part.replace(target)
    return True


def wheel_platform() -> str:
    """Return the last part of the wheel's name."""
    if machine := os.environ.get("WHEEL_MACHINE"):
        return "manylinux_{}_{}_{}".format(*GLIBC, machine)
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")
