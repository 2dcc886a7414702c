"""The pages of the site say what is true: commands run, figures and messages are those of the program."""

import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest

import scale
from tests.pictures import picture
from thumbsmith import Recipe, Rejected, StoreError, converge
from thumbsmith.bulk.cost import Model
from thumbsmith.errors import Code

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def _run(commands: str, folder: Path) -> str:
    """Run the commands of a block in a shell that finds the program; return their output. Installing is left out."""
    kept = "\n".join(line for line in commands.splitlines() if not line.startswith("pip install"))
    program = f'thumbsmith() {{ {shlex.quote(sys.executable)} -m thumbsmith "$@"; }}\nset -eu\n'
    done = subprocess.run(
        ["bash", "-c", program + kept], cwd=folder, check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, (kept, done.stderr)
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the files that the pages name."""
    for path in ("photo.jpg", "photos/cat.jpg", "photos/dog.jpg", "content/photos/cat.jpg"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(picture(size=(300, 200)))
    return tmp_path


@pytest.mark.parametrize("page", ["index.md", "inicio.md"])
def test_the_quick_start_runs(page: str, folder: Path):
    """Each command of the entry pages runs as it is written, and a second sync has nothing to do."""
    outputs = [_run(block, folder) for block in _blocks(page, "sh")]
    assert "0 made, 2 fresh" in outputs[-1].splitlines()[-1]
    assert (folder / "photo.jpg.256.webp").is_file()
    assert (folder / "thumbsmith-demo/index.html").is_file()


def test_both_quick_starts_have_the_same_parts():
    """The Spanish page has the headings, commands, tables and links of the English one."""

    def shape(page: str) -> object:
        text = (DOCS / page).read_text()
        code = re.sub(r" *#.*", "", "".join(_blocks(page, "sh")))
        links = [link for link in re.findall(r"\]\((.*?)\)", text) if link not in {"index.md", "inicio.md"}]
        return code, links, text.count("\n## "), text.count("\n|")

    assert shape("index.md") == shape("inicio.md")


def test_the_static_site_is_built(folder: Path):
    """The commands for static sites write a <picture> for each photo."""
    (folder / "snippets").mkdir()
    for block in _blocks("jobs.md", "sh"):
        _run(block, folder)
    assert (folder / "snippets/cat.jpg.html").read_text().startswith("<picture>")


def test_the_celery_task_makes_thumbnails(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """The task answers with the status, removes thumbnails of a deleted image, and retries only transient errors."""
    from celery.exceptions import Retry  # noqa: PLC0415 - only this test needs it

    monkeypatch.chdir(folder)
    module = types.ModuleType("tasks")
    (code,) = _blocks("jobs.md", "python")
    exec(compile(code, "docs/jobs.md", "exec"), module.__dict__)
    task = module.make_thumbnails
    assert [task("cat.jpg"), task("cat.jpg")] == ["made", "fresh"]
    (folder / "photos/cat.jpg").unlink()
    assert task("cat.jpg") == "deleted"
    assert not (folder / "thumbs/cat.jpg").exists()
    for transient, expected in ((True, Retry), (False, StoreError)):

        def fail(*_: object, transient: bool = transient) -> None:
            raise StoreError("the network is down", transient=transient)

        monkeypatch.setattr(module, "converge", fail)
        monkeypatch.setattr(task, "retry", lambda **_: Retry())
        with pytest.raises(expected):
            task("dog.jpg")


def test_the_table_of_scale_is_what_the_simulator_prints():
    """The page has the table of bench/scale.py, number by number; `python bench/scale.py --save` writes it again."""
    page = (DOCS / "scale.md").read_text()
    assert page.count("\n| images |") == 1
    assert f"\n{scale.table()}\n" in page


def test_the_numbers_in_the_text_of_scale_are_computed():
    """Each number beside the table is one of the simulator, its constants, or the figures of another page."""
    page = (DOCS / "scale.md").read_text()
    one, recipe = scale.amount(1), Recipe.default()

    def uploads(*, trickle: bool) -> float:
        return 20 / Model(recipe=recipe, way="uploads", trickle=trickle).function_seconds(one)

    model = Model(recipe=recipe)
    for sentence in (
        f"${model.storage_dollars(scale.amount(10**6)):.2f} a month for each million images",
        f"about {uploads(trickle=True):.0f} uploads a second if each upload starts",
        f"Then 20 functions handle about {uploads(trickle=False):.0f}.",
        f"8 cores handle about {scale.CORES / model.cpu_seconds(one):.0f} images a second",
        f"A machine has {scale.CORES} cores and costs ${scale.MACHINE_HOUR_DOLLARS} an hour",
        f"{scale.LISTED_PER_SECOND:,} keys a second",
        f"sends {scale.SENT_PER_SECOND:,} messages a second",
        f"S3 allows {scale.S3_WRITES:,} writes and {scale.S3_READS:,} reads a second",
        f"{60 * scale.ADDED_PER_SECOND} more each minute",
        f"A queue keeps a message for {scale.QUEUE_DAYS} days",
        f"{scale.MEGAPIXELS} megapixels",
    ):
        assert sentence in page, sentence
    assert f"{scale.LISTED_PER_SECOND:,} a second" in (DOCS / "plan.md").read_text()
    assert f"{scale.SENT_PER_SECOND:,} per second" in (DOCS / "backfill.md").read_text()


def test_the_simulator_keeps_its_laws():
    """Ten times as many images cost at least nine times as much; more functions never take longer."""
    for way in scale.ways(Recipe.default()):
        few, many = (scale.simulate(way, images) for images in (10**6, 10**7))
        assert 9 <= many.dollars / few.dollars <= 10.01
        assert many.hours > few.hours
    hours = [scale.ramped(10_000, functions) for functions in (20, 100, 1_000)]
    assert hours == sorted(hours, reverse=True)
    assert scale.ramped(1, 1_000) < 1


# Words of messages that come from the system or from AWS.
FROM_OTHERS = {"AccessDenied", "403", "NoSuchBucket", "No space left on device"}


def test_each_message_in_troubleshooting_exists():
    """The words that the page quotes are in the program, and each rejection code is explained."""
    program = "".join(path.read_text() for path in (*(ROOT / "src").rglob("*.py"), ROOT / "hatch_build.py"))
    rows = re.findall(r"^\| (.*?) \| ", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    quoted = {words for row in rows for words in re.findall(r"`([^`]+)`", row)} - FROM_OTHERS
    assert len(quoted) > 25
    for words in quoted:
        for part in re.split(r'\.\.\.|"NAME"', words):
            assert part.strip(" :") in program, words
    assert set(Code) <= quoted


def test_a_rejection_is_no_exception_of_converge(folder: Path):
    """What the page about Celery says: a file that is no image is a result."""
    (folder / "photos/text.jpg").write_text("no image")
    assert converge("text.jpg", str(folder / "photos"), str(folder / "thumbs")).status == "rejected"
    assert not Rejected.transient
