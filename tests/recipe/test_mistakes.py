"""An invalid recipe is refused with one sentence: file, table, key, what was expected, what was found."""

from pathlib import Path

import pytest

from tests.recipe.mistakes import MISTAKES, Mistake
from thumbsmith.errors import RecipeError
from thumbsmith.recipe import Recipe


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.sentence[:50])
def test_a_mistake_gets_its_sentence(mistake: Mistake):
    """Each kind of mistake gets exactly its sentence, in one line."""
    with pytest.raises(RecipeError) as refused:
        Recipe.loads(mistake.toml, file="thumbsmith.toml")
    assert str(refused.value) == f"thumbsmith.toml: {mistake.sentence}"
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[limits]\nmax_bytes = \n", "line 2, column 13"),
        ("[limits]\n[limits]\n", "line 2, column 8"),
        ("[variants.small\n", "line 1, column 16"),
        ("a = [", "end of document"),
        ("[defaults]\nwidth = " + "9" * 5000, "digits"),
    ],
)
def test_what_is_not_toml_is_refused_with_its_place(text: str, place: str):
    """Invalid TOML, and TOML on which the parser fails, gets one sentence with the file and the place."""
    with pytest.raises(RecipeError) as refused:
        Recipe.loads(text, file="my.toml")
    assert str(refused.value).startswith("my.toml: expected TOML, found: ")
    assert place in str(refused.value)
    assert str(refused.value).isprintable()


def test_toml_nested_too_deeply_is_refused():
    """Lists that are nested too deeply for the parser are refused like other invalid TOML."""
    with pytest.raises(RecipeError, match=r"^recipe: expected TOML, found: "):
        Recipe.loads("a = " + "[" * 50_000)


def test_text_without_a_file_is_called_recipe():
    """Without the name of a file, the sentence begins with "recipe"."""
    with pytest.raises(RecipeError, match=r"^recipe: limits: expected a table, found 1$"):
        Recipe.loads("limits = 1")


def test_the_sentence_names_the_file_that_was_loaded(tmp_path: Path):
    """The sentence about a mistake in a file begins with the path as given."""
    path = tmp_path / "thumbsmith.toml"
    path.write_text("limits = 1")
    with pytest.raises(RecipeError) as refused:
        Recipe.load(path)
    assert str(refused.value) == f"{path}: limits: expected a table, found 1"


def test_a_missing_file_is_refused(tmp_path: Path):
    """A missing file is a RecipeError of one sentence, not an OSError."""
    with pytest.raises(RecipeError) as refused:
        Recipe.load(tmp_path / "none.toml")
    assert str(refused.value) == f"{tmp_path}/none.toml: expected a readable file, found: No such file or directory"


def test_a_folder_is_no_recipe(tmp_path: Path):
    """A folder in place of the file is a RecipeError of one sentence."""
    with pytest.raises(RecipeError) as refused:
        Recipe.load(str(tmp_path))
    assert str(refused.value) == f"{tmp_path}: expected a readable file, found: Is a directory"


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path):
    """Text in another encoding is refused with the byte and its place."""
    path = tmp_path / "latin.toml"
    path.write_bytes("# été".encode("latin-1"))
    with pytest.raises(RecipeError) as refused:
        Recipe.load(path)
    assert str(refused.value) == f"{path}: expected UTF-8 text, found byte 0xe9 at offset 2"
