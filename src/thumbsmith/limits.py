"""Limits: what a source may cost, judged by its size and its header before any decoder sees it."""

from __future__ import annotations

from thumbsmith.errors import Code, Rejected
from thumbsmith.probe.types import Probe
from thumbsmith.recipe.values import Limits


def judge_bytes(size: int, limits: Limits) -> None:
    """Raise Rejected(empty or too_many_bytes) for a source of `size` bytes that is not to be read at all."""
    if size == 0:
        raise Rejected(Code.EMPTY, "the source holds no bytes")
    if size > limits.max_bytes:
        raise Rejected(Code.TOO_MANY_BYTES, f"the source is {size} bytes; max_bytes is {limits.max_bytes}")


def judge(probe: Probe, limits: Limits, *, frames: int = 1) -> None:
    """Raise Rejected for a picture that is too large to decode `frames` frames of it.

    The code is too_long_side, too_many_frames, too_many_pixels or too_many_scans: the first that holds, in this order.
    """
    side = max(probe.width, probe.height)
    if side > limits.max_side:
        raise Rejected(Code.TOO_LONG_SIDE, f"a side is {side} pixels; max_side is {limits.max_side}")
    if frames > limits.max_frames:
        raise Rejected(Code.TOO_MANY_FRAMES, f"{frames} frames are to be decoded; max_frames is {limits.max_frames}")
    pixels = probe.width * probe.height * frames
    if pixels > limits.max_pixels:
        times = f" x {frames} frames" if frames > 1 else ""
        what = f"{probe.width} x {probe.height}{times} is {pixels} pixels"
        raise Rejected(Code.TOO_MANY_PIXELS, f"{what}; max_pixels is {limits.max_pixels}")
    if probe.scans > limits.max_scans:
        raise Rejected(Code.TOO_MANY_SCANS, f"the JPEG has {probe.scans} scans; max_scans is {limits.max_scans}")
