"""Values of options: lists are parsed, and wrong values refused before anything is loaded."""

import os

import typer

from ..errors import InputError, setting
from ..method.config import known_policies
from .interrupts import loading_libraries

__all__ = [
    "DTYPES",
    "READINGS",
    "check_device",
    "check_dtype",
    "check_policy",
    "check_question",
    "check_reading",
    "parse_names",
    "parse_numbers",
    "set_debug",
]

DTYPES = ("float32", "bfloat16", "float16")
READINGS = ("quoted", "injected", "both")


def parse_names(values: list[str]) -> list[str]:
    """The names in a repeatable option, each value of which may hold several with commas between."""
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def parse_numbers(option: str, values: list[str]) -> tuple[int, ...]:
    """The whole numbers in such an option.

    Args:
        option: its Python name.
        values: as they were typed.

    Raises:
        InputError: a value is not a whole number.
    """
    try:
        return tuple(int(name) for name in parse_names(values))
    except ValueError as error:
        raise InputError(
            f"{setting(option)} {','.join(values)} are no whole numbers", remedy="give such as 4096,8192"
        ) from error


def check_question(value: str | None) -> str | None:
    """Refuse an empty question."""
    if value is not None and not value.strip():
        raise typer.BadParameter("it is empty; give a question")
    return value


def check_policy(name: str | None) -> str | None:
    """Refuse an unknown policy."""
    if name is not None and name not in known_policies():
        raise typer.BadParameter(f"{name!r} is no policy; use one of {', '.join(known_policies())}")
    return name


def check_reading(value: str | None) -> str | None:
    """Refuse an unknown way of reading."""
    if value is not None and value not in READINGS:
        raise typer.BadParameter(f"{value!r} is not known; give one of {', '.join(READINGS)}")
    return value


def check_dtype(value: str | None) -> str | None:
    """Refuse an unknown dtype."""
    if value is not None and value not in DTYPES:
        raise typer.BadParameter(f"{value!r} is not known; give one of {', '.join(DTYPES)}")
    return value


def check_device(value: str | None) -> str | None:
    """Refuse a device on which no tensor can be allocated."""
    if value is not None:
        with loading_libraries():
            import torch
        try:
            torch.empty(1, device=value).cpu()
        except Exception as error:  # each kind of device has its own
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise typer.BadParameter(
                f"{value!r} cannot be used here ({reason}); leave the option out for the CPU"
            ) from error
    return value


def set_debug(value: bool) -> bool:
    """Do what the environment variable `SHAREDLLM_DEBUG` does."""
    if value:
        os.environ["SHAREDLLM_DEBUG"] = "1"
    return value
