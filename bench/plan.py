"""Speed and memory of a plan over generated listings.

    python bench/plan.py [SOURCES...]

Prints a line for each number of sources: first without a manifest cache (cold), then with it (warm). A source has four
objects in the destination, so n sources are 5n listed objects. Peak memory is that of the whole process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

from listed import scope_of
from thumbsmith.bulk.cost import Totals
from thumbsmith.bulk.scan import scan
from thumbsmith.bulk.status import inspect

SIZES = (20_000, 200_000)  # 1e5 and 1e6 listed objects
ENTRIES_A_SOURCE = 5


def measure(sources: int, index: Path) -> dict[str, float]:
    """Plan once in this process; return time and memory."""
    scope = scope_of(sources, index)
    started, totals = time.perf_counter(), Totals()
    with scan(scope) as found:
        listed = time.perf_counter()
        for standing in inspect(found, stop=lambda: False):
            totals.add(standing)
    ended = time.perf_counter()
    if totals.sources["fresh"] != sources:
        raise SystemExit(f"expected {sources} fresh sources, found {totals.sources}")
    return {
        "entries": sources * ENTRIES_A_SOURCE,
        "listing_seconds": round(listed - started, 2),
        "seconds": round(ended - started, 2),
        "entries_a_second": round(sources * ENTRIES_A_SOURCE / (ended - started)),
        "manifests_read": scope.destination.opened,
        "peak_megabytes": round(peak_bytes() / (1 << 20)),
    }


def peak_bytes() -> int:
    """Return the peak resident memory of this process.

    Not from getrusage if there is /proc: on Linux that includes the memory of the parent when it started this process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return getrusage(RUSAGE_SELF).ru_maxrss  # in bytes on macOS


def main() -> None:
    """Measure each size in other processes, cold and warm."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(int(sys.argv[2]), Path(sys.argv[3]))))
        return
    for sources in [int(size) for size in sys.argv[1:]] or SIZES:
        with tempfile.TemporaryDirectory() as folder:
            for how in ("cold", "warm"):
                command = [sys.executable, __file__, "--one", str(sources), f"{folder}/index.sqlite"]
                ran = subprocess.run(command, check=True, capture_output=True, text=True)
                print(how, ran.stdout.strip(), flush=True)


if __name__ == "__main__":
    main()
