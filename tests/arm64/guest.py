"""The job of the emulated machine: it runs each step, and reports into the shared folder after each one."""

import json
import subprocess
import sys
import time
from pathlib import Path

SHARE = Path("/share")


def main() -> None:
    """Run the steps of steps.json, `{name: [word, ...]}`, one after the other."""
    report = {}
    for name, command in json.loads(Path("steps.json").read_text()).items():
        started = time.monotonic()
        done = subprocess.run(command, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        seconds = time.monotonic() - started
        report[name] = {"code": done.returncode, "output": done.stdout, "seconds": seconds}
        part = SHARE / "report.part"
        part.write_text(json.dumps(report))
        part.rename(SHARE / "report.json")
        sys.stdout.write(f"{name}: exit {done.returncode} after {seconds:.0f} s\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
