"""A source that is opted out counts as absent."""

import pytest

from tests.pictures import picture
from tests.reconcile.scene import HEADERS, Scene
from tests.store.test_opting_out import OFF
from thumbsmith.bulk.explain import explain


@pytest.fixture
def scene() -> Scene:
    """Return two empty stores."""
    return Scene()


def test_it_gets_no_thumbnails(scene: Scene):
    """Nothing is rendered or recorded for a source that is opted out."""
    scene.source.put("a.jpg", picture(), OFF)
    assert scene.converge("a.jpg").status == "absent"
    assert scene.objects() == {}


def test_its_thumbnails_are_deleted(scene: Scene):
    """After an opt-out the thumbnails are deleted; after the opt-out is removed they are made again."""
    scene.upload("a.jpg")
    assert scene.converge("a.jpg").status == "made"
    scene.source.put("a.jpg", picture(), OFF)
    assert scene.converge("a.jpg").status == "deleted"
    assert scene.objects() == {}
    scene.source.put("a.jpg", picture(), HEADERS)
    assert scene.converge("a.jpg").status == "made"


def test_it_is_explained(scene: Scene):
    """`explain` says that the source is opted out."""
    scene.source.put("a.jpg", picture(), OFF)
    assert explain(scene.scope(), "a.jpg").why == "it is opted out: thumbs=off is set on it"
    assert explain(scene.scope(), "b.jpg").why == "there is no such object in the source"
