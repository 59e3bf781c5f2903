"""Prompts for a person from the key frames: black, covered, blurred, frozen. Never a judgement, never a reason for anything.

All thresholds stand here and nowhere else. They were measured on 320 x 180 grey key frames: a lively street has a Laplacian
variance of 500 to 700 and a phone at night 80 to 100, while a covered lens has 2 and a defocused one 16; two pictures of a
living scene differ by at least 1.6 grey levels on average even in the dark, because the sensor's noise moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[Any]

BLACK_MEAN_MAX: Final = 16.0
BLACK_STD_MAX: Final = 6.0
BLACK_MS: Final = 3_000
COVERED_STD_MAX: Final = 12.0
COVERED_EDGE_MAX: Final = 0.002
COVERED_LAPLACIAN_MAX: Final = 6.0
COVERED_MS: Final = 5_000
BLURRED_LAPLACIAN_MAX: Final = 25.0
BLURRED_STD_MIN: Final = 20.0
BLURRED_MS: Final = 10_000
FROZEN_DIFFERENCE_MAX: Final = 0.5
FROZEN_MS: Final = 5_000

_GREY_SIZE: Final = (320, 180)


@dataclass(frozen=True, slots=True)
class FrameMeasure:
    """Figures of one key frame; ``difference`` is against the frame before (255 for the first)."""

    at_ms: int
    mean: float
    std: float
    laplacian: float
    edges: float
    difference: float

    @property
    def black(self) -> bool:
        """Nothing to see."""
        return self.mean < BLACK_MEAN_MAX and self.std < BLACK_STD_MAX

    @property
    def covered(self) -> bool:
        """Light, but no structure: a hand or cloth before the lens."""
        return (
            not self.black
            and self.std < COVERED_STD_MAX
            and self.edges < COVERED_EDGE_MAX
            and self.laplacian < COVERED_LAPLACIAN_MAX
        )

    @property
    def blurred(self) -> bool:
        """Structure without edges."""
        return self.laplacian < BLURRED_LAPLACIAN_MAX and self.std > BLURRED_STD_MIN

    @property
    def frozen(self) -> bool:
        """The same picture as before."""
        return self.difference < FROZEN_DIFFERENCE_MAX


def grey(picture: Picture) -> Picture:
    """The small grey picture all figures are taken from; a 3 x 3 median keeps noise from looking like sharpness."""
    small = cv2.resize(picture, _GREY_SIZE, interpolation=cv2.INTER_AREA)
    return cv2.medianBlur(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), 3)


def measure(current: Picture, before: Picture | None, *, at_ms: int) -> FrameMeasure:
    """Figures of a grey picture."""
    edges = cv2.Canny(current, 60, 120)
    return FrameMeasure(
        at_ms=at_ms,
        mean=float(current.mean()),
        std=float(current.std()),
        laplacian=float(cv2.Laplacian(current, cv2.CV_64F).var()),
        edges=float(np.count_nonzero(edges)) / edges.size,
        difference=255.0 if before is None else float(cv2.absdiff(current, before).mean()),
    )


def _spans_ms(
    frames: Sequence[FrameMeasure], condition: Callable[[FrameMeasure], bool], *, end_ms: int, at_least_ms: int
) -> int:
    """Total length of stretches in which the condition holds without a break for at least ``at_least_ms``."""
    total, begin = 0, -1
    for frame in frames:
        if condition(frame):
            begin = frame.at_ms if begin < 0 else begin
        elif begin >= 0:
            total += frame.at_ms - begin if frame.at_ms - begin >= at_least_ms else 0
            begin = -1
    if begin >= 0 and end_ms - begin >= at_least_ms:
        total += end_ms - begin
    return total


def summarise(frames: Sequence[FrameMeasure], *, end_ms: int) -> dict[str, int]:
    """Seconds (rounded down) of each condition, and how many key frames were looked at. Only non-zero hints are listed."""
    found = {
        "black_s": _spans_ms(frames, lambda f: f.black, end_ms=end_ms, at_least_ms=BLACK_MS) // 1000,
        "covered_s": _spans_ms(frames, lambda f: f.covered, end_ms=end_ms, at_least_ms=COVERED_MS) // 1000,
        "blurred_s": _spans_ms(frames, lambda f: f.blurred, end_ms=end_ms, at_least_ms=BLURRED_MS) // 1000,
        "frozen_s": _spans_ms(frames, lambda f: f.frozen, end_ms=end_ms, at_least_ms=FROZEN_MS) // 1000,
    }
    return {name: seconds for name, seconds in found.items() if seconds > 0} | {"frames_seen": len(frames)}
