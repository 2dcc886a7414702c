"""All pages are easy to read: short sentences, common words, and one word for each thing."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENTRY = ["README.md", "docs/index.md", "docs/tutorial.md", "docs/concepts.md"]
SPANISH = ["README.es.md", "docs/inicio.md"]
ENGLISH = sorted(
    str(path.relative_to(ROOT))
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    if str(path.relative_to(ROOT)) not in SPANISH
)
CODE = [path for suffix in ("py", "js", "html", "c", "h") for path in (ROOT / "src").rglob(f"*.{suffix}")]

LONGEST = 30  # words in a sentence
LONGEST_ON_ENTRY_PAGES = 25
LONG = 20
LONG_SHARE = 0.15  # of the sentences of a page

# Words for which the glossary has another one. Some of them have another meaning in pages for experts.
OTHER_WORDS = {
    **dict.fromkeys(("derivative", "derivatives", "resized image", "resized images", "miniature"), "thumbnail"),
    **dict.fromkeys(("preset", "presets", "profile name"), "variant"),
    **dict.fromkeys(("config file", "configuration file", "settings file"), "recipe"),
    **dict.fromkeys(("output folder", "target folder", "output bucket", "target bucket"), "destination"),
    **dict.fromkeys(("input folder", "input bucket"), "source"),
    **dict.fromkeys(("object name", "file key"), "key"),
    **dict.fromkeys(("outdated", "out of date"), "stale"),
    **dict.fromkeys(("skipped image", "refused image", "invalid image"), "rejected"),
}
OTHER_WORDS_ON_ENTRY_PAGES = {"preview": "thumbnail", "origin": "source", "identifier": "key", "obsolete": "stale"}

# Words and phrases that are old-fashioned, or that a reader with school English has to look up.
OLD_WORDS = re.compile(
    r"\b(whatever|whoever|whosoever|nobody|whilst|amongst|hence|thus|thereby|whereby|thereof|therein|heretofore|"
    r"upon|beneath|beside|besides|lest|ought|shall|anew|afresh|heed|mend(?:s|ed)?|for ever|forever|"
    r"in vain|in hand|so many|would-be|leave to|who has|what is gone|kept right|has to be said|"
    r"(?:is|are|was|were) (?:told|to be)|as ever|goes? on|stands? for|spells|alike|hold good|by and by|once again)\b",
    re.IGNORECASE,
)


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of Markdown: of its paragraphs and list items, and the parts between ";" of its cells."""
    text = re.sub(r"```.*?```", "\n\n", text, flags=re.DOTALL)
    text = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", text).replace("**", "")
    text = re.sub(r"`[^`]*`", "code", text)
    text = re.sub(r"^\|.*", lambda row: re.sub("[|;]", "\n\n", row[0]), text, flags=re.MULTILINE)
    text = re.sub(r"^(#.*|[-*] |\d+\. )", r"\n\n\1", text, flags=re.MULTILINE)
    for block in re.split(r"\n\s*\n| · ", text):
        if re.search(r"\w", block) and set(re.findall(r"\w+", block)) != {"code"}:
            yield from filter(str.strip, re.split(r"(?<=[.!?])\s+", " ".join(block.split())))


def _words(sentence: str) -> int:
    return len(re.findall(r"\w+", sentence))


@pytest.mark.parametrize("page", ENGLISH + SPANISH)
def test_sentences_are_short(page: str):
    """No sentence has more than 30 words, on an entry page 25; at most 15 % of all have more than 20."""
    found = list(sentences((ROOT / page).read_text(encoding="utf-8")))
    assert len(found) > 10
    longest = LONGEST_ON_ENTRY_PAGES if page in ENTRY + SPANISH else LONGEST
    assert [each for each in found if _words(each) > longest] == []
    long = [each for each in found if _words(each) > LONG]
    assert len(long) <= max(1, LONG_SHARE * len(found)), long


@pytest.mark.parametrize("page", ENGLISH)
def test_words_are_those_of_the_glossary(page: str):
    """A page uses no other word for a thing that the glossary names."""
    text = " ".join(sentences((ROOT / page).read_text(encoding="utf-8"))).lower()
    other = OTHER_WORDS | (OTHER_WORDS_ON_ENTRY_PAGES if page in ENTRY else {})
    used = {word for word in other if re.search(rf"\b{word}\b", text)}
    assert {word: other[word] for word in used} == {}


def test_no_word_is_old_fashioned():
    """Pages, messages, docstrings and comments use common words."""
    found = []
    for path in [*(ROOT / page for page in ENGLISH), *CODE]:
        text = path.read_text(encoding="utf-8")
        found += [f"{path}: {text[max(0, each.start() - 40) : each.end() + 20]}" for each in OLD_WORDS.finditer(text)]
    assert len(CODE) > 200
    assert found == []


@pytest.mark.parametrize("page", SPANISH)
def test_spanish_words_are_one_for_each_thing(page: str):
    """A thumbnail is a "miniatura" and a recipe a "receta", outside of code and of titles of English pages."""
    text = re.sub(r"\[[^]]*\]\([^)]*\)", "", (ROOT / page).read_text(encoding="utf-8")).lower()
    text = " ".join(sentences(text))
    assert "miniatura" in text
    assert not re.search(r"\b(thumbnails?|previsualizaci\w+|configuraci\w+|recipe|plantilla)\b", text)


def test_the_glossary_is_in_order_and_complete():
    """Its terms are sorted, and each term of the tables above is defined."""
    text = (ROOT / "docs/concepts.md").read_text().partition("## Glossary")[2]
    terms = [row.strip("| ").split(" | ")[0] for row in text.splitlines() if row.startswith("| ")][1:]
    assert terms == sorted(terms)
    states = (ROOT / "docs/concepts.md").read_text().partition("## States")[2]
    wanted = {*OTHER_WORDS.values(), *OTHER_WORDS_ON_ENTRY_PAGES.values()}
    assert all(each in terms or f"| {each} |" in states for each in wanted)


def test_the_check_finds_a_long_sentence():
    """A sentence of 31 words is found in a paragraph, in a list and in a table."""
    long = " ".join(["word"] * 31) + "."
    for text in (
        f"Short. {long}",
        f"**Short.** {long}",
        f"- one\n- {long}",
        f"| a | b |\n|---|---|\n| x; y | {long} |",
    ):
        assert max(map(_words, sentences(text))) == 31


def test_the_check_finds_an_old_word():
    """An old word is found in any case, but not as a part of another word."""
    assert OLD_WORDS.search("Whatever it was")
    assert not OLD_WORDS.search("thusly, forevermore")
