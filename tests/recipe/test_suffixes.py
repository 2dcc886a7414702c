"""Files that are obviously not pictures are ignored, unless include names their suffix."""

from itertools import combinations

import pytest

from thumbsmith.image.formats import SOURCE_FORMATS
from thumbsmith.recipe.selection import Selection, is_ignored, is_source
from thumbsmith.recipe.suffixes import OTHER_SUFFIXES, other_kind


def test_no_suffix_of_a_picture_is_in_the_list():
    """Every suffix of a supported format may be a picture, and every other suffix has one kind."""
    others = set().union(*OTHER_SUFFIXES.values())
    assert {f".{each}" for each in others} & set().union(*(row.suffixes for row in SOURCE_FORMATS.values())) == set()
    assert all(not one & other for one, other in combinations(OTHER_SUFFIXES.values(), 2))


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("a.mp4", "video"),
        ("a/b.MOV", "video"),
        ("a.jpg.xmp", "sidecar"),
        ("é.Docx", "office"),
        ("mp4", None),
        (".mp4", None),
        ("a/.mp4", None),
        ("a.mp4/b", None),
        ("a.mp4.jpg", None),
        ("a.", None),
        ("a.bak", None),
        ("a.pdf", None),
        ("a.eps", None),
    ],
)
def test_the_kind_of_a_file(key: str, kind: str | None):
    """The text after the last dot of the name decides, in any case of letters; a name needs more than a suffix."""
    assert other_kind(key) == kind
    assert is_ignored(key, Selection()) == (kind is not None)


@pytest.mark.parametrize(
    ("include", "is_named"),
    [
        ("**/*.mp4", True),
        ("a/x.mp4", True),
        ("**/*.[mM]p4", True),
        ("a/*.mp4", True),
        ("**", False),
        ("a/**", False),
        ("**/*.*", False),
        ("**/*.mp?", False),
        ("a.b/**", False),
        ("**/*.mov", False),
    ],
)
def test_include_may_name_a_suffix(include: str, is_named: bool):
    """A glob that matches the key and has no wildcard after its last dot makes it a source; exclude still wins."""
    key = "a/x.mp4"
    assert is_source(key, Selection(include=("**", include))) == is_named
    assert is_ignored(key, Selection(include=("**", include))) != is_named
    assert not is_source(key, Selection(include=(include,), exclude=("a/**",)))
    assert not is_ignored(key, Selection(exclude=("a/**",)))


def test_hidden_files_are_not_counted():
    """Files in system folders and hidden ones are neither sources nor ignored."""
    assert not is_ignored(".a.mp4", Selection())
    assert not is_ignored("@eaDir/a.mp4", Selection())
    assert not is_ignored("a.mp4/", Selection())
