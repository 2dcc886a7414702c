"""A source whose owner wants no thumbnails of it counts as absent."""

import pytest

from tests.pictures import picture
from tests.reconcile.scene import HEADERS, Scene
from tests.store.test_opting_out import OFF
from thumbsmith.bulk.explain import explain


@pytest.fixture
def scene() -> Scene:
    """Return two empty stores."""
    return Scene()


def test_it_gets_none(scene: Scene):
    """Nothing is made, and nothing recorded."""
    scene.source.put("a.jpg", picture(), OFF)
    assert scene.converge("a.jpg").status == "absent"
    assert scene.objects() == {}


def test_what_it_had_goes(scene: Scene):
    """Where it had thumbnails they are removed, although the content is the same; and come back when they may."""
    scene.upload("a.jpg")
    assert scene.converge("a.jpg").status == "made"
    scene.source.put("a.jpg", picture(), OFF)
    assert scene.converge("a.jpg").status == "deleted"
    assert scene.objects() == {}
    scene.source.put("a.jpg", picture(), HEADERS)
    assert scene.converge("a.jpg").status == "made"


def test_it_is_explained(scene: Scene):
    """Whoever asks why there are no thumbnails is told."""
    scene.source.put("a.jpg", picture(), OFF)
    assert explain(scene.scope(), "a.jpg").why == "it is opted out: thumbs=off is set on it"
    assert explain(scene.scope(), "b.jpg").why == "there is no such object in the source"
