"""The entry pages are easy to read: short sentences, and one word for each thing."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGLISH = ["README.md", "docs/index.md", "docs/tutorial.md", "docs/concepts.md"]
SPANISH = ["README.es.md", "docs/inicio.md"]
LONGEST = 30  # words

# Words for which the glossary has another one.
OTHER_WORDS = {
    **dict.fromkeys(("derivative", "derivatives", "resized image", "preview", "miniature"), "thumbnail"),
    **dict.fromkeys(("preset", "presets", "profile name"), "variant"),
    **dict.fromkeys(("config file", "configuration file", "settings file"), "recipe"),
    **dict.fromkeys(("output folder", "target folder", "output bucket", "target bucket"), "destination"),
    **dict.fromkeys(("input folder", "input bucket", "origin"), "source"),
    **dict.fromkeys(("object name", "identifier"), "key"),
    **dict.fromkeys(("outdated", "out of date", "obsolete"), "stale"),
    **dict.fromkeys(("skipped image", "refused image", "invalid image"), "rejected"),
}


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of Markdown: of its paragraphs, of each list item, and of each cell of a table."""
    text = re.sub(r"```.*?```", "\n\n", text, flags=re.DOTALL)
    text = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`]*`", "code", text)
    text = re.sub(r"^(#.*|\|[-|]*|- |\d+\. )", r"\n\n\1", text, flags=re.MULTILINE).replace("|", "\n\n")
    for block in re.split(r"\n\s*\n| · ", text):
        yield from filter(str.strip, re.split(r"(?<=[.!?:])\s+", " ".join(block.split())))


@pytest.mark.parametrize("page", ENGLISH + SPANISH)
def test_sentences_are_short(page: str):
    """No sentence of an entry page has more than 30 words."""
    found = list(sentences((ROOT / page).read_text()))
    assert len(found) > 20
    assert [each for each in found if len(re.findall(r"\w+", each)) > LONGEST] == []


@pytest.mark.parametrize("page", ENGLISH)
def test_words_are_those_of_the_glossary(page: str):
    """An entry page uses no other word for a thing that the glossary names."""
    text = " ".join(sentences((ROOT / page).read_text())).lower()
    used = {word for word in OTHER_WORDS if re.search(rf"\b{word}\b", text)}
    assert {word: OTHER_WORDS[word] for word in used} == {}


@pytest.mark.parametrize("page", SPANISH)
def test_spanish_words_are_one_for_each_thing(page: str):
    """A thumbnail is a "miniatura" and a recipe a "receta", outside of code and of titles of English pages."""
    text = re.sub(r"\[[^]]*\]\([^)]*\)", "", (ROOT / page).read_text()).lower()
    text = " ".join(sentences(text))
    assert "miniatura" in text
    assert not re.search(r"\b(thumbnails?|previsualizaci\w+|configuraci\w+|recipe|plantilla)\b", text)


def test_the_glossary_is_in_order_and_complete():
    """Its terms are sorted, and each term of the table above is defined."""
    text = (ROOT / "docs/concepts.md").read_text().partition("## Glossary")[2]
    terms = [row.strip("| ").split(" | ")[0] for row in text.splitlines() if row.startswith("| ")][1:]
    assert terms == sorted(terms)
    states = (ROOT / "docs/concepts.md").read_text().partition("## States")[2]
    assert all(each in terms or f"| {each} |" in states for each in set(OTHER_WORDS.values()))


def test_the_check_finds_a_long_sentence():
    """A sentence of 31 words is found in a paragraph, in a list and in a table."""
    long = " ".join(["word"] * 31) + "."
    for text in (f"Short. {long}", f"- one\n- {long}", f"| a | b |\n|---|---|\n| x | {long} |"):
        assert max(len(re.findall(r"\w+", each)) for each in sentences(text)) == 31
