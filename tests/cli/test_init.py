"""`thumbsmith init`: a recipe with all fields."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.cli.command import Command
from thumbsmith.cli.init import commented_recipe
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.fields import Table
from thumbsmith.recipe.schema import DOCUMENT


def test_what_it_writes_is_the_default(thumbsmith: Command):
    """The file is found and loads as the default recipe."""
    ran = thumbsmith("init")
    assert (ran.code, ran.out) == (0, "wrote thumbsmith.toml\n")
    assert Recipe.load("thumbsmith.toml") == Recipe.default()
    assert thumbsmith("sync", "photos", "thumbs").code == 0


def test_every_field_is_there_with_its_default():
    """Without the comment signs, all fields with a default are there, and the recipe is still the default."""
    text = re.sub(r"(?m)^#(?=\w)", "", commented_recipe())
    assert Recipe.loads(text) == Recipe.default()
    written = tomllib.loads(text)
    for name, option in DOCUMENT.options.items():
        if isinstance(option.kind, Table):
            options = option.kind.options
            assert written[name] == {key: each.default for key, each in options.items() if each.default is not None}


def test_every_field_is_explained():
    """Each field of each table is explained in a comment."""
    prose = " ".join(line.removeprefix("# ") for line in commented_recipe().splitlines() if line.startswith("# "))
    for table in DOCUMENT.options.values():
        assert table.description in prose
        for name, option in table.kind.options.items() if isinstance(table.kind, Table) else ():
            assert f"{name}: " in prose
            assert option.description in prose


def test_lines_are_short():
    """No line is longer than 100 characters."""
    assert max(map(len, commented_recipe().splitlines())) <= 100


def test_a_recipe_that_is_there_is_left(thumbsmith: Command):
    """An existing file is not overwritten, and a broken link is not followed: exit code 2."""
    recipe = thumbsmith.folder / "thumbsmith.toml"
    recipe.write_text("mine")
    ran = thumbsmith("init")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "thumbsmith: thumbsmith.toml exists already and was not changed: edit it, or rename it first\n"
    assert recipe.read_text() == "mine"
    recipe.unlink()
    recipe.symlink_to("elsewhere")
    assert thumbsmith("init").code == 2
    assert not Path("elsewhere").exists()


def test_a_folder_that_cannot_be_written_to_is_told(thumbsmith: Command, monkeypatch: pytest.MonkeyPatch):
    """A folder that is not writable gives one sentence and exit code 2."""
    gone = thumbsmith.folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    ran = thumbsmith("init")
    assert ran.code == 2
    assert ran.err == "thumbsmith: thumbsmith.toml cannot be written to the working folder: No such file or directory\n"
