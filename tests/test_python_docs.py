"""The examples of docs/python.md work as they are written."""

import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.conf import settings as django_settings

from tests.pictures import opened, picture

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def _block(containing: str) -> str:
    (found,) = [block for block in BLOCKS if containing in block]
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with the files that the page names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("photo.jpg", "photos/cat.jpg", "photos/dog.jpg"):
        (tmp_path / name).write_bytes(picture(size=(300, 200)))
    return tmp_path


def _printed(code: str, folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout.splitlines()


def test_one_image(folder: Path):
    """Each rendition is printed in one line and saved, and a rejection has its code."""
    first, second, code = _printed(_block("picture.save"), folder)
    assert first.startswith("<Rendition small.webp: 256 x 171, ")
    assert second.startswith("<Rendition small.jpg: ")
    assert code == "unsupported_format"
    assert opened((folder / "photo.small.jpg").read_bytes()).size == (256, 171)


def test_workers(folder: Path):
    """Workers take the path of a file."""
    assert _printed(_block("with Workers()"), folder) == ["['icon.webp', 'small.webp', 'large.webp']"]


def test_folders(folder: Path):
    """plan, sync and converge take addresses, and what was made is fresh afterwards."""
    lines = _printed(_block("for status in plan"), folder)
    assert lines[:2] == [f"{name}.jpg missing there is no manifest" for name in ("cat", "dog")]
    assert sorted(lines[2:4]) == ["cat.jpg made", "dog.jpg made"]
    assert lines[4:] == [
        "2 made, 6 thumbnails written",
        "fresh ['cat.jpg/icon.webp', 'cat.jpg/small.webp', 'cat.jpg/large.webp']",
    ]


@pytest.fixture
def fastapi_example() -> Iterator[types.ModuleType]:
    """Return the module of the example, and close its workers at the end."""
    module = types.ModuleType("example")
    exec(compile(_block("FastAPI()"), "docs/python.md", "exec"), module.__dict__)
    yield module
    module.workers.close()


async def _posted(app: object, bodies: list[bytes]) -> list[httpx.Response]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return [await client.post("/thumbnail", content=body) for body in bodies]


def test_fastapi(fastapi_example: types.ModuleType):
    """A picture is answered with its thumbnail, and another file with 422 and the reason."""
    import asyncio  # noqa: PLC0415 - only this test needs it

    good, bad = asyncio.run(_posted(fastapi_example.app, [picture(size=(300, 200)), b"no image"]))
    assert (good.status_code, good.headers["content-type"]) == (200, "image/webp")
    assert opened(good.content).size == (256, 171)
    assert (bad.status_code, "detail" in bad.json()) == (422, True)


def test_django(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """The receiver makes the thumbnails of the stored picture; a second signal changes nothing."""
    if not django_settings.configured:
        django_settings.configure()
    monkeypatch.setattr(django_settings, "MEDIA_ROOT", str(folder / "photos"), raising=False)
    monkeypatch.setattr(django_settings, "THUMBNAIL_ROOT", str(folder / "thumbs"), raising=False)
    module = types.ModuleType("receiver")
    exec(compile(_block("django.conf"), "docs/python.md", "exec"), module.__dict__)
    instance = types.SimpleNamespace(picture=types.SimpleNamespace(name="cat.jpg"))
    for _ in range(2):
        module.make_thumbnails(sender=None, instance=instance, created=True)
    assert {path.name for path in (folder / "thumbs" / "cat.jpg").iterdir()} == {
        *("icon.webp", "small.webp", "large.webp", "manifest.json")
    }
