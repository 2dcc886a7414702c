"""Each default and each name has one place; files that cannot import it are compared with it."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

import thumbsmith
from thumbsmith import environment
from thumbsmith.bulk.cost import FLOOD_BATCH, Model
from thumbsmith.cdk import ThumbnailGenerator
from thumbsmith.cdk.app import Settings
from thumbsmith.cdk.generator import BACKFILL_CONCURRENCY
from thumbsmith.cdk.machine import Machine
from thumbsmith.cli.sync_by_queue import CONCURRENCY
from thumbsmith.environment import LAMBDA_CORE_MEGABYTES, Setting
from thumbsmith.errors import Code
from thumbsmith.recipe.model import MOST_SUPPORTED_FIRST, SMALLEST_FIRST, Format
from thumbsmith.recipe.recipe import RECIPE_FILE
from thumbsmith.signing import FITS

PACKAGE = Path(thumbsmith.__file__).parent
ENVIRONMENT = Path(environment.__file__)

# Names of the module os that read or write environment variables.
READS = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


MODULES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def _literals() -> dict[object, set[Path]]:
    """Return the modules in which each text and number is a literal, docstrings apart."""
    found: dict[object, set[Path]] = {}
    for path, tree in MODULES.items():
        docstrings = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and id(node) not in docstrings and isinstance(node.value, str | int):
                found.setdefault(node.value, set()).add(path)
    return found


LITERALS = _literals()


def test_only_one_module_reads_environment_variables():
    """No module but environment.py names os.environ or what else reads and writes variables."""
    elsewhere = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path, tree in MODULES.items()
        if path != ENVIRONMENT
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in READS)
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and READS & {each.name for each in node.names})
    ]
    assert elsewhere == []
    assert "os.environ" in ENVIRONMENT.read_text(encoding="utf-8")


def test_names_of_settings_are_written_once():
    """Code takes the name of an environment variable from the table in environment.py."""
    for setting in Setting:
        assert LITERALS.get(setting.value, set()) <= {ENVIRONMENT, PACKAGE / "recipe" / "recipe.py"}, setting


@pytest.mark.parametrize("setting", Setting)
def test_each_setting_has_a_meaning(setting: Setting, monkeypatch: pytest.MonkeyPatch):
    """Each setting is described in one sentence, and its value is that of its variable, None where it is empty."""
    assert setting.description.endswith(".")
    assert re.fullmatch("THUMBSMITH_[A-Z_]+", setting)
    monkeypatch.setenv(setting.value, "")
    assert setting.read() is None
    monkeypatch.setenv(setting.value, "x")
    assert setting.read() == "x"


def test_the_memory_of_a_core_is_written_once():
    """The memory with which a Lambda function has a whole core is one constant."""
    assert LITERALS[LAMBDA_CORE_MEGABYTES] == {ENVIRONMENT}


def test_the_name_of_the_recipe_file_is_written_once():
    """Code takes the name of the recipe's file from one constant. The JSON schema has it as its title."""
    assert LITERALS[RECIPE_FILE] == {PACKAGE / "recipe" / "recipe.py", PACKAGE / "recipe" / "schema.py"}


def test_the_delivery_prefers_formats_in_the_order_of_the_package():
    """The order in request.js of the delivery is that of recipe/model.py."""
    request = (PACKAGE / "cdk" / "edge" / "request.js").read_text(encoding="utf-8")
    (everywhere,) = re.findall(r"KNOWN_EVERYWHERE = \[(.*?)\]", request)
    assert re.findall(r'"(.*?)"', everywhere) == [each.media_type for each in MOST_SUPPORTED_FIRST]


def test_the_page_knows_every_code_fit_and_format():
    """The page has a plain reason for each code, and offers the fits and formats of signed URLs."""
    assets = PACKAGE / "web" / "assets"
    reasons = (assets / "reasons.js").read_text(encoding="utf-8")
    assert re.findall(r"^  (\w+): ", reasons, re.MULTILINE) == [str(each) for each in Code]
    (fits, formats) = re.findall(r"createElement\(\"select\", {}, \.\.\.\[(.*?)\]", (assets / "sharing.js").read_text())
    assert tuple(re.findall(r'"(.*?)"', fits)) == FITS
    assert set(re.findall(r'"(.*?)"', formats)) == {each.value for each in Format}


def test_orders_of_formats_have_every_format():
    """Each order has each format once."""
    assert sorted(SMALLEST_FIRST) == sorted(MOST_SUPPORTED_FIRST) == sorted(Format)


def test_the_app_leaves_defaults_to_the_construct():
    """No setting of the ready app that is a prop of the construct has a default of its own."""
    props = inspect.signature(ThumbnailGenerator.__init__).parameters.keys() | {"memory"}
    own = [each.name for each in fields(Settings) if each.name in props and each.default not in {None, "", False}]
    assert own == []


def test_estimates_assume_the_defaults_of_the_construct():
    """The cost model and a backfill's estimate use the batch size and the concurrency of the construct."""
    defaults = {each.name: each.default for each in fields(Model)}
    machine = {each.name: each.default for each in fields(Machine)}
    assert (FLOOD_BATCH, defaults["megabytes"]) == (machine["batch_size"], machine["memory_size"])
    assert CONCURRENCY == BACKFILL_CONCURRENCY
