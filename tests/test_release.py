"""What a release needs: workflows without mistakes."""

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TOOLS = ROOT / ".venv-release/bin"
needs_tools = pytest.mark.skipif(not TOOLS.exists(), reason="`make .venv/release` installs the linters of workflows")


@needs_tools
def test_workflows_follow_their_schema():
    """Each workflow has only keys that the forge knows, with values of the right type."""
    assert len(WORKFLOWS) == 3
    command = [TOOLS / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@needs_tools
def test_workflows_give_no_rights_away():
    """No workflow has more rights than it needs, keeps credentials, or uses an action that is not pinned by commit."""
    command = [TOOLS / "zizmor", "--offline", "--no-progress", "--quiet", *WORKFLOWS]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_list_of_packages_has_the_libraries_inside(tmp_path: Path):
    """Each library that `doctor` names is in the list with the same version, and each file with its checksum."""
    doctor = subprocess.run(
        [sys.executable, "-m", "thumbsmith", "doctor", "--json"], check=True, capture_output=True, text=True
    )
    known = json.loads(doctor.stdout)["libraries"]
    packages = ("pillow", "pi-heif", "pyvips-binary", "pypdfium2", "rawpy", "resvg-py", "click", "not-installed")
    listed = [{"name": name, "version": version(name) if name != "not-installed" else "1"} for name in packages]
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"components": listed}))
    subprocess.run([sys.executable, ROOT / ".ci/sbom.py", path], check=True, timeout=120)
    inner = {each["name"]: each.get("components", []) for each in json.loads(path.read_text())["components"]}
    versions = {(package, each["name"]): each.get("version") for package, parts in inner.items() for each in parts}
    for name in ("libjpeg-turbo", "libtiff", "libwebp", "libavif"):
        assert versions["pillow", name] == known[name]
    assert versions["pyvips-binary", "libvips"] == known["libvips"]
    assert versions["pi-heif", "libheif"] == known["libheif"]
    assert {"libde265", "openjpeg", "pdfium", "LibRaw", "resvg", "mozjpeg", "librsvg"} <= {name for _, name in versions}
    assert all(each["hashes"] for parts in inner.values() for each in parts if each["type"] == "file")
    assert inner["click"] == inner["not-installed"] == []


def test_workflows_run_commands_that_exist():
    """Each target of make that a workflow runs is in the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    targets = {target for file in WORKFLOWS for target in re.findall(r"- run: make (\S+)", file.read_text())}
    assert {"docs", "release-check"} <= targets
    assert [target for target in targets if f"\n{target}: " not in makefile] == []


def test_the_matrix_has_the_versions_of_the_metadata():
    """The workflow tests the oldest version that the package allows, and each version that a classifier names."""
    matrix = re.findall(r"python: \[(.*)\]", (ROOT / ".github/workflows/test.yml").read_text())[0]
    versions = re.findall(r"3\.\d+", matrix)
    metadata = (ROOT / "pyproject.toml").read_text()
    assert versions[0] == re.findall(r'requires-python = ">=(.*)"', metadata)[0]
    assert set(re.findall(r"Python :: (3\.\d+)", metadata)) <= set(versions)
