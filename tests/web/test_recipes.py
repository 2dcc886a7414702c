"""`/recipe`: saving a recipe, and what it would change."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pictures import picture
from tests.web.serving import RECIPE, RunningServer, run_server
from thumbsmith.web import WebSettings

OTHER = '# one variant\n[variants.small]\nwidth = 30\nformats = ["webp", "jpeg", "avif"]\n'


@pytest.fixture(scope="module")
def saving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Return a server that may save its recipe."""
    folder = tmp_path_factory.mktemp("saving")
    with run_server(folder, WebSettings(recipe_file=folder / "thumbsmith.toml")) as running:
        yield running


def test_a_recipe_is_saved_with_its_comments(saving: RunningServer):
    """The file has exactly the text. The running server keeps its recipe until the next start."""
    before = saving.client.get("/recipe").json()
    assert before["file"] == "thumbsmith.toml"
    saved = saving.client.put("/recipe", json={"toml": OTHER})
    assert (saved.status_code, saved.json()) == (200, {"file": str(saving.folder / "thumbsmith.toml")})
    assert (saving.folder / "thumbsmith.toml").read_text() == OTHER
    assert saving.client.get("/recipe").json() == before
    (saving.folder / "thumbsmith.toml").write_text(f"# a comment\n{RECIPE}")
    assert saving.client.get("/recipe").json()["toml"].startswith("# a comment")


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

        def plan(toml: str) -> dict:
            answer = running.client.post("/recipe/plan", json={"toml": toml})
            assert answer.status_code == 200
            return answer.json()

        same = plan(RECIPE)
        assert same == {"sources": 3, "updated": 0, "deleted": 0, "bytes": 0, "seconds": 0.0, "dollars": None}
        limits = RECIPE.partition("[variants.small]")[0]
        assert (plan(limits + OTHER)["updated"], plan(limits + OTHER)["deleted"]) == (2, 2)
        changed = plan(RECIPE.replace("width = 30", "width = 31"))
        assert (changed["updated"], changed["bytes"]) == (2, sum(sizes))
        assert changed["seconds"] > 0
        assert running.client.post("/recipe/plan", json={"toml": "width = 3"}).status_code == 400
