"""`thumbsmith conformance`: correct engines pass, and each kind of error is reported."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import count

import pytest
from PIL import Image, ImageOps

from tests.cli.command import Command
from thumbsmith import Recipe, converge
from thumbsmith.conformance.cases import Case, cases
from thumbsmith.conformance.checks import Result, run_deployment, run_local
from thumbsmith.errors import Code, Rejected
from thumbsmith.image.pipeline import Job, check_source, make_renditions
from thumbsmith.recipe.selection import is_source
from thumbsmith.store import Headers
from thumbsmith.store.memory import MemoryStore
from thumbsmith.worker import Work

RECIPE = Recipe.loads(
    "[variants.v]\nwidth = 120\nformats = ['webp', 'jpeg', 'png']\n[variants.i]\nwidth = 9\nheight = 9"
)
CASES = {case.name: case for case in cases()}


@dataclass
class Engine:
    """The engine in this process. A test may damage its renditions."""

    spoil: Callable[[bytes], bytes] = bytes

    def render(self, reader, recipe, wanted=None) -> Work:
        """Return the renditions, with damage or of another source as the class states."""
        names = None if wanted is None else frozenset(wanted)
        made = make_renditions(check_source(Job(reader=reader, recipe=recipe, names=names)))
        spoilt = tuple(replace(each, data=self.spoil(each.data)) for each in made.renditions)
        return Work(probe=made.probe, renditions=spoilt, color=made.color, cpu_seconds=0, peak_memory=0)


class Lenient(Engine):
    """Accepts every file as an image."""

    def render(self, reader, recipe, wanted=None) -> Work:
        """Return the renditions, with damage or of another source as the class states."""
        try:
            return super().render(reader, recipe, wanted)
        except Rejected:
            return replace(super().render(_Card(), recipe, wanted))


class _Card:
    """A reader for the plain test image."""

    data = CASES["EXIF orientation 1"].data
    size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes."""
        return self.data[offset : offset + length]


def _changed(change: Callable[[Image.Image], Image.Image]) -> Callable[[bytes], bytes]:
    def spoil(data: bytes) -> bytes:
        image = Image.open(BytesIO(data))
        file = BytesIO()
        change(image).save(file, image.format)
        return file.getvalue()

    return spoil


def _wrong(results: Iterator[Result]) -> dict[str, str]:
    return {result.name: " | ".join(result.wrong) for result in results if result.wrong}


def here(cases: list[Case], recipe: Recipe, engine: Engine) -> Iterator[Result]:
    """Yield the results of an engine in memory."""
    return run_local(cases, recipe, engine, MemoryStore("made"), "p/")


def test_the_engine_is_right():
    """This engine passes all cases with a recipe of several formats."""
    assert len(CASES) == 32
    assert _wrong(here([*CASES.values()], RECIPE, Engine())) == {}


def test_the_command_is_right_here(thumbsmith: Command):
    """Without stores, the workers of this machine pass, no file is written, and the exit code is 0."""
    before = {*thumbsmith.folder.rglob("*")}
    ran = thumbsmith("conformance")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "all correct")
    assert ran.out.count("right") == 33
    assert {*thumbsmith.folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_changed(ImageOps.mirror), "quarter 1 is"),
        (_changed(lambda image: ImageOps.invert(image.convert("RGB"))), "quarter 1 is"),
        (_changed(lambda image: image.resize((7, 7))), "it is 7x7, not 120x80"),
        (lambda data: data[: len(data) // 3], "it cannot be decoded"),
        (lambda data: CASES["BMP"].data, "it is BMP, not"),
    ],
)
def test_a_spoilt_picture_is_told(spoil: Callable[[bytes], bytes], told: str):
    """Mirroring, other colors, another size or format, and damage are reported for each rendition."""
    found = _wrong(here([CASES["PNG called .jpg"]], RECIPE, Engine(spoil)))
    assert told in found["PNG called .jpg"]


def test_lost_transparency_is_told():
    """Lost transparency and lost opacity are reported."""
    opaque = Engine(_changed(lambda image: image.convert("RGB")))
    assert "first quarter is not transparent" in _wrong(here([CASES["transparent PNG"]], RECIPE, opaque)).popitem()[1]
    png = Recipe.loads("[variants.v]\nwidth = 120\nformats = ['png']")
    faint = Engine(_changed(lambda image: image.convert("RGBA").point(lambda level: level // 2)))
    assert "quarter 1 is transparent" in _wrong(here([CASES["BMP"]], png, faint)).popitem()[1]


def test_what_should_be_rejected_is_told():
    """A missing rejection, an unexpected one, and one with another code are reported."""
    found = _wrong(here([CASES["no bytes"], CASES["half a JPEG"]], RECIPE, Lenient()))
    assert found == {
        "no bytes": "not rejected, expected empty",
        "half a JPEG": "not rejected, expected truncated or corrupt",
    }
    mean = Recipe.loads("[limits]\nmax_bytes = 10\n[variants.v]\nwidth = 9")
    found = _wrong(here([CASES["BMP"], CASES["text called .jpg"]], mean, Engine()))
    assert found["BMP"].startswith("rejected as too_many_bytes")
    assert found["text called .jpg"] == "rejected as too_many_bytes, expected unsupported_format"


@dataclass
class Deployment:
    """Two stores, and a simulated deployment that updates one from the other."""

    source: MemoryStore
    destination: MemoryStore
    recipe: Recipe = RECIPE
    forgets: bool = False

    def __call__(self, _seconds: float) -> None:
        """Update the destination once."""
        keys = {info.key for info in self.source.list()}
        gone = {info.key.rpartition("/")[0] for info in self.destination.list()} - keys
        for key in keys if self.forgets else keys | gone:
            converge(key, self.source, self.destination, self.recipe, renderer=Engine())

    def run(self, timeout: float = 60.0) -> dict[str, str]:
        """Return the errors that are found."""
        few = [CASES[name] for name in ("EXIF orientation 6", "no bytes", "a name that needs escaping")]
        return _wrong(run_deployment(few, self.source, self.destination, "p/", timeout, self))


_numbers = count()


@pytest.fixture
def deployment() -> Deployment:
    """Return a deployment that works, with an image of its user."""
    made = Deployment(MemoryStore(f"s{next(_numbers)}"), MemoryStore("d"))
    made.source.put("mine.jpg", CASES["BMP"].data, Headers(content_type="image/bmp"))
    return made


def test_a_deployment_is_right_and_left_as_it_was(deployment: Deployment):
    """A working deployment passes; the test images and their thumbnails are deleted afterwards."""
    assert deployment.run() == {}
    assert [info.key for info in deployment.source.list()] == ["mine.jpg"]
    assert {info.key.split("/")[0] for info in deployment.destination.list()} == {"mine.jpg"}


def test_a_deployment_that_does_nothing_is_told(deployment: Deployment):
    """If no thumbnails appear, each image is reported, and the test images are deleted."""
    results = run_deployment([CASES["BMP"]], deployment.source, deployment.destination, "p/", 0.0)
    assert _wrong(results) == {"BMP": "there is no manifest"}
    assert [info.key for info in deployment.source.list()] == ["mine.jpg"]


def test_a_deployment_that_forgets_is_told(deployment: Deployment):
    """Thumbnails that stay after their images are deleted are reported."""
    deployment.forgets = True
    assert [*deployment.run(timeout=3.0)] == ["removed with their sources"]


def test_a_run_that_is_stopped_removes_its_pictures(deployment: Deployment):
    """A run that is stopped deletes its test images."""
    results = run_deployment([*CASES.values()], deployment.source, deployment.destination, "p/", 60.0, deployment)
    next(results)
    assert len([*deployment.source.list()]) == 33
    results.close()
    assert [info.key for info in deployment.source.list()] == ["mine.jpg"]


def test_the_command_tells_of_a_deployment(thumbsmith: Command):
    """For an inactive deployment the exit code is 1, each case is a JSON line, and nothing is left."""
    (thumbsmith.folder / "thumbs").mkdir()
    before = {*thumbsmith.folder.rglob("*")}
    ran = thumbsmith("conformance", "photos", "thumbs", "--wait", "0", "--json")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 1
    assert {line["event"] for line in lines} == {"case"}
    assert [line["name"] for line in lines if line["right"]] == ["removed with their sources"]
    files = {path for path in thumbsmith.folder.rglob("*") if path.is_file()}
    assert files == {path for path in before if path.is_file()}


def test_two_stores_that_overlap_are_refused(thumbsmith: Command):
    """Overlapping source and destination are refused."""
    assert thumbsmith("conformance", "photos", "photos/thumbs").code == 2


def test_a_destination_alone_is_filled_and_left_as_it_was(thumbsmith: Command):
    """The engine of this machine makes correct thumbnails in a folder, and deletes them."""
    (thumbsmith.folder / "kept").mkdir()
    (thumbsmith.folder / "kept" / "mine.txt").write_text("mine")
    ran = thumbsmith("conformance", "kept")
    assert (ran.code, ran.out.splitlines()[-2]) == (0, "right  removed with their sources")
    assert [path.name for path in (thumbsmith.folder / "kept").rglob("*") if path.is_file()] == ["mine.txt"]


def test_a_destination_that_spoils_what_it_is_given_is_told():
    """A store that changes bytes is reported for each image."""

    class Spoiling(MemoryStore):
        def put(self, key: str, data: bytes, headers: Headers) -> str:
            return super().put(key, data if key.endswith(".json") else data[:-9] + bytes(9), headers)

    found = _wrong(run_local([CASES["BMP"]], RECIPE, Engine(), Spoiling("spoiling"), "p/"))
    assert "BMP" in found


def test_a_stack_that_is_not_there_is_said(thumbsmith: Command, ministack: str):
    """A name that is no folder is a stack; an unknown stack gives one sentence."""
    ran = thumbsmith("conformance", "Nowhere")
    assert ran.code == 2
    assert ran.err.startswith("thumbsmith: stack Nowhere: ")


def test_every_case_says_what_it_is_for():
    """Names and files are unique, and no image is large."""
    assert len({case.file for case in CASES.values()}) == len(CASES)
    assert all(is_source(case.file, RECIPE.selection) for case in CASES.values())
    assert all(len(case.data) < 200_000 for case in CASES.values())
    assert all(isinstance(case, Case) and set(case.codes) <= set(Code) for case in CASES.values())
