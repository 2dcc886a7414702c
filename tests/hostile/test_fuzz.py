"""The probe under a fuzzer that is guided by line coverage."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.mutants import seeds

ROOT = Path(__file__).parents[2]


@pytest.mark.deep
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="NOT TESTED: there is no atheris here")
@pytest.mark.parametrize("seconds", [600])
def test_ten_minutes_of_fuzzing_find_nothing(tmp_path: Path, seconds: int):
    """The probe raises only its own exceptions, and no input takes more than five seconds or a gigabyte."""
    start, found = tmp_path / "start", tmp_path / "found"
    for folder in (start, found):
        folder.mkdir()
    for number, data in enumerate(seeds()):
        (start / str(number)).write_bytes(data)
    bounds = [f"-max_total_time={seconds}", "-timeout=5", "-rss_limit_mb=1024", "-max_len=65536", "-seed=1"]
    bounds.append(f"-artifact_prefix={tmp_path}/")
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.hostile.fuzz_probe",
            str(found),
            str(start),
            *bounds,
            f"-artifact_prefix={tmp_path}/",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds + 300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "Done" in ran.stderr
