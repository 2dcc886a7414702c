"""Draw the measurements of growth.py: python curves.py FOLDER, with JSON on stdin. Runs in the peers' environment."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "thumbsmith"  # equal data give equal files
import matplotlib.pyplot as plt  # noqa: E402 - after what it reads when it is loaded


def main() -> None:
    """Write three pictures."""
    folder, found = Path(sys.argv[1]), json.load(sys.stdin)
    folder.mkdir(parents=True, exist_ok=True)
    pictured(folder / "megapixels.svg", found["megapixels"], "megapixels of the source", log=True)
    pictured(folder / "variants.svg", found["variants"], "variants, 64 to 1600 pixels, of 12 megapixels", log=False)
    objects = [[each["entries"], each["seconds"], each["peak_megabytes"]] for each in found["objects"]]
    pictured(folder / "objects.svg", {"warm plan": objects}, "entries of the listings", log=True, time="seconds")


def pictured(file: Path, curves: dict, across: str, *, log: bool, time: str = "milliseconds of CPU time") -> None:
    """Draw time and memory side by side."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for axis, column, what in zip(axes, (1, 2), (time, "megabytes at the peak"), strict=True):
        for name, rows in curves.items():
            axis.plot([row[0] for row in rows], [row[column] for row in rows], marker="o", markersize=3, label=name)
        axis.set(xlabel=across, ylabel=what)
        if log:
            axis.set_xscale("log")
            axis.set_yscale("log")
        else:
            axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    figure.savefig(file, metadata={"Date": None})
    print(file)


if __name__ == "__main__":
    main()
