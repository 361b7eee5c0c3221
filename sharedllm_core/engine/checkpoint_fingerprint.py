"""A hash of the files that a model is loaded from, without loading its weights or downloading anything."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from ..errors import CheckpointError
from ..model.checkpoint import has_adapter
from .file_digests import FileVersion, file_digests, file_version
from .model_names import DEFAULT_MODEL, base_source, model_location

__all__ = ["checkpoint_fingerprint", "checkpoint_versions"]

#: Files of configurations, tokenizers and chat templates, and of weights in the order in which loading prefers them.
_SMALL_FILES = ("*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken", "additional_chat_templates/*.jinja")
_WEIGHTS = ("*.safetensors", "*.bin")
_TOKENIZER_FILES = ("tokenizer*", "vocab*", "*.model", "tekken.json", "chat_template*")
_INDEX = "*.index.json"  # names the shards of the weights


@dataclass(frozen=True)
class _CheckpointFiles:
    """The files that a model is loaded from.

    Attributes:
        files: by a name that does not depend on where the checkpoint is.
        folder: where the user keeps the checkpoint; `None` for models of packages and of the hub's cache.
    """

    files: dict[str, Path]
    folder: Path | None


def checkpoint_fingerprint(name: str | Path | None) -> str | None:
    """Hash weights, configuration with the method, generation config, tokenizer and chat template of a model.

    An adapter's hash includes its base model. Each file is hashed once; see `file_digests`.

    Args:
        name: as for `SharedLLMEngine.from_pretrained`.

    Returns:
        24 hexadecimal digits; `None` if not all files are on this machine, as with a hub id before its download.
    """
    try:
        found = _find_files(name)
        if found is None:
            return None
        digests = file_digests(list(found.files.values()), found.folder)
    except OSError:  # loading the model raises the reason
        return None
    digest = hashlib.sha256()
    for file, content in sorted(zip(found.files, digests, strict=True)):
        digest.update(f"{file} {content}\n".encode())
    return digest.hexdigest()[:24]


def checkpoint_versions(name: str | Path | None) -> dict[Path, FileVersion] | None:
    """Return the version of each file that `checkpoint_fingerprint` hashes; no file is hashed.

    Returns:
        `None` if not all files are on this machine.
    """
    try:
        found = _find_files(name)
        return None if found is None else {file: file_version(file) for file in found.files.values()}
    except OSError:
        return None


def _find_files(name: str | Path | None) -> _CheckpointFiles | None:
    try:
        location = Path(model_location(name))
    except CheckpointError:
        return None
    is_users_own = name is not None and location == Path(name) and location.exists()
    if location.is_file():
        return _CheckpointFiles({"gguf": location}, location.parent if is_users_own else None)
    folder = _local_folder(location, revision=None)
    if folder is None or not _is_complete(folder):
        return None
    files = dict(_files(folder, *_SMALL_FILES, _weights(folder)))
    base_files = _base_files(folder)
    if base_files is None:
        return None
    return _CheckpointFiles(files | base_files, folder if is_users_own and folder != DEFAULT_MODEL else None)


def _base_files(folder: Path) -> dict[str, Path] | None:
    """Return what is loaded from the base model that a checkpoint names; `None` if it is not on this machine."""
    config = _read_json(folder / "config.json")
    base = config.get("base")
    is_adapter = has_adapter(folder)
    if not isinstance(base, str) or (not is_adapter and any(_files(folder, *_TOKENIZER_FILES))):
        return {}
    location = Path(base_source(base))
    if location.is_file():
        return {"base/gguf": location}
    base_folder = _local_folder(location, config.get("base_revision"))
    if base_folder is None or (is_adapter and not _is_complete(base_folder)):
        return None
    patterns = (*_SMALL_FILES, _weights(base_folder)) if is_adapter else _TOKENIZER_FILES
    return {f"base/{name}": file for name, file in _files(base_folder, *patterns)}


def _local_folder(location: Path, revision: str | None) -> Path | None:
    """Return the folder of a checkpoint, or of a hub id's snapshot in the local cache."""
    if location.is_dir():
        return location
    try:
        found = try_to_load_from_cache(location.as_posix(), "config.json", revision=revision)
    except HFValidationError:  # no hub id
        return None
    return Path(found).parent if isinstance(found, str) else None


def _is_complete(folder: Path) -> bool:
    """Whether configuration and weights are there, with all shards that an index names."""
    if not (folder / "config.json").is_file() or not any(_files(folder, *_WEIGHTS)):
        return False
    shards = {shard for index in folder.glob(_INDEX) for shard in _read_json(index).get("weight_map", {}).values()}
    return all((folder / str(shard)).is_file() for shard in shards)


def _weights(folder: Path) -> str:
    return next(pattern for pattern in _WEIGHTS if any(_files(folder, pattern)))


def _files(folder: Path, *patterns: str) -> Iterator[tuple[str, Path]]:
    for pattern in patterns:
        for file in folder.glob(pattern):
            if file.is_file() and not file.name.startswith("."):  # such as the saved digests
                yield file.relative_to(folder).as_posix(), file


def _read_json(file: Path) -> dict[str, Any]:
    return _parse_json(file, file_version(file))


@lru_cache(maxsize=64)  # the fingerprint is asked for at every call of a model
def _parse_json(file: Path, _version: FileVersion) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
