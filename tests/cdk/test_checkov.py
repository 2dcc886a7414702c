"""checkov finds nothing in the template with all settings, except what .ci/checkov.yaml explains."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.cdk.test_app import EVERYTHING, ROOT, synthesized

CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"
CONFIGURATION = ROOT / ".ci" / "checkov.yaml"


@pytest.mark.deep
@pytest.mark.skipif(not CHECKOV.exists(), reason="make .venv/checkov installs it")
def test_checkov_finds_nothing_unexplained(tmp_path: Path):
    """Each finding is in the list of checks that do not apply, with a reason, and each of that list is found."""
    synthesized(tmp_path, EVERYTHING)
    template = tmp_path / "cdk.out" / "Thumbsmith.template.json"
    words = [CHECKOV, "--file", template, "--framework", "cloudformation", "--skip-download", "--output", "json"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=600)
    report = json.loads(done.stdout)
    explained = dict(re.findall(r"^  - (CKV\w+)  # (.+)$", CONFIGURATION.read_text(), re.MULTILINE))
    assert report["summary"]["passed"] > 100
    assert {each["check_id"] for each in report["results"]["failed_checks"]} == explained.keys()
    assert all(len(reason) > 20 for reason in explained.values())
