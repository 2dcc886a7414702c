"""Commands over folders share confined processes; over other stores each source has its own."""

import os
from pathlib import Path

import pytest

from tests.pictures import picture
from thumbsmith.bulk.scan import Scope
from thumbsmith.cli.sync import run
from thumbsmith.recipe import IsolationKind, Limits, Recipe
from thumbsmith.store.base import Headers, Store
from thumbsmith.store.memory import MemoryStore
from thumbsmith.store.open import open_store
from thumbsmith.worker.processes import Child, Setup, Template

SOURCES = 3


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> list[Setup]:
    """Give the setups of all children that are forked."""
    found: list[Setup] = []
    fork = Template.fork_child

    def counted(template: Template, setup: Setup) -> Child:
        found.append(setup)
        return fork(template, setup)

    monkeypatch.setattr(Template, "fork_child", counted)
    return found


def _sync(source: Store, isolation: IsolationKind | None = None) -> None:
    for number in range(SOURCES):
        source.put(f"{number}.jpg", picture(), Headers(content_type="image/jpeg"))
    scope = Scope(source=source, destination=MemoryStore("thumbs"), recipe=Recipe(limits=Limits(isolation=isolation)))
    assert run(scope, jobs=1, yes=True) == 0


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="processes are shared on Linux only")
def test_a_folder_shares_a_process(forks: list[Setup], tmp_path: Path):
    """The pictures of a folder belong to its user: one process handles them."""
    _sync(open_store(tmp_path))
    assert len(forks) == 1


def test_each_source_of_another_store_has_its_own_process(forks: list[Setup]):
    """The pictures of a bucket may be from strangers."""
    _sync(MemoryStore("photos"))
    assert len(forks) == SOURCES


def test_the_recipe_decides(forks: list[Setup], tmp_path: Path):
    """`isolation = "source"` holds for a folder too."""
    _sync(open_store(tmp_path), IsolationKind.SOURCE)
    assert len(forks) == SOURCES
