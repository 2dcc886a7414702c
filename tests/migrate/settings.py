"""Runs `init --from` on settings, and tells what became of them."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.command import Command
from thumbsmith.recipe import Recipe

DIFFERENT = "different: "

# Values that no option has.
ODD = ([1], {"a": 1}, None, True, -5, 1e400, "", "\n", "x" * 5000)


@dataclass(frozen=True)
class Converted:
    """The variants of a recipe, which images it selects, and the sentences about what is different."""

    variants: dict[str, Any]
    selection: dict[str, Any]
    differences: list[str]

    def says(self, words: str) -> bool:
        """Return whether a difference contains these words."""
        return any(words in sentence for sentence in self.differences)


def converted(thumbsmith: Command, kind: str, text: str) -> Converted:
    """Convert settings. The recipe is valid, and has the differences that are printed."""
    recipe = Path("thumbsmith.toml")
    recipe.unlink(missing_ok=True)
    Path("settings").write_text(text, encoding="utf-8")
    ran = thumbsmith("init", "--from", kind, "settings")
    assert ran.code == 0, ran.err
    written = recipe.read_text(encoding="utf-8")
    content = tomllib.loads(written)
    assert [each.name for each in Recipe.loads(written).variants] == list(content["variants"])
    differences = [line.removeprefix(DIFFERENT) for line in ran.out.splitlines() if line.startswith(DIFFERENT)]
    comments = _plain(written)
    assert [sentence for sentence in differences if _plain(sentence) not in comments] == []
    return Converted(content["variants"], content.get("source", {}), differences)


def _plain(text: str) -> str:
    """Return a text without the marks of comments and all spaces: a comment has several lines."""
    return "".join(text.replace("\n#", "").split())


def synced(thumbsmith: Command, kind: str, text: str) -> Converted:
    """Convert settings. `sync` accepts the recipe."""
    found = converted(thumbsmith, kind, text)
    ran = thumbsmith("sync", "photos", "thumbs")
    assert ran.code == 0, ran.err
    return found


def refused(thumbsmith: Command, kind: str, content: bytes) -> str:
    """Return the one sentence about settings that cannot be converted. The exit code is 2, and no file is written."""
    Path("settings").write_bytes(content)
    ran = thumbsmith("init", "--from", kind, "settings")
    assert (ran.code, ran.out) == (2, "")
    assert not Path("thumbsmith.toml").exists()
    assert "Traceback" not in ran.err
    (sentence,) = ran.err.splitlines()
    return sentence.removeprefix("thumbsmith: ")


def variants(toml: str) -> dict[str, Any]:
    """Return the variants that a text in TOML describes."""
    return tomllib.loads(toml)
