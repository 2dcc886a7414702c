"""The environment variables that are read, and those that workers receive."""

import pytest

from thumbsmith.environment import Setting, worker_environment


def test_a_worker_sees_where_libraries_are_and_nothing_else(monkeypatch: pytest.MonkeyPatch):
    """Neither credentials, nor the user's home, nor settings reach a worker."""
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert set(worker_environment()) == {"GLIBC_TUNABLES", "LD_BIND_NOW"}
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/lib")
    assert worker_environment()["LD_LIBRARY_PATH"] == "/opt/lib"
    assert "secret" not in worker_environment().values()


def test_the_recipe_setting_is_the_variable(monkeypatch: pytest.MonkeyPatch):
    """THUMBSMITH_RECIPE is returned unchanged; unset and empty are None."""
    monkeypatch.delenv("THUMBSMITH_RECIPE", raising=False)
    assert Setting.RECIPE.read() is None
    monkeypatch.setenv("THUMBSMITH_RECIPE", "")
    assert Setting.RECIPE.read() is None
    monkeypatch.setenv("THUMBSMITH_RECIPE", "recipe.toml")
    assert Setting.RECIPE.read() == "recipe.toml"
