"""The example app."""

import json
import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "app.py"


def test_the_example_is_an_app(tmp_path: Path):
    """The example of eight lines synthesizes: a function, its queues, and one new bucket."""
    environment = os.environ | {"CDK_OUTDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, EXAMPLE],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "MB as a zip" in done.stderr
    resources = json.loads((tmp_path / "MyThumbnails.template.json").read_text())["Resources"].values()
    kinds = [each["Type"] for each in resources]
    assert kinds.count("AWS::S3::Bucket") == 1
    assert kinds.count("AWS::SQS::Queue") == 2
    code = [line for line in EXAMPLE.read_text().splitlines()[2:] if line]
    assert len(code) == 8
