"""Libraries that the extra `[documents]` installs."""

import importlib
from types import ModuleType

from ....errors import DocumentError

__all__ = ["import_reader"]


def import_reader(module: str, kind: str) -> ModuleType:
    """Import a library that reads a kind of file.

    Args:
        module: the name of the module.
        kind: of the files, for the error.

    Raises:
        DocumentError: it is not installed; names the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split(".", 1)[0]:
            raise
        raise DocumentError(
            f"{kind} are read with {error.name}, which is not installed",
            remedy='install it with pip install "sharedllm[documents]"',
        ) from error
