"""The Python API: what a program imports, gives and gets."""

import inspect
import io
import os
import pydoc
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import thumbsmith
from tests.pictures import opened, picture
from thumbsmith import (
    Recipe,
    RecipeError,
    Rejected,
    Rendition,
    StoreError,
    ThumbsmithError,
    Variant,
    Workers,
    converge,
    open_store,
    plan,
    render,
    sync,
)
from thumbsmith.errors import MassDeletionRefused, UsageError
from thumbsmith.reader import BytesReader

TINY = Recipe.loads("[variants.small]\nwidth = 8\nformats = ['webp', 'png']")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, with two photographs in `photos`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "photos" / name).write_bytes(picture())
    return tmp_path


def test_names_are_shown_and_documented():
    """dir() and help() show the public names and the version; each has a docstring and is what it is called."""
    assert set(dir(thumbsmith)) == set(thumbsmith.__all__)
    text = pydoc.render_doc(thumbsmith, renderer=pydoc.plaintext)
    for name in thumbsmith.__all__:
        found = getattr(thumbsmith, name)
        if name != "__version__":
            assert found.__doc__
            assert found.__name__ == name
            assert name in text
    with pytest.raises(AttributeError, match="no attribute 'rnder'"):
        _ = thumbsmith.rnder


def _examples() -> dict[str, str]:
    """Return the indented lines of the docstring of each public name that has any."""
    docs = {name: inspect.getdoc(getattr(thumbsmith, name)) or "" for name in thumbsmith.__all__}
    blocks = {name: "".join(re.findall(r"^    .*\n?", text, re.MULTILINE)) for name, text in docs.items()}
    return {name: textwrap.dedent(block) for name, block in blocks.items() if block}


def test_calls_have_examples_and_errors():
    """The docstring of each public function, of Recipe and of Workers has an example and names the errors."""
    calls = {name for name in thumbsmith.__all__ if inspect.isfunction(getattr(thumbsmith, name))}
    assert {"render", "sync"} <= calls
    assert set(_examples()) >= calls | {"Recipe", "Workers"}
    for name in (*calls, "Recipe", "Workers"):
        assert "Error" in (inspect.getdoc(getattr(thumbsmith, name)) or "")


@pytest.mark.parametrize("name", _examples())
def test_an_example_in_a_docstring_works(folder: Path, name: str):
    """The example runs as it is, after the public names were imported."""
    for path in ("photo.jpg", "photos/cat.jpg"):
        (folder / path).write_bytes(picture())
    example = _examples()[name].replace("s3://my-thumbnails", "memory://my-thumbnails")
    code = f"from thumbsmith import *\n{example}"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, timeout=120, capture_output=True)


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "memoryview", "path", "text", "file", "memory", "reader"])
@pytest.mark.parametrize("isolated", [False, True])
def test_an_image_is_given_in_any_form(folder: Path, kind: str, isolated: bool):
    """Bytes, paths, open files and range readers give the same renditions, here and in a confined process."""
    data, path = picture(), folder / "photos" / "a.jpg"
    with path.open("rb") as file:
        file.seek(7)
        image = {
            "bytes": data,
            "bytearray": bytearray(data),
            "memoryview": memoryview(data),
            "path": path,
            "text": "photos/a.jpg",
            "file": file,
            "memory": io.BytesIO(data),
            "reader": BytesReader(data),
        }[kind]
        if isolated:
            with Workers(1) as workers:
                made = workers.render(image, TINY).renditions
        else:
            made = render(image, TINY)
        assert file.tell() == 7
    assert made == render(data, TINY)


def test_a_pipe_is_read_up_to_the_limit(folder: Path):
    """A file that cannot seek is read once; above max_bytes it is rejected and not read to its end."""
    data = picture()
    recipe = Recipe.loads(f"[limits]\nmax_bytes = {len(data)}\n[variants.a]\nwidth = 8")
    for extra in (0, 1):
        reading, writing = os.pipe()
        os.write(writing, data + bytes(extra))
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            if extra:
                with pytest.raises(Rejected, match="too_many_bytes"):
                    render(pipe, recipe)
            else:
                assert render(pipe, recipe) == render(data, recipe)


def test_without_a_recipe_it_is_the_default(folder: Path):
    """render, converge, plan and sync take the default recipe."""
    assert [each.variant for each in render("photos/a.jpg")] == ["icon", "small", "large"]
    assert converge("a.jpg", "photos", "thumbs").written == 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: render(7), UsageError, "expected the bytes of an image, a path, .* found int"),
        (lambda: render(io.StringIO("x")), UsageError, "found one in text mode"),
        (lambda: render("photos/none.jpg"), FileNotFoundError, "none.jpg"),
        (lambda: render("photos"), IsADirectoryError, "photos"),
        (lambda: render("photos/a.jpg", "thumbsmith.toml"), RecipeError, "expected a Recipe, .* found str"),
        (
            lambda: converge(Path("a.jpg"), "photos", "thumbs"),
            UsageError,
            "expected a key, .* found PosixPath",
        ),
        (lambda: converge("a.jpg", "photos", "photos/thumbs"), UsageError, "overlap"),
        (lambda: converge("a.jpg", open_store("."), open_store("./t")), UsageError, "overlap"),
        (lambda: converge("a.jpg", 7, "thumbs"), UsageError, "expected a store, or the address of one, .* found int"),
        (lambda: converge("a.jpg", "photos", "s3:/b"), StoreError, "without its ://"),
        (lambda: sync("photos", "photos/thumbs"), UsageError, "overlap"),
        (lambda: sync("none", "thumbs"), StoreError, "No such file"),
        (lambda: plan("photos", "photos"), UsageError, "overlap"),
        (lambda: plan("photos", "photos/thumbs"), UsageError, "overlap"),
        (lambda: plan("photos", "thumbs", "thumbsmith.toml"), RecipeError, "expected a Recipe"),
        (lambda: open_store(None), UsageError, "expected the address of a store, such as ./photos, found NoneType"),
        (lambda: Workers(0), UsageError, "count: expected a whole number of 1 or more, or None, found 0"),
        (lambda: Workers("2"), UsageError, "count: expected a whole number of 1 or more, or None, found '2'"),
        (lambda: Workers(True), UsageError, "count: expected a whole number"),
        (lambda: Workers(memory=-1), UsageError, "memory: expected a whole number"),
        (lambda: Variant(name="x", width=-5), RecipeError, "expected a whole number from 1"),
        (lambda: Variant(name="x", width=5, fit="crop"), RecipeError, "crop"),
        (lambda: Variant(name="x"), RecipeError, "expected width or height"),
        (lambda: Recipe(variants=()), RecipeError, "variants"),
    ],
)
def test_a_wrong_value_is_an_error_with_a_sentence(folder: Path, call, error: type[Exception], message: str):
    """What is no image, recipe, key or store is refused when it is given, and nothing is written."""
    with pytest.raises(error, match=message) as raised:
        call()
    assert isinstance(raised.value, ThumbsmithError | OSError)
    assert {path.name for path in folder.iterdir()} == {"photos"}


def test_stores_are_given_by_their_addresses(folder: Path):
    """converge, plan and sync take paths, addresses and stores."""
    assert converge("a.jpg", folder / "photos", f"file://{folder}/thumbs", TINY).status == "made"
    assert {status.key: str(status.state) for status in plan("photos", open_store("thumbs"), TINY)} == {
        "a.jpg": "fresh",
        "b.jpg": "missing",
    }
    seen = []
    counts = sync("photos", "thumbs", TINY, on_result=lambda each: seen.append((each.key, each.word)), jobs=1)
    assert sorted(seen) == [("a.jpg", "fresh"), ("b.jpg", "made")]
    assert counts.sources == {"made": 1, "fresh": 1, "rejected": 0, "failed": 0}
    assert (counts.renditions, counts.errors) == (2, 0)
    assert sync("photos", "thumbs", TINY, prefix="b").sources["fresh"] == 1


def test_sync_does_not_empty_a_destination(folder: Path):
    """An empty source is refused, unless the program allows it."""
    sync("photos", "thumbs", TINY)
    (folder / "empty").mkdir()
    with pytest.raises(MassDeletionRefused):
        sync("empty", "thumbs", TINY)
    assert sync("empty", "thumbs", TINY, allow_mass_delete=True).deleted == 6


def test_a_rendition_is_saved(folder: Path):
    """Save writes the file to a path, or under its name into a folder, and returns the path."""
    webp, _ = render("photos/a.jpg", TINY)
    assert webp.save("thumb.webp") == Path("thumb.webp")
    assert opened(Path("thumb.webp").read_bytes()).size == (8, 5)
    assert webp.save(folder / "photos") == folder / "photos" / "small.webp"
    with pytest.raises(FileNotFoundError):
        webp.save("none/thumb.webp")


def test_a_rendition_is_shown_in_one_line_and_in_notebooks(folder: Path):
    """Repr has no bytes of the picture; notebooks get an element, and the data of a PNG."""
    webp, png = render("photos/a.jpg", TINY)
    assert repr(webp) == f"<Rendition small.webp: 8 x 5, {len(webp.data)} bytes>"
    assert webp._repr_html_().startswith('<img src="data:image/webp;base64,')
    assert 'width="8" height="5"' in webp._repr_html_()
    assert (webp._repr_png_(), png._repr_png_()) == (None, png.data)
    assert "data" not in repr((webp, png))
    assert isinstance(webp, Rendition)


def test_an_outcome_is_short(folder: Path):
    """Repr of an outcome does not repeat the manifest."""
    outcome = converge("a.jpg", "photos", "thumbs", TINY)
    assert "srcset" not in repr(outcome)
    assert outcome.manifest["renditions"]


def test_a_program_without_side_effects_on_import(folder: Path):
    """Importing the package starts no process, and loads no image library."""
    code = "import sys, thumbsmith; assert 'PIL' not in sys.modules; print(thumbsmith.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.strip() == thumbsmith.__version__
