"""How an engine is spoken to: a JSON object a line on stdin is a job, one on stdout what it took."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

# Source, sides of the boxes, format, quality -> a file's bytes for each box.
Make: TypeAlias = Callable[[bytes, list[int], str, int], list[bytes]]


def serve(make: Make) -> None:
    """Do one job after another: `source`, `sides`, `format`, `quality`, and `out`, a folder for what is made or null.

    Answers {"cpu": seconds of this process, of its threads and its children, "peak": MB}, or {"error": name}.
    """
    for line in sys.stdin:
        job = json.loads(line)
        before = _cpu()
        try:
            made = make(Path(job["source"]).read_bytes(), job["sides"], job["format"], job["quality"])
            answer = {"cpu": _cpu() - before, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
            if job["out"]:
                for side, data in zip(job["sides"], made, strict=True):
                    (Path(job["out"]) / f"{side}.{job['format']}").write_bytes(data)
        except Exception as error:  # any error: this engine cannot make this picture
            answer = {"error": type(error).__name__}
        print(json.dumps(answer), flush=True)


def _cpu() -> float:
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
