"""The whole path without AWS: a server of S3 sends its own events, and workers that are killed make the thumbnails."""

import json
import random
from pathlib import Path

import pytest

from tests.dispatch.conftest import HIDDEN_SECONDS
from tests.dispatch.pipeline import RECIPE, Pipeline, jpeg, pipeline, store
from tests.servers.fixtures import administrator, needs_servers
from thumbsmith import Recipe, render

pytestmark = needs_servers

# The longest wait for the end of all work, on a busy machine.
SECONDS = 3000


def _change_at_random(running: Pipeline, count: int, kills: int, chance: random.Random) -> dict[str, bytes]:
    """Put, replace and delete `count` objects at random, and kill workers meanwhile; return what should be there."""
    s3, wanted = administrator(), dict[str, bytes]()
    deaths = set(chance.sample(range(count // 10, count), kills))
    for number in range(count):
        action = chance.random()
        if action < 0.15 and wanted:
            key = chance.choice(sorted(wanted))
            del wanted[key]
            s3.delete_object(Bucket="photos", Key=key)
        else:
            replaced = action < 0.35 and wanted
            key = chance.choice(sorted(wanted)) if replaced else f"é {number % 7}/{number:05} +.jpg"
            wanted[key] = jpeg(chance)
            s3.put_object(Bucket="photos", Key=key, Body=wanted[key], ContentType="image/jpeg")
        if number in deaths:
            running.kill_worker(chance.randrange(len(running.workers)))
    return wanted


def _run(folder: Path, count: int, kills: int, hidden_seconds: int) -> None:
    chance = random.Random(count)
    with pipeline(folder, hidden_seconds) as running:
        for _ in range(2):
            running.start_worker()
        wanted = _change_at_random(running, count, kills, chance)
        running.wait_until_idle(SECONDS)
        found = store("thumbs")
        s3 = administrator()
        etags = {key: s3.head_object(Bucket="photos", Key=key)["ETag"].strip('"') for key in wanted}
    recipe = Recipe.loads(RECIPE)
    assert set(found) == {f"{key}/{name}" for key in wanted for name in ("small.jpg", "manifest.json")}
    for key, etag in etags.items():
        manifest = json.loads(found[f"{key}/manifest.json"])
        assert (manifest["status"], manifest["source"]["etag"]) == ("ok", etag), key
        (thumbnail,) = render(wanted[key], recipe)
        assert found[f"{key}/small.jpg"] == thumbnail.data, key


def test_killed_workers_lose_nothing(tmp_path: Path):
    """After 60 changes and 3 kills, each object has the thumbnails of its last version, and no other has any."""
    _run(tmp_path, count=60, kills=3, hidden_seconds=HIDDEN_SECONDS)


@pytest.mark.deep
def test_two_thousand_changes_and_twenty_kills(tmp_path: Path):
    """The same with 2,000 changes and 20 kills."""
    _run(tmp_path, count=2000, kills=20, hidden_seconds=60)
