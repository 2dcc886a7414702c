"""A function's memory is shared out so that a picture meets its limit before the function does."""

import pytest

from tests.aws.scene import Scene, failed, notification, queued
from tests.pictures import picture
from thumbsmith import Recipe
from thumbsmith.aws.worker_memory import CORE, OURS, TEMPLATE, started_workers, worker_count, worker_share
from thumbsmith.worker.pool import usable_cores

MB = 1 << 20


@pytest.mark.parametrize("size", [128, 256, 512, 1024, 1769, 3008, 3538, 5307, 10240])
def test_all_shares_together_fit(size: int):
    """What workers may take, and what we take ourselves, is never more than there is, down to 256 MB."""
    count = worker_count(size * MB)
    share = worker_share(size * MB, count)
    assert share >= size * MB // 4 // count
    if size >= 256:
        assert share * count + OURS + count * TEMPLATE <= size * MB
    assert count == max(1, min(usable_cores(), size // 1769))


def test_a_whole_core_leaves_what_a_recipe_allows_by_default():
    """Then the recipe's limit is what counts."""
    assert worker_share(CORE, 1) > Recipe.default().limits.max_memory + 256 * MB


def test_outside_of_lambda_the_machine_counts():
    """A worker for each core that may be used."""
    assert worker_count(None) == usable_cores()


def test_a_picture_that_takes_more_than_there_is(scene: Scene):
    """It is rejected as over_memory and recorded, and the next one is made."""
    scene.recipe = Recipe.loads("[variants.small]\nwidth = 16\n")
    with started_workers(128 * MB) as workers:
        scene.renderer = workers
        scene.upload("large.gif", data=picture(size=(9000, 9000), kind="gif"))
        scene.upload("small.jpg")
        answer = scene.call(queued(notification("large.gif"), notification("small.jpg")))
        assert failed(answer) == []
        rejection = scene.manifest("large.gif")["rejection"]
        assert rejection == {
            "code": "over_memory",
            "detail": f"decoding it took more memory than there is for one source, {32 * MB} bytes",
        }
        assert scene.manifest("small.jpg")["status"] == "ok"


def test_the_first_worker_is_started_ahead():
    """It is there before anybody asks for a picture; and it is the one that is used."""
    with started_workers(512 * MB) as workers:
        assert len(workers._all) == 1
        assert workers._idle == list(workers._all)
