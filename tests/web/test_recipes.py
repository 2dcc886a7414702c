"""`/recipe`: saving a recipe, and what it would change."""

import time
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from tests.pictures import picture
from tests.web.serving import RECIPE, RunningServer, run_server
from thumbsmith import Recipe, Workers
from thumbsmith.bulk.scan import Scope
from thumbsmith.reader import RangeReader
from thumbsmith.store import Headers
from thumbsmith.store.memory import MemoryStore
from thumbsmith.web import WebSettings
from thumbsmith.web.background import BackgroundUpdater
from thumbsmith.worker import Work

OTHER = '# one variant\n[variants.small]\nwidth = 30\nformats = ["webp", "jpeg", "avif"]\n'


@pytest.fixture(scope="module")
def saving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Return a server that may save its recipe."""
    folder = tmp_path_factory.mktemp("saving")
    with run_server(folder, WebSettings(recipe_file=folder / "thumbsmith.toml")) as running:
        yield running


def test_a_recipe_is_saved_with_its_comments(saving: RunningServer):
    """The file has exactly the text, and `GET /recipe` shows it with its comments."""
    assert saving.client.get("/recipe").json()["file"] == "thumbsmith.toml"
    saved = saving.client.put("/recipe", json={"toml": OTHER})
    assert (saved.status_code, saved.json()) == (200, {"file": str(saving.folder / "thumbsmith.toml")})
    assert (saving.folder / "thumbsmith.toml").read_text() == OTHER
    shown = saving.client.get("/recipe").json()
    assert (shown["toml"], shown["fingerprint"]) == (OTHER, Recipe.loads(OTHER).fingerprint)
    (saving.folder / "thumbsmith.toml").write_text(f"# a comment\n{OTHER}")
    assert saving.client.get("/recipe").json()["toml"].startswith("# a comment")


def test_a_saved_recipe_is_used_at_once(tmp_path: Path):
    """Thumbnails are made again by the new recipe, those of its former variants are deleted, and its limits count."""

    def made() -> set[str]:
        return {path.name for path in (running.thumbnails / "a.png").glob("*.webp")}

    with run_server(tmp_path, WebSettings(recipe_file=tmp_path / "thumbsmith.toml")) as running:
        running.upload("a.png", picture("#224466", (90, 60)))
        assert made() == {"small.webp", "icon.webp"}
        for name, limit in (("tiny", 1_000_000), ("other", 900_000), ("small", 800_000)):
            toml = f"[limits]\nmax_bytes = {limit}\n[variants.{name}]\nwidth = 5"
            assert running.client.put("/recipe", json={"toml": toml}).status_code == 200
            assert running.client.get("/formats").json()["max_bytes"] == limit
            end = time.monotonic() + 60
            while made() != {f"{name}.webp"}:
                assert time.monotonic() < end
                time.sleep(0.05)
            manifest = running.image("a.png", "?wait=30").json()
            assert [each["variant"] for each in manifest["renditions"]] == [name]
            assert manifest["recipe"] == Recipe.loads(toml).fingerprint
        assert running.request_upload("large.png", 900_000).status_code == 413


def test_an_update_that_was_running_is_made_again(tmp_path: Path):
    """An update that began by the former recipe is made again by the new one, also where no folder is scanned."""
    source, destination = MemoryStore("sources"), MemoryStore("thumbnails")
    source.put("a.png", picture(), Headers(content_type="image/png"))
    new = Recipe.loads("[variants.new]\nwidth = 5")

    class Renderer:
        """A renderer during whose first call the recipe is replaced."""

        def render(self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None) -> Work:
            if recipe is not new:
                updater.use_recipe(new)
            return workers.render(reader, recipe, wanted)

    scope = Scope(source=source, destination=destination, recipe=Recipe.loads("[variants.old]\nwidth = 5"))
    with Workers(1) as workers:
        updater = BackgroundUpdater(scope, Renderer(), 1, lambda _: None)
        future = updater.ensure_queued("a.png")
        assert future is not None
        future.result(60)
        end = time.monotonic() + 60
        while (found := destination.open("a.png/manifest.json")) is None or b'"new"' not in found.data:
            assert time.monotonic() < end
            time.sleep(0.05)
        updater.close()
    assert {info.key for info in destination.list()} == {"a.png/new.webp", "a.png/manifest.json"}


def test_an_invalid_recipe_is_not_saved(saving: RunningServer):
    """400 with the sentence of the recipe, and the file stays as it is."""
    (saving.folder / "thumbsmith.toml").write_text("# mine")
    refused = saving.client.put("/recipe", json={"toml": "[variants.x]\nwidht = 3"})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_recipe")
    assert "width" in refused.json()["detail"]
    assert (saving.folder / "thumbsmith.toml").read_text() == "# mine"


def test_a_server_without_a_file_saves_nothing(server: RunningServer, tmp_path: Path):
    """409 if there is no file, and 500 with a sentence if its folder is missing."""
    assert server.client.get("/recipe").json()["file"] is None
    assert server.client.put("/recipe", json={"toml": OTHER}).status_code == 409
    with run_server(tmp_path, WebSettings(recipe_file=tmp_path / "none" / "thumbsmith.toml")) as running:
        failed = running.client.put("/recipe", json={"toml": OTHER})
    assert (failed.status_code, failed.json()["code"]) == (500, "not_saved")
    assert "thumbsmith.toml: the server cannot write this file: No such file" in failed.json()["detail"]


def test_a_plan_counts_what_would_change(tmp_path: Path):
    """The running recipe changes nothing; without a variant its files are deleted; a changed one updates all."""
    with run_server(tmp_path) as running:
        sizes = [len(picture(each)) for each in ("#000000", "#ffffff")]
        for number, color in enumerate(("#000000", "#ffffff")):
            running.upload(f"{number}.png", picture(color))
        running.upload("bad.png", b"no image")
        (tmp_path / "sources" / "clip.mp4").write_bytes(b"video")

        def plan(toml: str) -> dict:
            answer = running.client.post("/recipe/plan", json={"toml": toml})
            assert answer.status_code == 200
            return answer.json()

        same = plan(RECIPE)
        assert same == {
            "sources": 3,
            "updated": 0,
            "deleted": 0,
            "ignored": 1,
            "bytes": 0,
            "seconds": 0.0,
            "dollars": None,
        }
        limits = RECIPE.partition("[variants.small]")[0]
        assert (plan(limits + OTHER)["updated"], plan(limits + OTHER)["deleted"]) == (2, 2)
        changed = plan(RECIPE.replace("width = 30", "width = 31"))
        assert (changed["updated"], changed["bytes"]) == (2, sum(sizes))
        assert changed["seconds"] > 0
        assert running.client.post("/recipe/plan", json={"toml": "width = 3"}).status_code == 400
