"""The wording of the running command: messages of the library name its options."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from typer.core import TyperOption

from ..errors import PYTHON, Wording

__all__ = ["command_wording", "current_wording", "running_command"]

#: Settings of the library whose option has another name: the name of the command's parameter. A setting with a value
#: stands for an option that means that value alone.
_PARAMETERS = {
    "num_evidence": "evidence",
    "past_tokens": "tokens",
    "price_per_hour": "machine_price_per_hour",
    "max_bytes": "cache_bytes",
    "disk_bytes": "cache_bytes",
    "remote_url": "remote",
    "on_error='skip'": "skip_unreadable",
    "forms": "form",
    "kinds": "kind",
}

# A list rather than a context variable, since the threads of a command warn as well. The last entry is current.
_running: list[Wording] = []


def command_wording(parameters: Iterable[Any]) -> Wording:
    """How a command names settings.

    Args:
        parameters: of the command. A setting that is none of its options does not exist in the wording.
    """
    options = {
        str(parameter.name): next((name for name in parameter.opts if name.startswith("--")), parameter.opts[0])
        for parameter in parameters
        if isinstance(parameter, TyperOption)
    }
    switched_off = {
        f"{parameter.name}=False": parameter.secondary_opts[0]
        for parameter in parameters
        if isinstance(parameter, TyperOption) and parameter.secondary_opts
    }
    renamed = {setting: options[name] for setting, name in _PARAMETERS.items() if name in options}
    return Wording(renamed | options | switched_off, assigned="{name} {value}", switched_on="{name}")


@contextmanager
def running_command(parameters: Iterable[Any]) -> Iterator[Wording]:
    """Make the wording of a command with these parameters the current one while the command runs."""
    _running.append(command_wording(parameters))
    try:
        yield _running[-1]
    finally:
        _running.pop()


def current_wording() -> Wording:
    """The wording of the running command; that of Python while none runs."""
    return _running[-1] if _running else PYTHON
