"""What every test has."""

from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["tests.servers.fixtures"]

# How fast something is, benchmarks tell: a test that is late on a busy machine tells nothing.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files that take longest first, so that all processes that share the tests end at about the same time."""
    items.sort(key=lambda item: "cloud" not in item.path.parts)


@pytest.fixture(autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a new folder in which commands keep their caches."""
    folder = tmp_path_factory.mktemp("caches")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Give, for each picture that libvips or libwebp is to decode, whether it made something of it."""
    from thumbsmith.image import still_webp, vips_stream  # noqa: PLC0415 - few tests need them, and they load libvips

    made: list[bool] = []

    def noted(load):
        def call(*arguments):
            made.append((found := load(*arguments)) is not None)
            return found

        return call

    monkeypatch.setattr(vips_stream, "_load", noted(vips_stream._load))
    monkeypatch.setattr(still_webp, "load", noted(still_webp.load))
    return made
