"""The documentation site: every page has a place, every link leads to a page, and the build has no warning."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import prepare
import reference
from http_reference import OF_ACCESS, PROBLEMS
from thumbsmith.cli.app import COMMANDS
from thumbsmith.environment import Setting
from thumbsmith.errors import Code
from thumbsmith.recipe.schema import LIMITS, SELECTION, VARIANT
from thumbsmith.web.operations import OPERATIONS, SCHEMAS

ROOT = Path(__file__).parents[2]
ZENSICAL = ROOT / ".venv-docs/bin/zensical"


def _pages(nav: object) -> list[str]:
    """Return the paths of all pages in a navigation, in its order."""
    if isinstance(nav, str):
        return [nav]
    inner = nav.values() if isinstance(nav, dict) else nav
    return [page for each in inner for page in _pages(each)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what `make docs` gives to the site generator."""
    folder = tmp_path_factory.mktemp("website")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "BUILD", folder)
        prepare.prepare()
    return folder


def test_every_page_is_in_the_navigation(built: Path):
    """No page is an orphan, none is listed twice, and each listed page exists."""
    listed = _pages(tomllib.loads((built / "zensical.toml").read_text())["project"]["nav"])
    pages = {str(path.relative_to(built / "docs")) for path in (built / "docs").rglob("*.md")}
    assert sorted(listed) == sorted(pages)
    assert len(pages) > 40


def test_the_address_of_the_project_is_in_one_place(built: Path):
    """Only pyproject.toml has the addresses of the repository and the site; the site gets them from there."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    site = tomllib.loads((built / "zensical.toml").read_text())["project"]
    assert (site["repo_url"], site["site_url"]) == (urls["Repository"], urls["Documentation"])
    folders = (
        ROOT / name for name in ("src", "docs", "website", "examples", "deploy", ".github", ".ci", "requirements")
    )
    files = [*ROOT.glob("*.*"), *(path for folder in folders for path in folder.rglob("*"))]
    texts = [path for path in files if path.suffix in {".md", ".py", ".toml", ".yml", ".yaml", ".js", ".html", ".in"}]
    assert len(texts) > 300
    address = urls["Repository"].removeprefix("https://")
    assert [path for path in texts if address in path.read_text(encoding="utf-8")] == [ROOT / "pyproject.toml"]


def test_links_between_pages_lead_to_pages_of_the_site(built: Path):
    """Each relative link of a prepared page leads to a file of the site, and each link to the repository to a file."""
    repository = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    for page in (built / "docs").rglob("*.md"):
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)#\s]+)", text):
            if link.startswith(f"{repository}/blob/main/"):
                assert (ROOT / link.removeprefix(f"{repository}/blob/main/")).exists(), (page, link)
            elif not urlsplit(link).scheme:
                assert (page.parent / unquote(link)).exists(), (page, link)


def test_the_reference_is_complete():
    """It has every command, field, operation, public name, environment variable and rejection code."""
    import thumbsmith  # noqa: PLC0415 - the names that this test is about

    commands, python, http, recipe = reference.commands(), reference.python(), reference.http(), reference.recipe()
    assert all(f"\n## `thumbsmith {name}`\n" in commands for name in COMMANDS)
    assert "\n## `thumbsmith aws deploy`\n" in commands
    assert all(f"\n## `{name}`\n" in python for name in thumbsmith.__all__ if not name.startswith("_"))
    assert all(f"\n## `{each.method} {each.path}`\n" in http for each in OPERATIONS)
    assert all(f"\n## {name}\n" in http for name in SCHEMAS)
    fields = [name for table in (VARIANT, SELECTION, LIMITS) for name in table.options]
    assert all(f"\n| `{name}` | " in recipe for name in fields)
    assert all(f"| `{each}` |" in reference.environment() for each in Setting)
    assert all(f"| `{code}` |" in reference.codes() for code in Code)


def test_each_problem_of_the_api_is_explained():
    """The reference says what each status of a problem means, and no other status."""
    used = {status for each in OPERATIONS for status in each.problems} | OF_ACCESS
    assert set(PROBLEMS) - {400} == used - {400}


def test_the_generated_reference_has_no_copy_in_the_repository():
    """No page in docs/ has a section or a table of the generated pages, and no page has the name of one."""
    pages = {path: path.read_text() for path in (ROOT / "docs").rglob("*.md")}
    assert not (ROOT / "docs/reference").exists()
    for make in reference.PAGES.values():
        parts = re.findall(r"\n(?:\|.*\n){4,}", make())
        copies = [(path, part) for path, text in pages.items() for part in parts if part in text]
        assert copies == []


class _Page(HTMLParser):
    """The links, pictures and anchors of a built page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        link = values.get("href") if tag in {"a", "link"} else values.get("src")
        if link and not urlsplit(link).scheme and not link.startswith("//"):
            self.links.add(link)
        self.anchors |= {str(values[name]) for name in ("id", "name") if values.get(name)}


@pytest.mark.skipif(not ZENSICAL.exists(), reason="`make .venv/docs` installs the generator of the site")
def test_the_site_builds_without_warnings(built: Path):
    """The build is strict and prints no warning. Every link, picture and anchor of every page exists."""
    command = [ZENSICAL, "build", "--strict", "--clean", "--config-file", built / "zensical.toml"]
    done = subprocess.run(command, cwd=built, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "arning" not in done.stdout + done.stderr
    site = built / "site"
    pages = {file: _Page() for file in site.rglob("*.html") if file.name != "404.html"}
    for file, page in pages.items():
        page.feed(file.read_text())
    reached = {site / "index.html"}
    for file, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            target = Path(os.path.normpath(file.parent / unquote(parts.path))) if parts.path else file
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), (file, link)
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, (file, link)
            if target != file:
                reached.add(target)
    assert set(pages) <= reached


@pytest.mark.skipif(not ZENSICAL.exists(), reason="`make .venv/docs` installs the generator of the site")
@pytest.mark.parametrize("fault", ["[gone](gone.md)", "[gone](recipe.md#gone)"])
def test_a_broken_link_stops_the_build(built: Path, tmp_path: Path, fault: str):
    """The check of the build can fail: a link to a missing page or heading stops it."""
    shutil.copytree(built / "docs", tmp_path / "docs")
    shutil.copy(built / "zensical.toml", tmp_path)
    (tmp_path / "docs/concepts.md").write_text(f"# Concepts\n\n{fault}\n")
    command = [ZENSICAL, "build", "--strict", "--config-file", tmp_path / "zensical.toml"]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, timeout=300)
    assert done.returncode != 0


def test_prepare_runs_as_make_runs_it(tmp_path: Path):
    """The script finds its modules when it is started by its path, from any folder."""
    copy = tmp_path / "project"
    shutil.copytree(ROOT / "website", copy / "website")
    shutil.copytree(ROOT / "docs", copy / "docs")
    for name in ("pyproject.toml", *prepare.SHOWN):
        shutil.copy(ROOT / name, copy)
    subprocess.run([sys.executable, copy / "website/prepare.py"], cwd=tmp_path, check=True, timeout=120)
    assert (copy / "build/docs/reference/commands.md").is_file()
