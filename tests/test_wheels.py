"""The wheels: a native decoder for each processor, the same bytes each time; pure Python where nothing compiles."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from thumbsmith.image import eighth

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the list of files of a git checkout")

MACHINES = {"x86_64": b"\x3e\x00", "aarch64": b"\xb7\x00"}  # e_machine: elf(5)


def checkout(folder: Path) -> Path:
    """Return a copy of what builds the package."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    for name in listed.split("\0"):
        if name.startswith(("src/", "hatch_build.py", "pyproject.toml", "README.md", "LICENSE")):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    return folder


def wheel(folder: Path, out: Path, *options: str, **environment: str) -> Path:
    """Return the wheel that is built from a checkout with these variables."""
    command = [sys.executable, *options, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=folder, env=os.environ | environment, check=True, capture_output=True, timeout=600)
    (found,) = out.iterdir()
    return found


def libraries(file: Path) -> dict[str, bytes]:
    """Return the native libraries of a wheel by name."""
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.endswith(".so")}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a wheel for each machine, and one more from another checkout."""
    folder = tmp_path_factory.mktemp("wheels")
    one, other = checkout(folder / "one"), checkout(folder / "other")
    orders = {"x86_64": one, "aarch64": one, "again": other}
    return {
        name: wheel(source, folder / name, WHEEL_MACHINE=name if name in MACHINES else "x86_64")
        for name, source in orders.items()
    }


def test_a_wheel_is_the_same_each_time(made: dict[str, Path]):
    """Two wheels from two checkouts are equal."""
    assert made["x86_64"].read_bytes() == made["again"].read_bytes()


@pytest.mark.parametrize("machine", MACHINES)
def test_a_wheel_has_the_libraries_for_both_processors(made: dict[str, Path], machine: str):
    """Each wheel is for one processor. It has the other library too, which functions on AWS may need."""
    assert made[machine].name.endswith(f"-py3-none-manylinux_2_17_{machine}.whl")
    found = {name.rpartition("-")[2]: data[18:20] for name, data in libraries(made[machine]).items()}
    assert found == {f"{each}.so": code for each, code in MACHINES.items()}


def test_a_library_needs_no_new_c_library(made: dict[str, Path]):
    """No symbol of the libraries is of a newer version of glibc than the name of the wheel says."""
    for data in libraries(made["x86_64"]).values():
        versions = {part.split(b"\0")[0] for part in data.split(b"GLIBC_2.")[1:]}
        assert versions
        assert all(tuple(map(int, each.split(b"."))) <= (17,) for each in versions)


@pytest.mark.parametrize("compiler", ["false", "no-such-compiler"])
def test_without_a_compiler_the_wheel_is_pure_python(tmp_path: Path, compiler: str):
    """Where nothing compiles, the wheel is built without the decoder, for any machine."""
    folder = checkout(tmp_path / "checkout")
    (folder / "src/thumbsmith/image/native/eighth-linux-x86_64.so").touch()  # left by an earlier build
    made = wheel(folder, tmp_path / "out", CC=compiler)
    assert made.name.endswith("-py3-none-any.whl")
    assert not libraries(made)


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
def test_the_compiler_of_the_system_builds_for_this_machine(tmp_path: Path):
    """The compiler in the variable CC gives a wheel that has the library for this machine alone."""
    made = wheel(checkout(tmp_path / "checkout"), tmp_path / "out", CC="cc")
    (name,) = libraries(made)
    assert name == f"thumbsmith/image/native/{eighth.library_path().name}"
