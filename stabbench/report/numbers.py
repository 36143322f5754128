"""How the report writes numbers: unknown is "–", digits follow the spread, minus signs are real."""

from __future__ import annotations

import math
from collections.abc import Sequence

UNKNOWN = "–"
MINUS = "−"
LONGEST = 4
"""Most decimals of a mean; the exact value stands in the page's source."""


def share(value: float | None, digits: int = 3) -> str:
    """Return a share with fixed digits, ``0.713``."""
    return fixed(value, digits)


def fixed(value: float | None, digits: int) -> str:
    """Return a number with fixed digits and a real minus; "–" for unknown; the word for NaN and infinities."""
    if value is None:
        return UNKNOWN
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else (f"{MINUS}∞" if value < 0 else "∞")
    return f"{value:.{digits}f}".replace("-", MINUS)


def significant(value: float | None, digits: int = 3) -> str:
    """Return a number with significant digits and no exponent for common sizes."""
    if value is None or not math.isfinite(value):
        return fixed(value, 0)
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if not -5 <= size <= 8:
        return f"{value:.{digits - 1}e}".replace("-", MINUS)
    return f"{value:,.{max(0, digits - 1 - size)}f}".replace("-", MINUS).replace(",", " ")


def mean_and_sd(values: Sequence[float]) -> str:
    """Return ``0.713 ± 0.021`` (sample SD, two significant digits of it), or what can be said of fewer values."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return UNKNOWN if not values else "NaN"
    mean = math.fsum(finite) / len(finite)
    if len(finite) < 2:
        return significant(mean)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in finite) / (len(finite) - 1))
    digits = min(LONGEST, max(0, 1 - math.floor(math.log10(sd)))) if sd > 0 else 3
    return f"{fixed(mean, digits)} ± {fixed(sd, digits)}"


def milliseconds(value: float | None) -> str:
    """Return seconds as milliseconds."""
    return significant(None if value is None else value * 1e3)


def megabytes(value: float | None) -> str:
    """Return bytes as megabytes (10⁶)."""
    return fixed(None if value is None else value / 1e6, 1)
