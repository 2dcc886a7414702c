"""The candidate names of components: text in, text out."""

import hashlib
import os
import string
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from thumbsmith.store.file_names import (
    MAX_NAME_BYTES,
    PRIVATE_PREFIX,
    candidate_names,
    case_variant,
    casefolded,
    decode_component,
    is_shortened,
    plain_name,
    shortened_name,
    strict_name,
)

# Text in which encodings, cases, Unicode forms and our own names meet more often than by chance.
TRICKY = st.sampled_from(
    [*"%~.aAfF4125\\\x00\x01\x7f\x85ﬀſKéßİ", "e\u0301", "%41", ".thumbsmith-", "manifest.json", ".webp"]
)
untimed = settings(deadline=None)
components = st.lists(TRICKY | st.characters(exclude_categories=["Cs"], exclude_characters="/"), max_size=12).map(
    "".join
)


@pytest.mark.parametrize(
    "component",
    [
        "photos",
        "cat.jpg",
        "IMG_0001.JPG",
        "small.webp",
        "Été 1.jpg",
        "a#b?c&d",
        "50% off.jpg",
        "%",
        "100%",
        "😀",
        " ",
        "...",
        ".x",
    ],
)
def test_ordinary_components_stay_as_they_are(component: str) -> None:
    """A name that any file system can store is not changed, except for a single percent sign."""
    assert plain_name(component) == (component if component != "%" else "%25")


@pytest.mark.parametrize(
    ("component", "name"),
    [
        ("", "%"),
        (".", "%2E"),
        ("..", "%2E."),
        ("a\nb", "a%0Ab"),
        ("a\x85b", "a%C2%85b"),
        ("a\\b", "a%5Cb"),
        ("\0", "%00"),
        ("red%20flower.jpg", "red%2520flower.jpg"),
        ("%~", "%25~"),
        (".thumbsmith-lock", "%2Ethumbsmith-lock"),
        (".Thumbsmith-X", "%2EThumbsmith-X"),
        ("manifest.json", "manifest%2Ejson"),
        ("Manifest.JSON", "Manifest%2EJSON"),
    ],
)
def test_unusable_characters_are_encoded(component: str, name: str) -> None:
    """Only the characters that a name cannot contain are percent-encoded."""
    assert plain_name(component) == name


def test_strict_names_have_one_case_and_form() -> None:
    """The strict name has one case and one Unicode form, and its first character is always encoded."""
    assert strict_name("a.jpg") == "%61.jpg"
    assert strict_name("A É.jpg") == "%41%20%C3%89.jpg"
    for letter in string.ascii_uppercase:
        assert strict_name(f"x{letter}") == f"%78%{ord(letter):02X}"
    assert strict_name("xabz-_.09") == "%78abz-_.09"


@untimed
@given(components)
@example("%ﬀ")
@example("%%41")
@example("")
def test_names_are_decoded_to_their_component(component: str) -> None:
    """Plain and strict names are decoded to their component, so that no two components share a name."""
    assert decode_component(plain_name(component)) == component
    assert decode_component(strict_name(component)) == component


@untimed
@given(st.binary().map(os.fsdecode) | components)
def test_a_name_has_one_component_at_most(name: str) -> None:
    """A name decodes to a component only if it is one of its candidate names."""
    component = decode_component(name)
    assert component is None or name in {plain_name(component), strict_name(component)}


def test_the_longest_name_is_not_shortened() -> None:
    """A component of 255 bytes is its own name; the name of a longer one is its beginning and a digest of all of it."""
    assert candidate_names("x" * 255)[0] == "x" * 255
    digest = hashlib.sha256(b"x" * 256).hexdigest()
    assert candidate_names("x" * 256) == (shortened_name("x" * 256),) == (f"{'x' * 30}%~{digest}",)


@untimed
@given(components, components)
@example("a", "A")
@example("k" * 1023 + "a", "k" * 1023 + "b")
@example("K" * 100, "k" * 100)
def test_shortened_names_are_distinct(one: str, other: str) -> None:
    """No two components share a shortened name, and in no case is one equal to a plain or strict name."""
    names = {
        casefolded(plain_name(one)),
        casefolded(strict_name(one)),
        casefolded(plain_name(other)),
        casefolded(strict_name(other)),
    }
    assert casefolded(shortened_name(one)) not in names
    assert (casefolded(shortened_name(one)) == casefolded(shortened_name(other))) == (one == other)
    assert is_shortened(shortened_name(one))
    assert not is_shortened(plain_name(one))
    assert not is_shortened(strict_name(one))


@untimed
@given(components | st.text(st.sampled_from("\x85%😀a"), min_size=200, max_size=1024))
def test_candidate_names_can_be_stored(component: str) -> None:
    """Every candidate name can be stored by file systems, and none belongs to the store."""
    for name in candidate_names(component):
        assert 1 <= len(name.encode()) <= MAX_NAME_BYTES
        assert not set(name) & {"/", "\0", "\n", "\\"}
        assert name not in {".", ".."}
        assert not casefolded(name).startswith(PRIVATE_PREFIX)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("cat.jpg", "CAT.JPG"),
        ("CAT.jpg", "cat.JPG"),
        (unicodedata.normalize("NFC", "が"), unicodedata.normalize("NFD", "が")),
        (unicodedata.normalize("NFD", "が"), unicodedata.normalize("NFC", "が")),
        ("2026", None),
    ],
)
def test_a_case_variant_has_another_case_or_form(name: str, other: str | None) -> None:
    """The name in the other case, or in the other Unicode form if it has no case; None if it has neither."""
    assert case_variant(name) == other


def test_a_shortened_name_ends_in_its_digest() -> None:
    """A name that continues after a digest is no shortened one."""
    assert is_shortened(shortened_name("cat"))
    assert not is_shortened(f"{shortened_name('cat')}.jpg")
    assert not is_shortened(f"{shortened_name('cat')}\n")


@untimed
@given(st.text(max_size=10))
@example("É")
@example("ſ")
@example("a\udcff")
def test_case_variants_are_equal_casefolded(name: str) -> None:
    """The case variant of a name is another name that a file system may take for the same."""
    other = case_variant(name)
    assert other is None or (other != name and casefolded(other) == casefolded(name))
