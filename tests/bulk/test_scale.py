"""A plan for stores that are too large for memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "plan.py"
LARGE = [pytest.param(sources, marks=pytest.mark.deep) for sources in (200_000, 2_000_000)]


@pytest.mark.skipif(not BENCH.exists(), reason="the benchmarks are not here")
@pytest.mark.parametrize("sources", [2_000, *LARGE])
def test_memory_does_not_grow_with_the_bucket(sources: int, tmp_path: Path):
    """The first plan reads each manifest once, the second none; memory stays below 150 MB at any size."""
    for manifests in (sources, 0):
        command = [sys.executable, BENCH, "--one", str(sources), tmp_path / "cache"]
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
        measured = json.loads(ran.stdout)
        assert measured["manifests_read"] == manifests
        assert measured["peak_megabytes"] <= 150
