"""The tree of exceptions."""

from __future__ import annotations

import ast
from pathlib import Path

import thumbsmith
from thumbsmith import errors

PACKAGE = Path(thumbsmith.__file__).parent


def test_all_errors_are_defined_in_one_module():
    """No module but errors.py defines a subclass of ThumbsmithError."""
    names = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    elsewhere = [
        f"{path.relative_to(PACKAGE)}: {node.name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != Path(errors.__file__)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and names & {base.id for base in node.bases if isinstance(base, ast.Name)}
    ]
    assert elsewhere == []
    assert {"RecipeError", "UsageError", "StoreError"} < names


def test_the_docstring_shows_the_tree():
    """The docstring of errors.py names each exception once, in the order of the classes."""
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    lines = [line.split() for line in (errors.__doc__ or "").splitlines() if line[4:5] in {"T", "│", "├", "└"}]
    named = [word for line in lines for word in line if word in vars(errors)]
    assert named == [each.__name__ for each in classes]


def test_a_wrong_recipe_is_wrong_usage():
    """RecipeError is a UsageError, and UsageError is not a RecipeError."""
    assert issubclass(errors.RecipeError, errors.UsageError)
    assert not issubclass(errors.UsageError, errors.RecipeError)
