"""What the README says is what happens."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.pictures import picture
from thumbsmith import Recipe

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the files that the README speaks of."""
    (tmp_path / "photo.jpg").write_bytes(picture())
    (tmp_path / "photos").mkdir()
    for number in range(23):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(picture(f"#0000{number:02x}"))
    return tmp_path


def _run(command: str, folder: Path) -> str:
    arguments = [sys.executable, "-m", *shlex.split(command, comments=True)]
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=True, timeout=300).stdout


def test_the_commands_run(folder: Path):
    """Every thumbsmith command of the section Use runs as it is written."""
    (block,) = [block for block in _blocks("sh") if "thumbsmith make" in block]
    for command in block.splitlines():
        _run(command, folder)
    assert (folder / "photo.jpg.256.webp").is_file()
    assert (folder / "thumbs" / "22.jpg" / "manifest.json").is_file()


def test_the_output_shown_is_the_output(folder: Path):
    """What the README shows of sync is what sync prints, apart from times."""
    (block,) = _blocks("console")
    lines = block.splitlines()
    for command, shown in zip(lines[::2], lines[1::2], strict=True):
        assert _run(command.removeprefix("$ "), folder).rpartition("; ")[0] == shown.rpartition("; ")[0]


def test_the_python_runs(folder: Path):
    """The Python example runs as it is written, and says what it made."""
    (code,) = _blocks("python")
    code = code.replace("/tmp/thumbs", str(folder / "out"))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.splitlines()[0].startswith("small image/webp 60 40 ")
    assert "made ['7.jpg/small.webp', '7.jpg/small.jpg']" in done.stdout


def test_the_recipe_shown_is_the_default():
    """The recipe that its page shows as the default is the default."""
    recipe = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/recipe.md").read_text(), re.DOTALL)[0]
    assert Recipe.loads(recipe) == Recipe.default()


@pytest.mark.parametrize("name", ["README.md", "README.es.md"])
def test_the_badges_are_true(name: str):
    """Each badge states what the metadata of the package says, and leads to a file of the project."""
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    badges = re.findall(r"/badge/(\w+)-(.*?)-\w{6}\)\]\(([^)#]+)", (ROOT / name).read_text())
    assert [subject for subject, _, _ in badges] == ["python", "license" if name == "README.md" else "licencia"]
    (_, python, _), (_, terms, _) = badges
    assert metadata["requires-python"] == f">={python.partition('_')[0]}"
    assert metadata["license"] == terms.replace("--", "-")
    assert all((ROOT / target).is_file() for _, _, target in badges)


@pytest.mark.parametrize("name", ["README.md", "README.es.md"])
def test_it_is_one_screen(name: str):
    """At most 75 lines, and one picture of the result."""
    text = (ROOT / name).read_text()
    assert len(text.splitlines()) <= 75
    assert len(re.findall(r"(?<!\[)!\[", text)) == 1


def test_every_link_leads_somewhere():
    """Each relative link of every page in the project leads to a file, and each anchor to a heading."""
    pages = list(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))
    assert len(pages) > 5
    for page in pages:
        for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), (page, link)
            if anchor:
                headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
                slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert anchor in slugs, (page, link)


def test_the_two_commands_are_in_the_makefile():
    """The targets demo, test, deep and bench exist."""
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{target}: " in makefile for target in ("demo", "test", "deep", "bench"))
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_spanish_readme_says_the_same():
    """Its commands, recipe and Python are those of the English one, comments aside; it has as many parts."""
    spanish = (ROOT / "README.es.md").read_text()

    def code(text: str) -> list[str]:
        blocks = re.findall(r"```\w+\n.*?```", text, re.DOTALL)
        return [re.sub(r"\s*#.*", "", block) for block in blocks]

    assert code(spanish) == code(README)
    assert len(re.findall("^## ", spanish, re.MULTILINE)) == len(re.findall("^## ", README, re.MULTILINE))
