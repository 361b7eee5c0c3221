"""Means and how far they can be trusted: 95 % intervals."""

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["interval"]

_Z = 1.959963984540054  # of the normal distribution, 2.5 % above it
_DRAWS = 1_000


def interval(values: Sequence[float]) -> tuple[float, float]:
    """A 95 % interval for the mean of one value or more.

    Wilson's where all values are 0 or 1; else by bootstrap, always with the same draws. One value alone has no
    interval but itself.
    """
    if set(values) <= {0.0, 1.0}:
        return _wilson(sum(values), len(values))
    array = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(0).integers(len(array), size=(_DRAWS, len(array)))
    low, high = np.quantile(array[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _wilson(hits: float, count: int) -> tuple[float, float]:
    share, spread = hits / count, _Z**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)
