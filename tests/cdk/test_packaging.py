"""The zip of the function: built without Docker for another machine."""

import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

import thumbsmith
from thumbsmith.cdk import packaging
from thumbsmith.errors import UsageError
from thumbsmith.image import eighth

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
MACHINES = {"arm64": b"\xb7\x00", "x86_64": b"\x3e\x00"}  # e_machine: elf(5)


@pytest.fixture(scope="module", params=[("3.13", "arm64"), (HERE, "x86_64")], ids=["arm64", "x86_64"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, packaging.Package]:
    """Return a zip and the report about it."""
    python, architecture = request.param
    target = tmp_path_factory.mktemp("zip") / f"{architecture}.zip"
    return target, packaging.build(target, python=python, architecture=architecture, files={"thumbsmith.toml": "# é"})


def test_all_machine_code_is_for_the_machine(built: tuple[Path, packaging.Package]):
    """All shared libraries in the zip are for the architecture given."""
    target = built[0]
    with zipfile.ZipFile(target) as archive:
        heads = {name: archive.open(name).read(20) for name in archive.namelist() if re.search(r"\.so(\.|$)", name)}
    assert len(heads) > 10
    assert {head[18:20] for head in heads.values()} == {MACHINES[target.stem]}


def test_it_has_the_native_decoder_of_its_machine(built: tuple[Path, packaging.Package]):
    """The zip has the one library for its architecture, where that was built, and no source of it."""
    with zipfile.ZipFile(built[0]) as archive:
        found = [name.rpartition("/")[2] for name in archive.namelist() if "/native/" in name]
    library = eighth.library_path("linux", packaging.MACHINES[built[0].stem])
    assert found == [library.name] * library.exists()


def test_it_holds_what_the_function_needs_and_no_more(built: tuple[Path, packaging.Package]):
    """It has the engine, its libraries with licenses, and the recipe; no command line, no CDK, no other service."""
    with zipfile.ZipFile(built[0]) as archive:
        names = set(archive.namelist())
        assert archive.read("thumbsmith.toml").decode() == "# é"
        assert {entry.date_time for entry in archive.infolist()} == {packaging.FILE_DATE}
    assert {"thumbsmith/reconcile/converge.py", "PIL/Image.py", "botocore/session.py"} <= names
    assert any(re.fullmatch(r"pillow-.*\.dist-info/METADATA", name) for name in names)
    folders = {name.split("/")[0] for name in names} | {"/".join(name.split("/")[:2]) for name in names}
    assert not folders & {"click", "rich", "watchfiles", "aws_cdk", "bin", "thumbsmith/cli", "thumbsmith/cdk"}
    services = {name.split("/")[2] for name in names if name.startswith("botocore/data/") and name.count("/") > 2}
    assert services == set(packaging.SERVICES)


def test_the_api_has_what_it_answers_with(tmp_path: Path):
    """The zip of the API has the application without page and decoders, in 5 MB, and its version."""
    target = tmp_path / "api.zip"
    packaging.build(target, python="3.13", architecture="arm64", contents=packaging.API)
    assert target.stat().st_size <= 5_000_000
    with zipfile.ZipFile(target) as archive:
        names = set(archive.namelist())
    assert {"thumbsmith/aws/api.py", "thumbsmith/web/app.py", "starlette/routing.py", "anyio/__init__.py"} <= names
    assert f"thumbsmith-{version('thumbsmith')}.dist-info/METADATA" in names
    assert not {name.split("/")[0] for name in names} & {"PIL", "pi_heif", "uvicorn", "uvloop", "watchfiles"}
    assert not [
        name for name in names if name.startswith(("thumbsmith/web/assets", "thumbsmith/cli", "thumbsmith/cdk"))
    ]


def test_it_is_small(built: tuple[Path, packaging.Package]):
    """The zip has at most 40 MB, and the size reported."""
    target, package = built
    assert package.zip_bytes == target.stat().st_size <= 40_000_000
    with zipfile.ZipFile(target) as archive:
        assert package.bytes == sum(entry.file_size for entry in archive.infolist())


def test_bytecode_is_shipped_or_its_absence_told(built: tuple[Path, packaging.Package]):
    """All modules have unchecked bytecode, or none has, which is reported."""
    target, package = built
    with zipfile.ZipFile(target) as archive:
        compiled = [archive.open(name).read(8) for name in archive.namelist() if name.endswith(".pyc")]
        modules = [name for name in archive.namelist() if name.endswith(".py")]
    assert package.bytecode == (len(compiled) == len(modules))
    assert package.bytecode or not compiled
    assert {head[4:8] for head in compiled} <= {b"\x01\0\0\0"}  # PEP 552: by hash, unchecked
    if target.stem == "x86_64":
        assert package.bytecode


def test_one_content_is_one_zip(tmp_path: Path):
    """Two builds of the same content are equal, byte for byte, so nothing is deployed again."""
    zips = [tmp_path / name for name in ("one.zip", "other.zip")]
    for each in zips:
        packaging.build(each, python=HERE, architecture="x86_64")
    assert zips[0].read_bytes() == zips[1].read_bytes()


def test_a_version_without_wheels_is_refused(tmp_path: Path):
    """A missing wheel gives one sentence with the Python and the architecture."""
    with pytest.raises(UsageError, match=r"Python 3\.7 on arm64"):
        packaging.build(tmp_path / "function.zip", python="3.7", architecture="arm64")


@pytest.mark.parametrize(
    ("contents", "needed"),
    [
        (packaging.CONVERGING, {"botocore", "pillow", "pi-heif"}),
        (packaging.API, {"starlette"}),
        (replace(packaging.CONVERGING, extras=packaging.EXTRAS), {"pillow", "pypdfium2", "resvg-py", "rawpy", "numpy"}),
    ],
)
def test_everything_is_pinned_by_hash(contents: packaging.Contents, needed: set[str]):
    """Each requirement of a function has one version and hashes."""
    text = "".join(each.read_text() for each in contents.requirements)
    pins = re.findall(r"^([a-z0-9-]+)==\S+ \\$", text, re.MULTILINE)
    assert needed <= set(pins)
    assert len(re.findall(r"^\S+==", text, re.MULTILINE)) == len(pins)
    assert text.count("--hash=sha256:") >= 2 * len(pins)


def test_an_extra_adds_its_decoders(tmp_path: Path):
    """The code with an extra has the packages and fonts that it needs, and stays within the limit of Lambda."""
    contents = replace(packaging.CONVERGING, extras=("documents",))
    target = tmp_path / "function.zip"
    built = packaging.build(target, python="3.13", architecture="arm64", contents=contents)
    with zipfile.ZipFile(target) as archive:
        names = set(archive.namelist())
    assert {"pypdfium2_raw/libpdfium.so", "fontpkg_arimo/files/Arimo[wght].ttf"} <= names
    assert any(name.startswith("resvg_py/resvg_py") for name in names)
    assert not any(name.startswith(("rawpy/", "numpy/")) for name in names)
    assert built.bytes < 250 << 20


def test_an_installed_package_builds_it_too(tmp_path: Path):
    """An installed wheel, without the checkout, builds the same function."""
    wheel, installed = tmp_path / "wheel", tmp_path / "installed"
    root = Path(thumbsmith.__file__).parents[2]
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheel), str(root)]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    (file,) = wheel.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(installed)
    code = (
        "import pathlib, sys, thumbsmith.cdk.packaging as p;"
        f"p.build(pathlib.Path(sys.argv[1]), python={HERE!r}, architecture='x86_64'); print(p.__file__)"
    )
    target = tmp_path / "function.zip"
    done = subprocess.run(
        [sys.executable, "-c", code, str(target)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.startswith(str(installed))
    other = tmp_path / "checkout.zip"
    packaging.build(other, python=HERE, architecture="x86_64")
    assert set(zipfile.ZipFile(target).namelist()) == set(zipfile.ZipFile(other).namelist())
