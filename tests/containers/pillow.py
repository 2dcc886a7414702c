"""What Pillow says about a file, for comparison, and the known differences."""

import io
import warnings
from dataclasses import dataclass

import pytest
from PIL import Image

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.formats import SOURCE_FORMATS
from thumbsmith.image.probe import Probe, probe
from thumbsmith.reader import BytesReader

# Pillow's names of our formats.
FORMATS = {
    "MPO": "jpeg",
    "HEIF": "heic",
    "JPEG2000": "jp2",
    "PPM": "pnm",
    **{name.upper(): name for name in SOURCE_FORMATS},
}

# Pillow loads these files, and Thumbsmith rejects them.
STRICTER = {
    "by matrix 10": "Pillow opens it, and libavif cannot convert its colors when they are decoded",
    "two different values": "Pillow believes the last field and libtiff the first, so no size can be relied on",
    "masks overlap": "Pillow ignores a mask for alpha of 16 bits, and Chromium refuses masks that overlap",
    "masks for color are all zero": "Pillow takes them for BGRA, and Chromium shows black",
    "with the mask": "Pillow ignores a mask for alpha of 16 bits, which may be impossible",
    "and compression": "Pillow ignores the depth of a run-length coded BMP, and reads masks of 24 bits",
}


@dataclass(frozen=True)
class Opinion:
    """What Pillow says without decoding. `frames` is None where Pillow cannot count them, or counts something else."""

    format: str
    size: tuple[int, int]
    orientation: int | None
    alpha: bool
    frames: int | None


def opinion(data: bytes) -> tuple[Opinion, Image.Image] | None:
    """Return what Pillow says, None for a file that it does not open in one of our formats."""
    heic = pytest.importorskip("pi_heif")
    heic.register_heif_opener()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(data))
        except Exception:
            return None
        if image.format not in FORMATS:
            return None
        name = FORMATS[image.format]
        return Opinion(name, image.size, _orientation(image), image.has_transparency_data, _frames(name, image)), image


def disagreement(data: bytes) -> str | None:
    """Return how the probe and Pillow differ about a file, None for no difference or a known one."""
    theirs = opinion(data)
    try:
        ours = probe(BytesReader(data))
    except Rejected as rejected:
        return _refused(rejected, theirs)
    if theirs is None or ours.format == "raw":  # which Pillow takes for a TIFF
        return None  # broken behind the header, or a kind of TIFF that Pillow does not know: found when it is decoded
    said, image = theirs
    # Pillow swaps the sides of a TIFF when it opens it, and libheif those of a HEIC.
    size = ours.size if ours.format in ("tiff", "heic") else (ours.width, ours.height)
    differences = {
        "format": (ours.format, said.format),
        "size": (size, said.size),
        "orientation": (ours.orientation, ours.orientation if said.orientation is None else said.orientation),
        "frames": (ours.frames, ours.frames if said.frames is None else said.frames),
        "alpha": (ours.alpha, _alpha(ours, said)),
        "progressive": (ours.progressive, bool(image.info.get("progressive"))),
    }
    return next((f"{what}: {mine} != {other}" for what, (mine, other) in differences.items() if mine != other), None)


def _orientation(image: Image.Image) -> int | None:
    """Return the EXIF orientation; None for HEIC, which libheif orients without saying so."""
    if image.format == "HEIF":
        return None
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:
        return 1  # EXIF that Pillow cannot read counts as none
    return value if value in range(1, 9) else 1


def _frames(name: str, image: Image.Image) -> int | None:
    """Return the number of frames; None where Pillow counts something else (MPO, HEIC, PSD), or fails."""
    if name in ("jpeg", "heic", "psd"):
        return None
    try:
        frames = getattr(image, "n_frames", 1)
    except Exception:
        return None  # a later page of a TIFF is broken
    # Pillow counts the first image of an animated PNG, which is no frame of it, as one more frame.
    return frames - 1 if name == "png" and getattr(image, "default_image", False) else frames


def _alpha(ours: Probe, said: Opinion) -> bool:
    """Return the expected alpha of our probe.

    It also counts later frames of a GIF, the area that its first frame leaves free, and any mask for alpha of a BMP.
    Pillow takes any fourth channel of a PSD as alpha.
    """
    if ours.format == "psd":
        return ours.alpha
    return ours.alpha or said.alpha if ours.format in ("gif", "bmp") else said.alpha


def _refused(rejected: Rejected, theirs: tuple[Opinion, Image.Image] | None) -> str | None:
    if theirs is None or any(reason in rejected.detail for reason in STRICTER):
        return None
    if rejected.code not in (Code.CORRUPT, Code.TRUNCATED):
        return f"refused as {rejected}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            theirs[1].load()
        except Exception:
            return None  # Pillow opens the header and then cannot decode it either
    return f"refused as {rejected}, and Pillow decodes it"
