"""The path of a stranger: a built wheel in a fresh environment, and the entry pages as written, in both languages."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.pictures import picture

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).parent / "uv"
DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="60"><rect width="90" height="60"/></svg>'

# A command that only works with the extra.
OF_EXTRAS = {
    "heic": "thumbsmith doctor",
    "documents": "thumbsmith make drawing.svg --size 32",
    "raw": "python -c 'import rawpy'",
    "nats": "python -c 'import nats, thumbsmith.dispatch.jetstream'",
    "amqp": "python -c 'import pika'",
    "web": "python -c 'from thumbsmith.web import application; application'",
    "cdk": "python -c 'from thumbsmith.cdk import ThumbnailGenerator; ThumbnailGenerator'",
}
OF_EXTRAS["all"] = " && ".join(OF_EXTRAS.values())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel in pure Python."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"CC": "false"}, check=True, capture_output=True, timeout=300)
    return next(out.glob("*.whl"))


def _installed(requirement: str, where: Path) -> Path:
    """Install with wheels from the cache only, at the pinned versions; return the folder of the programs."""
    # A host without XDG_CACHE_HOME has its cache in the home folder. The tests set that variable for our commands.
    kept = {name: value for name, value in os.environ.items() if name not in {"XDG_CACHE_HOME", "PYTHONPATH"}}
    subprocess.run([UV, "venv", "--quiet", "--no-config", "--python", sys.executable, where], env=kept, check=True)
    pinned = ("--no-verify-hashes", "--constraints", ROOT / "requirements/cdk.txt", "--python", where / "bin/python")
    install = [UV, "pip", "install", "--quiet", "--no-config", "--offline", *pinned, requirement]
    done = subprocess.run(install, env=kept, check=False, capture_output=True, text=True, timeout=600)
    if "not found in the cache" in done.stderr or "not available in the cache" in done.stderr:
        pytest.skip("the cache of uv lacks a wheel; `make .venv/cdk` fills it")
    assert done.returncode == 0, done.stderr
    return where / "bin"


def _run(commands: str, programs: Path, folder: Path) -> str:
    """Run commands in a shell that finds only the system's programs and those of the new environment."""
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, (commands, done.stdout, done.stderr)
    return done.stdout


def _folder(where: Path) -> Path:
    """Return a folder with the files that the pages name."""
    for path in ("photo.jpg", "photos/cat.jpg", "photos/7.jpg"):
        (where / path).parent.mkdir(parents=True, exist_ok=True)
        (where / path).write_bytes(picture(size=(300, 200)))
    (where / "drawing.svg").write_text(DRAWING)
    return where


def _steps(page: str) -> list[str]:
    """Return the blocks of shell commands of a page, without those that install or need a checkout."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    return [block for block in blocks if not re.match(r"(pip|make) ", block)]


def _follow(pages: tuple[str, ...], programs: Path, where: Path) -> None:
    """Do all steps of each page in a new folder, and expect what the page promises."""
    for page in pages:
        folder = _folder(where / page.replace("/", "-"))
        steps = _steps(page)
        assert sum("thumbsmith sync" in step for step in steps) == 1
        for step in steps:
            _run(step, programs, folder)
        assert (folder / "photo.jpg.256.webp").is_file()
        assert (folder / "thumbs/7.jpg/manifest.json").is_file()


def test_each_extra_has_a_row_and_a_command():
    """The quick starts list all extras, except the one that is empty, and this file has a command for each."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(OF_EXTRAS) == set(extras)
    for page in ("docs/index.md", "docs/inicio.md"):
        rows = re.findall(r"^\| `(\w+)` \|", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
        assert sorted(rows) == sorted(set(extras) - {"heic"})
    for page in ("README.md", "README.es.md"):
        (shown,) = re.findall(r"extras: (.*)", (ROOT / page).read_text(encoding="utf-8"))
        assert sorted(shown.split(", ")) == sorted(set(extras) - {"heic"})


@pytest.mark.parametrize(
    "pages", [("README.md", "docs/index.md"), ("README.es.md", "docs/inicio.md")], ids=["English", "español"]
)
def test_a_stranger_follows_the_entry_pages(wheel: Path, tmp_path: Path, pages: tuple[str, ...]):
    """After a plain install, every command of the entry pages works as it is written."""
    programs = _installed(str(wheel), tmp_path / "environment")
    _follow(pages, programs, tmp_path)
    shown = _run("python -c 'import thumbsmith; print(thumbsmith.__file__)'", programs, tmp_path)
    assert shown.startswith(str(tmp_path))


@pytest.mark.deep
@pytest.mark.parametrize("extra", OF_EXTRAS)
def test_a_stranger_installs_an_extra(wheel: Path, tmp_path: Path, extra: str):
    """With each extra the entry pages work as well, and so does what the extra adds. Without it, that does not."""
    programs = _installed(f"{wheel}[{extra}]", tmp_path / "environment")
    _follow(("docs/index.md", "docs/inicio.md"), programs, tmp_path)
    _run(OF_EXTRAS[extra], programs, _folder(tmp_path / "extra"))
    for other, command in OF_EXTRAS.items():
        if extra not in {other, "all"} and other not in {"heic", "all"}:
            with pytest.raises(AssertionError):
                _run(command, programs, _folder(tmp_path / other))
