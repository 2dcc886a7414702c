"""What the page on backfills says is what the commands and the model say."""

import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from thumbsmith import Recipe
from thumbsmith.bulk.cost import MILLION, Model, source_amount
from thumbsmith.bulk.prices import Prices

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "backfill.md").read_text()


def test_the_bill_shown_is_the_bill():
    """The command prints what the page shows, line by line."""
    ((command, shown),) = re.findall(r"```console\n\$ (.*?)\n(.*?)```", PAGE, re.DOTALL)
    arguments = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == shown


def test_the_arithmetic_is_the_models():
    """Dollars and times of the first table are the model's, rounded."""
    rows = re.findall(
        r"\| ([\d,]+) \| .*? \| (\d[\d,]*) (?:cores|functions at once) \| (\S+) (min|h) \| ([\d,.]+)", PAGE
    )
    assert len(rows) == 4
    for images, at_once, time, unit, dollars in rows:
        number = int(images.replace(",", ""))
        way = "here" if number == 1000 else "batch" if number == 1000 * MILLION else "queue"
        model = Model(recipe=Recipe.default(), way=way)
        amount = source_amount(4_000_000, new=True) * number
        seconds = model.seconds(amount, int(at_once.replace(",", ""))) / (60 if unit == "min" else 3600)
        assert float(dollars.replace(",", "")) == pytest.approx(model.bill(amount).total, rel=0.01, abs=0.005), images
        assert float(time) == pytest.approx(seconds, rel=0.15), images


def test_each_price_is_the_models():
    """What the second table says of a million images is what the model says, for each way."""
    rows = re.findall(
        r"^\| ([^|]+) \|[^|]*\| \**([\d.]+)\** \| \**([\d.]+)\** \| \**([\d.]+)\** \|$", PAGE, re.MULTILINE
    )
    said = [{name.split(":")[0].split(",")[0]: float(row[at]) for name, *row in rows} for at in range(3)]
    recipe = Recipe.default()
    models = [
        Model(recipe=recipe, way="uploads"),
        Model(recipe=recipe, way="uploads", trickle=True),
        Model(recipe=recipe, way="queue"),
    ]
    for column, model in zip(said, models, strict=True):
        bill = model.bill(source_amount(4_000_000, new=True) * MILLION)
        lines = bill.lines
        assert column == pytest.approx(
            {
                "thumbnails and manifest": lines["S3 PUT"],
                "2 GET": lines["S3 GET"] + lines["S3 HEAD"],
                "Lambda": lines["Lambda"],
                "invocations": lines["Lambda invocations"],
                "SQS": lines["SQS"],
                "logs": lines["logs"],
                "**all**": bill.total,
            },
            abs=0.006,
        )
    seconds = [model.function_seconds(source_amount(4_000_000, new=True)) for model in models]
    assert f"{seconds[0]:.2f}, {seconds[1]:.2f} and {seconds[2]:.2f} s" in PAGE


def test_the_price_file_shown_is_one(tmp_path: Path):
    """The prices of the example, and those in its comments, are names that the command knows."""
    (example,) = re.findall(r"```toml\n(thousand_puts.*?)```", PAGE, re.DOTALL)
    (tmp_path / "prices.toml").write_text(example)
    assert Prices.load(tmp_path / "prices.toml").thousand_puts == 0.0054
    assert set(re.findall(r"[a-z]+(?:_[a-z]+)+", example)) == {each.name for each in fields(Prices)}


def test_every_option_named_is_one():
    """Each option of sync, cost and redrive on the page is in the command's help; each setting in the app's."""
    helps = [
        subprocess.run(
            [sys.executable, "-m", "thumbsmith", command, "--help"],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
            env={"COLUMNS": "200", "TERM": "dumb"},
        ).stdout
        for command in ("sync", "cost", "redrive")
    ]
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    assert options >= {"--via", "--prices", "--max-usd", "--rate", "--drain", "--stop", "--inventory"}
    assert not {option for option in options if not any(option in text for text in helps)}
    settings = (ROOT / "src/thumbsmith/cdk/app.py").read_text()
    assert all(f"    {name}: " in settings for name in re.findall(r"-c (\w+)=", PAGE))


def test_the_example_image_runs_the_task():
    """The container's command is the module that the construct starts. No image installs the package by its name.

    As long as the package is not on the index, anyone can register the name there.
    """
    for file in (ROOT / "examples/task/Dockerfile", ROOT / "Dockerfile"):
        assert not re.search(r"pip install[^&|]*\sthumbsmith\b(?!-)", file.read_text()), file
    dockerfile = (ROOT / "examples/task/Dockerfile").read_text()
    assert '["python", "-m", "thumbsmith.aws.task"]' in dockerfile
