"""The package: what importing it costs, and that wheel and sdist install and run."""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

import thumbsmith
from tests.pictures import picture

ROOT = Path(__file__).parents[1]


def _imported(statements: str) -> set[str]:
    code = f"{statements}; import sys; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], env={}, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_engine_loads_no_heavy_library():
    """What `thumbsmith` names loads no image, command-line, web or network library, and no TOML reader."""
    heavy = {"PIL", "pi_heif", "click", "rich", "tomllib", "asyncio", "socketserver", "http", "urllib.request"}
    loaded = _imported("from thumbsmith import *")
    assert {"thumbsmith.reconcile.converge", "thumbsmith.image.render"} <= loaded
    assert not heavy & loaded


def test_a_worker_process_can_be_launched_before_all_else():
    """To launch one loads a handful of modules, not the engine."""
    loaded = _imported("from thumbsmith.worker.launch import Launched")
    ours = {name for name in loaded if name.startswith("thumbsmith")}
    assert ours == {
        "thumbsmith",
        "thumbsmith.errors",
        "thumbsmith.environment",
        "thumbsmith.worker",
        "thumbsmith.worker.launch",
    }
    assert not {"dataclasses", "pathlib", "json", "hashlib"} & loaded


def test_the_public_names_are_there():
    """The promised names are importable from the package, and are what they are called."""
    assert {"Recipe", "converge", "open_store", "render", "sync", "plan"} <= set(thumbsmith.__all__)
    assert callable(thumbsmith.render)
    assert callable(thumbsmith.converge)


def test_modules_do_not_hide_the_functions_of_their_names():
    """`converge` and `render` are functions too where the modules of these names were imported first."""
    first = "import thumbsmith.reconcile.converge, thumbsmith.image.render, thumbsmith.bulk.sync; "
    _imported(first + "from thumbsmith import converge, render; assert callable(converge) and callable(render)")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the wheel, built from the sdist, and the sdist."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


def test_the_wheel_holds_what_runs_and_nothing_else(built: tuple[Path, Path]):
    """The wheel has the package with its samples, type marker and licence; the sdist what builds and tests it."""
    wheel = set(zipfile.ZipFile(built[0]).namelist())
    assert {"thumbsmith/py.typed", "thumbsmith/samples/rocket.jpg", "thumbsmith/samples/PROVENANCE.md"} <= wheel
    assert any(name.endswith("licenses/LICENSE") for name in wheel)
    assert not [name for name in wheel if not name.startswith("thumbsmith")]
    with tarfile.open(built[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "tests/pictures.py", "docs/recipe.md"} <= names


def test_the_sdist_holds_all_files_of_the_project(built: tuple[Path, Path]):
    """Each file that git knows is in the sdist: the tests read many of them. Nothing else is in it but its metadata."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs the list of files of a git checkout")
    command = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    files = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    with tarfile.open(built[1]) as sdist:
        packed = {member.name.partition("/")[2] for member in sdist.getmembers() if member.isfile()}
    assert packed == files | {"PKG-INFO"}


def test_the_long_description_is_readable_outside_of_the_repository(built: tuple[Path, Path]):
    """Its links and pictures are complete addresses at the tag of this version, and lead to files of the project."""
    with zipfile.ZipFile(built[0]) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        text = wheel.read(name).decode()
    assert "Description-Content-Type: text/markdown" in text
    links = re.findall(r"\]\(([^)#]+)", text)
    assert links
    assert all(link.startswith("https://") for link in links)
    ours = re.findall(rf"/(?:blob|raw)/v{re.escape(thumbsmith.__version__)}/([^)#]+)", text)
    assert ours
    assert [path for path in ours if not (ROOT / path).exists()] == []


def test_the_wheel_runs(built: tuple[Path, Path], tmp_path: Path):
    """Installed from its wheel, away from the checkout, the demo makes its thumbnails."""
    target = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*install, str(built[0])], check=True, capture_output=True, timeout=300)
    run = [sys.executable, "-m", "thumbsmith", "demo"]
    env = {"PYTHONPATH": str(target)}
    done = subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, text=True, check=True, timeout=300)
    assert re.match(r"(\d+) sources: \1 made, 0 fresh", done.stdout)
    where = [sys.executable, "-c", "import thumbsmith; print(thumbsmith.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert found.stdout.startswith(str(target))


@pytest.fixture
def fresh(built: tuple[Path, Path], tmp_path: Path) -> Path:
    """Return the folder of the programs in a new environment, with the wheel installed.

    Other packages come from the environment of the tests, so that nothing is downloaded.
    """
    root = tmp_path / "fresh"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root)], check=True, timeout=300)
    (packages,) = root.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [sys.executable, "-m", "pip", "--python", str(root / "bin/python"), "install", "--no-deps", "--no-index"]
    subprocess.run([*install, str(built[0])], check=True, capture_output=True, timeout=300)
    return root / "bin"


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_the_first_ten_minutes(fresh: Path, tmp_path: Path):
    """In a new environment, each step of docs/tutorial.md runs as it is written, with the recipe that it shows."""
    page = (ROOT / "docs/tutorial.md").read_text()
    (recipe,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    first, *_ = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    folder = tmp_path / "home"
    (folder / "photos").mkdir(parents=True)
    for name in ("cat.jpg", "dog.jpg"):
        (folder / "photos" / name).write_bytes(picture(size=(300, 200)))
    env = {"PATH": f"{fresh}:{os.environ['PATH']}", "HOME": str(folder), "BROWSER": "true"}
    where = [fresh / "python", "-c", "import thumbsmith; print(thumbsmith.__file__)"]
    assert subprocess.check_output(where, env=env, text=True).startswith(str(fresh.parent))
    with contextlib.ExitStack() as stack:
        address = "http://127.0.0.1:8080"
        outputs = {}
        for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL):
            if block.startswith("thumbsmith serve"):
                command = [*shlex.split(block), "--port", "0"]
                server = stack.enter_context(subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE))
                stack.callback(server.terminate)
                assert server.stderr
                address = server.stderr.readline().decode().partition("/ serves ")[0]
                continue
            script = "set -eu\n" + block.replace("http://127.0.0.1:8080", address)
            ran = subprocess.run(
                ["bash", "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300
            )
            assert ran.returncode == 0, (block, ran.stderr)
            if block == "thumbsmith sync photos thumbs\n" and "sync" not in outputs:
                assert all((folder / path).is_file() for path in first.split())
            if block == "thumbsmith init\n":
                (folder / "thumbsmith.toml").write_text(recipe)
            outputs[block.split()[1]] = ran.stdout
    assert (folder / "try/cat.jpg.256.webp").is_file()
    assert outputs["html"].startswith("<picture>")
    assert json.loads(outputs["-T"])["source"]["key"] == "new/cat.jpg"
    assert outputs["sync"].startswith("3 sources: 0 made, 3 fresh")
    names = {path.name for path in (folder / "thumbs/cat.jpg").iterdir()}
    assert names == {"card.webp", "card.jpg", "wide.webp", "manifest.json"}
