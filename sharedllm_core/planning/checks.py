"""Checks of the numbers that a plan is made from."""

from math import isfinite
from typing import Any

from ..errors import ConfigError

__all__ = ["check_number", "check_whole"]


def check_whole(name: str, value: Any, *, at_least: int) -> None:
    """Raise `ConfigError` unless `value` is a whole number of at least `at_least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise ConfigError(f"{name}={value!r} is not a whole number of at least {at_least}; give one")


def check_number(name: str, value: Any, *, at_least: float = 0, above: float | None = None) -> None:
    """Raise `ConfigError` unless `value` is a finite number of at least `at_least`, or above `above` if that is given.

    None of the prices, sizes and rates of a plan is negative.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if not number or value < at_least or (above is not None and value <= above):
        limit = f"of at least {at_least}" if above is None else f"above {above}"
        raise ConfigError(f"{name}={value!r} is not a finite number {limit}; give one")
