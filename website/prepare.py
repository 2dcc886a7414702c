"""Fills build/docs with all pages of the site, and build/zensical.toml: `python website/prepare.py`.

The pages are those of docs/, those that the repository has at its root, and the generated reference. Links between
pages stay relative. Links to other files of the project lead to the repository.
"""

import os
import re
import shutil
import tomllib
from pathlib import Path

from reference import PAGES

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
# Pages outside of docs/ that the site shows, and those that pages of the site take the place of.
SHOWN = {"CHANGELOG.md": "changes.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security-policy.md"}
REPLACED = {"README.md": "index.md", "README.es.md": "inicio.md"}
# The places in website/zensical.toml to fill in.
DECISIONS = '{ "Decisions" = "decisions/index.md" }'
PROJECT = "[project]\n"


def origins() -> dict[str, Path]:
    """Return all files of the site that are not generated, by their path in it."""
    files = {str(path.relative_to(ROOT / "docs")): path for path in (ROOT / "docs").rglob("*") if path.is_file()}
    return files | {place: ROOT / name for name, place in SHOWN.items()}


def relinked(page: str, origin: Path, places: dict[Path, str], repository: str) -> str:
    """Return the text of a page with links that are right in the site."""
    readmes = {ROOT / name for name in REPLACED}

    def link(match: re.Match[str]) -> str:
        path, mark, anchor = match[1].partition("#")
        if not path:
            return match[0]
        target = (origin.parent / path).resolve()
        if target in readmes:
            anchor = mark = ""  # the page that takes the place of a README has other headings
        if target in places:
            return f"]({os.path.relpath(places[target], Path(page).parent)}{mark}{anchor})"
        return f"]({repository}/blob/main/{target.relative_to(ROOT)}{mark}{anchor})"

    return re.sub(r"\]\((?!https?:|mailto:)([^)\s]+)\)", link, origin.read_text(encoding="utf-8"))


def decisions(pages: dict[str, Path]) -> tuple[list[str], str]:
    """Return the pages of the decisions in their order, and a page that lists them."""
    names = sorted(name for name in pages if name.startswith("decisions/"))
    titles = [pages[name].read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") for name in names]
    rows = [f"- [{title}]({Path(name).name})" for name, title in zip(names, titles, strict=True)]
    return names, "\n".join(
        ["# Decisions", "", "Each page says what was decided, why, and at what price.", "", *rows, ""]
    )


def prepare() -> None:
    """Write build/docs and build/zensical.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    files = origins()
    places = {path.resolve(): name for name, path in files.items()}
    places |= {ROOT / name: place for name, place in REPLACED.items()}
    places[ROOT / "docs/decisions"] = "decisions/index.md"
    shutil.rmtree(BUILD / "docs", ignore_errors=True)
    order, listing = decisions(files)
    generated = {f"reference/{name}.md": make() for name, make in PAGES.items()} | {"decisions/index.md": listing}
    for name, origin in files.items():
        target = BUILD / "docs" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if origin.suffix == ".md":
            target.write_text(relinked(name, origin, places, project["urls"]["Repository"]), encoding="utf-8")
        else:
            shutil.copyfile(origin, target)
    for name, text in generated.items():
        target = BUILD / "docs" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    listed = ", ".join(f'"{name}"' for name in ["decisions/index.md", *order])
    settings = (ROOT / "website/zensical.toml").read_text(encoding="utf-8")
    addresses = f'site_url = "{project["urls"]["Documentation"]}"\nrepo_url = "{project["urls"]["Repository"]}"\n'
    for marked, filled in ((DECISIONS, f'{{ "Decisions" = [{listed}] }}'), (PROJECT, PROJECT + addresses)):
        if settings.count(marked) != 1:
            raise SystemExit(f"website/zensical.toml: expected {marked.strip()} once")
        settings = settings.replace(marked, filled)
    (BUILD / "zensical.toml").write_text(settings, encoding="utf-8")


if __name__ == "__main__":
    prepare()
