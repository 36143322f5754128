"""Shares of a run as numbers of steps."""

from __future__ import annotations

import math


def steps_of(share: float, steps: int) -> int:
    """Return ⌈share · steps⌉; the product is rounded first, because 0.7 · 10 is a little above 7 in floating point."""
    return math.ceil(round(share * steps, 9))
