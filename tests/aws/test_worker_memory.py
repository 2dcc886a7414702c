"""Workers share the function's memory so that a source reaches its limit before the function does."""

import pytest

from tests.aws.scene import Scene, failed, notification, queued
from tests.pictures import picture
from thumbsmith import Recipe
from thumbsmith.aws.worker_memory import (
    HANDLER_MEMORY_BYTES,
    TEMPLATE_MEMORY_BYTES,
    core_share,
    started_workers,
    worker_count,
    worker_share,
)
from thumbsmith.environment import LAMBDA_CORE_MEGABYTES, LAMBDA_DEFAULT_MEGABYTES
from thumbsmith.worker import usable_cores

MB = 1 << 20


@pytest.mark.parametrize("size", [128, 256, 512, 1024, 1769, 3008, 3538, 5307, 10240])
def test_all_shares_together_fit(size: int):
    """The shares of all workers and our own memory fit into the function's, from 256 MB upwards."""
    count = worker_count(size * MB)
    share = worker_share(size * MB, count)
    assert share >= size * MB // 4 // count
    if size >= 256:
        assert share * count + HANDLER_MEMORY_BYTES + count * TEMPLATE_MEMORY_BYTES <= size * MB
    assert count == max(1, min(usable_cores(), size // 1769))


@pytest.mark.parametrize("size", [LAMBDA_DEFAULT_MEGABYTES, LAMBDA_CORE_MEGABYTES])
def test_a_default_function_has_the_default_limit(size: int):
    """In a function with the default memory, and with a whole core, the default memory limit of the recipe applies."""
    assert worker_share(size * MB, 1) > Recipe.default().limits.max_memory + 256 * MB


@pytest.mark.parametrize(("size", "share"), [(None, 1.0), (442, 0.25), (1024, 0.579), (1769, 1.0), (3538, 1.0)])
def test_memory_gives_a_part_of_a_core(size: int | None, share: float):
    """A function has CPU time in proportion to its memory. A source is decoded by one process, on one core at most."""
    assert core_share(size and size * MB) == pytest.approx(share, abs=0.001)


def test_outside_lambda_each_core_has_a_worker():
    """Outside of Lambda there is one worker for each usable core."""
    assert worker_count(None) == usable_cores()


def test_a_source_over_its_share_is_rejected(scene: Scene):
    """A source over its share is rejected as over_memory, and the next one is made."""
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
    """The first worker is started before the first source, and is used for it."""
    with started_workers(512 * MB) as workers:
        assert len(workers._all) == 1
        assert workers._idle == list(workers._all)
