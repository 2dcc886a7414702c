"""Globs select the keys that are sources."""

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thumbsmith.recipe import Selection
from thumbsmith.recipe.selection import is_glob, is_source


def _matches(glob: str, key: str) -> bool:
    return Selection(include=(glob,)).selects(key)


@pytest.mark.parametrize(
    ("glob", "matching", "others"),
    [
        ("**", ["a", "a/b", "", "a//b", "a\nb", "é"], []),
        ("*", ["a", "a.jpg", "", "a\nb"], ["a/b", "/"]),
        ("a/*", ["a/", "a/b"], ["a", "a/b/c", "b/a/c"]),
        ("*.jpg", ["x.jpg", ".jpg"], ["a/x.jpg", "x.jpg2", "x.JPG", "xjpg"]),
        ("?.jpg", ["x.jpg", "é.jpg"], [".jpg", "xx.jpg", "/.jpg"]),
        ("**/x.jpg", ["x.jpg", "a/x.jpg", "a/b/x.jpg", "/x.jpg"], ["ax.jpg", "a/ax.jpg", "x.jpg/a"]),
        ("a/**", ["a/b", "a/b/c", "a/"], ["a", "b/a/c", "ab/c"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b", "a//b"], ["ab", "a/xb", "a/b/c"]),
        ("a**b", ["ab", "axb", "a/x/b"], ["a", "abc"]),
        ("a**/b", ["a/b", "ax/b", "a/x/b"], ["ab", "axb"]),
        ("***/a", ["a", "x/y/a"], ["xa"]),
        ("**/**/a*", ["a", "x/ab", "x/y/z/a"], ["xa", "a/b"]),
        ("**a/*b**c", ["a/bc", "x/a/xb/c", "a/c/a/bc"], ["a/c", "a/x/bc"]),
        ("[abc].png", ["a.png", "c.png"], ["d.png", ".png", "A.png"]),
        ("[a-c0-9-]x", ["bx", "7x", "-x"], ["dx", "x"]),
        ("[!a-c]x", ["dx", "!x", "éx"], ["ax", "/x"]),
        ("[]a]x", ["]x", "ax"], ["[x"]),
        ("[!]a]x", ["bx"], ["]x", "ax"]),
        ("[a/]", ["a"], ["/"]),
        ("[[]*[*]?", ["[*a", "[x*a"], ["[xa", "x*a"]),
        ("[&&~~||-]", ["&", "~", "|", "-"], ["a"]),
        ("a.b+c(d){e,f}^$|\\", ["a.b+c(d){e,f}^$|\\"], ["axb+c(d){e,f}^$|\\", "a.b+c(d)e^$|\\"]),
        ("x]", ["x]"], ["x"]),
    ],
)
def test_a_glob_matches_whole_keys(glob: str, matching: list[str], others: list[str]):
    """Each glob matches whole keys, case-sensitively."""
    assert is_glob(glob)
    assert [key for key in matching + others if _matches(glob, key)] == matching


@pytest.mark.parametrize("text", ["", "[", "a[b", "[]", "[!]", "[!", "a]b[", "[z-a]", "[a-c-a", "x[b-a]"])
def test_invalid_globs_are_found(text: str):
    """Empty text, an unclosed or empty class and a backward range are not globs."""
    assert not is_glob(text)


def _reference(glob: str, key: str) -> bool:
    """Return whether the glob matches, by a simple regular expression that may backtrack."""
    pieces = re.findall(r"(?<![^/])\*\*/|\*+|\?|\[ab\]|\[!a\]|.", glob)
    meanings = {"**/": "(?:.*/)?", "*": "[^/]*", "**": ".*", "***": ".*", "?": "[^/]", "[ab]": "[ab]", "[!a]": "[^a/]"}
    return bool(re.fullmatch("".join(meanings.get(piece, re.escape(piece)) for piece in pieces), key))


@given(
    st.lists(st.sampled_from(["a", "b", "/", "*", "*", "**/", "**", "?", "[ab]", "[!a]"]), min_size=1, max_size=9).map(
        "".join
    ),
    st.text("ab/", max_size=12),
)
def test_matching_without_backtracking_changes_no_answer(glob: str, key: str):
    """For every glob and key the result is that of a matcher that tries every possibility."""
    longest = re.compile(r"\*{3,}")
    glob = longest.sub("**", glob)  # the reference knows no longer runs
    assert _matches(glob, key) == _reference(glob, key)


@pytest.mark.parametrize(
    "glob",
    ["**a**a**a**a**b", "**a" * 300 + "b", "*a" * 500 + "b", "**/a*" * 200 + "b", "**[ab]*?" * 100 + "c"],
    ids=lambda glob: glob[:15],
)
def test_matching_time_is_bounded(glob: str):
    """A glob of many wildcards ends on a key of 1,024 bytes that nearly matches, where backtracking would not end.

    It runs in its own process, which is stopped after a time that is thousands of times longer than the work needs.
    """
    code = (
        "import sys; from thumbsmith.recipe import Selection;"
        "print([Selection(include=(sys.argv[1],)).selects(key) for key in ('a' * 1024, 'a/' * 512, 'ab' * 512 + 'd')])"
    )
    done = subprocess.run([sys.executable, "-c", code, glob], capture_output=True, text=True, check=True, timeout=300)
    assert "True" not in done.stdout or glob == "**a**a**a**a**b"


def test_exclude_wins():
    """A key is selected if a glob of include matches and no glob of exclude does."""
    selection = Selection(include=("*.jpg", "b/**"), exclude=("x*", "b/c/**"))
    selected = [key for key in ("a.jpg", "x.jpg", "b/x", "b/c/d", "c/d") if selection.selects(key)]
    assert selected == ["a.jpg", "b/x"]


def test_nothing_is_excluded_by_default():
    """The default selection selects every key."""
    assert Selection().selects("a/b c/Ünï.jpg")


@pytest.mark.parametrize("key", ["a", "a.jpg", "a/b.jpg", "a//b.jpg", "/a", "a./b..x", "a b/é", "a\nb"])
def test_an_ordinary_key_is_a_source(key: str):
    """A selected key without a slash at its end and without hidden components is a source."""
    assert is_source(key, Selection())
    assert not is_source(key, Selection(exclude=("**",)))


@pytest.mark.parametrize("key", ["", "/", "a/", "a/b/", ".a", "a/.b", ".a/b", "a/.b/c", "a//.b"])
def test_folder_markers_and_hidden_names_are_no_sources(key: str):
    """An empty key, a key that ends in a slash and a key with a hidden component are never sources."""
    assert not is_source(key, Selection(include=("**", key or "*")))
