"""Checks of values that a user sets; every message names the setting, its value and what is allowed."""

from collections.abc import Collection
from math import isfinite
from operator import ge, gt, le, lt

from ..errors import ConfigError, SharedLLMError, setting

__all__ = ["check_number", "check_one_of", "check_that", "check_whole"]


def check_whole(
    name: str, value: object, *, at_least: int, at_most: int | None = None, error: type[SharedLLMError] = ConfigError
) -> None:
    """Check that a value is a whole number in a range.

    Args:
        name: of the setting.
        value: of the setting; `True` and `False` are no numbers.
        at_least: the smallest number allowed.
        at_most: the largest number allowed; by default there is none.
        error: the kind of error to raise.

    Raises:
        SharedLLMError: of the kind `error`.
    """
    number = isinstance(value, int) and not isinstance(value, bool)
    if not number or value < at_least or (at_most is not None and value > at_most):  # type: ignore[operator]
        limit = f"of at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"
        raise error(f"{setting(name, value)} is not a whole number {limit}", remedy="give one")


def check_number(
    name: str,
    value: object,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    remedy: str = "give one",
    error: type[SharedLLMError] = ConfigError,
) -> None:
    """Check that a value is a finite number in a range.

    Args:
        name: of the setting.
        value: of the setting; `True` and `False` are no numbers.
        at_least, above: the lower bound, inclusive or exclusive.
        at_most, below: the upper bound, inclusive or exclusive.
        remedy: what to give instead.
        error: the kind of error to raise.

    Raises:
        SharedLLMError: of the kind `error`.
    """
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    bounds = (
        ("of at least", at_least, ge),
        ("above", above, gt),
        ("at most", at_most, le),
        ("below", below, lt),
    )
    given = [(words, bound, holds) for words, bound, holds in bounds if bound is not None]
    if number is None or not isfinite(number) or not all(holds(number, bound) for _, bound, holds in given):
        limit = " and ".join(f"{words} {bound}" for words, bound, _ in given)
        raise error(f"{setting(name, value)} is not a finite number {limit}", remedy=remedy)


def check_one_of(
    name: str, value: object, choices: Collection[object], *, error: type[SharedLLMError] = ConfigError
) -> None:
    """Check that a value is one of a few.

    Raises:
        SharedLLMError: of the kind `error`.
    """
    if value not in choices:
        raise error(f"{setting(name, value)} is not known", remedy=f"use one of {', '.join(map(repr, choices))}")


def check_that(
    allowed: bool, name: str, value: object, limit: str, *, error: type[SharedLLMError] = ConfigError
) -> None:
    """Check a value by a condition of the caller's.

    Args:
        allowed: whether the value is allowed.
        name: of the setting.
        value: of the setting.
        limit: what is allowed; ends the sentence "it must be …".
        error: the kind of error to raise.

    Raises:
        SharedLLMError: of the kind `error`.
    """
    if not allowed:
        raise error(f"{setting(name, value)} is not allowed", remedy=f"it must be {limit}")
