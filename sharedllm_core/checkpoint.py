"""Checkpoint folders: what is one, fingerprints of weights, and adapters. Safetensors only; nothing is unpickled.

A *full* checkpoint is transformers' own (`config.json`, `model*.safetensors`). An *adapter* holds what was added to a
base model, and names that base with a fingerprint of its weights:

    config.json                        as in a full checkpoint
    sharedllm_adapter.json             format, base, fingerprint of the base, names of the tensors
    sharedllm_adapter*.safetensors     the injection, and the upper layers that differ from the base
"""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import save_torch_state_dict, snapshot_download
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from .errors import CheckpointError

__all__ = [
    "Adapter",
    "check_names",
    "check_weights",
    "checkpoint_folder",
    "has_adapter",
    "model_type",
    "read_adapter",
    "read_adapter_tensors",
    "tensors_that_differ",
    "weights_fingerprint",
    "without_hub_arguments",
    "write_adapter",
]

_ADAPTER = "sharedllm_adapter"
_FORMAT = 1
_HUB_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")
_HUB_FILES = ["*.json", "*.safetensors"]


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """What an adapter says of itself: its base (folder or hub id), the base's fingerprint, and its tensors' names."""

    base: str
    base_fingerprint: str
    tensors: list[str]
    format: int = _FORMAT


# -------------------------------------------------------------------------------------------------------- folders


def checkpoint_folder(name: str | Path, **kwargs: Any) -> Path:
    """The local folder of a checkpoint: `name` itself, or the hub's copy of it.

    Args:
        name: a folder, or a hub id.
        kwargs: of `from_pretrained`; the hub's are used.

    Raises:
        CheckpointError: there is no such folder or hub id, or it has no readable `config.json`.
    """
    if Path(name).is_dir():
        folder = Path(name)
    elif Path(name).exists():
        raise CheckpointError(f"{name} is a file; give the checkpoint's folder")
    else:
        hub = {key: kwargs[key] for key in _HUB_ARGUMENTS if kwargs.get(key) is not None}
        subfolder = hub.pop("subfolder", "")
        try:
            folder = Path(snapshot_download(str(name), allow_patterns=_HUB_FILES, **hub)) / subfolder
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{name!s} is neither a folder nor a hub id that can be reached; check the path, or download it first"
            ) from error
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} is not a checkpoint: it has no config.json; give a folder of save_pretrained")
    return folder


def model_type(folder: Path) -> str:
    """`model_type` of a checkpoint folder's configuration.

    Raises:
        CheckpointError: the configuration is not JSON, or names no type.
    """
    kind = _read_json(folder / "config.json").get("model_type")
    if not isinstance(kind, str):
        raise CheckpointError(f"{folder / 'config.json'} names no model_type; give a checkpoint of transformers")
    return kind


def has_adapter(folder: Path) -> bool:
    """Whether a checkpoint folder holds an adapter."""
    return (folder / f"{_ADAPTER}.json").is_file()


def _read_json(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read as JSON ({error}); copy the checkpoint again") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{file} holds no JSON object; copy the checkpoint again")
    return values


# -------------------------------------------------------------------------------------------------------- weights


def without_hub_arguments(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `from_pretrained` for a folder that is here already."""
    return {key: value for key, value in kwargs.items() if key not in _HUB_ARGUMENTS}


def check_weights(folder: Path) -> None:
    """Check that a folder has a full checkpoint's weights.

    Raises:
        CheckpointError: it has none in safetensors files.
    """
    _weight_files(folder)


def check_names(folder: Path, names: list[str]) -> None:
    """Check that a full checkpoint has tensors of all `names`.

    Raises:
        CheckpointError: it lacks some.
    """
    there: set[str] = set()
    for file in _weight_files(folder):
        with safe_open(file, framework="pt") as opened:
            there |= set(opened.keys())
    if missing := sorted(set(names) - there):
        raise CheckpointError(f"{folder} lacks {len(missing)} tensors, {missing[0]} among them; copy all its files")


def _weight_files(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.glob("*.safetensors") if not file.name.startswith(_ADAPTER))
    if not files:
        remedy = "convert it with save_pretrained" if list(folder.glob("*.bin")) else "copy the checkpoint again"
        raise CheckpointError(f"{folder} has no weights in safetensors files; {remedy}")
    return files


def _tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of a full checkpoint, one at a time."""
    for file in _weight_files(folder):
        try:
            with safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118 (not a dictionary)
                    yield name, opened.get_tensor(name)
        except SafetensorError as error:
            raise CheckpointError(f"{file} is damaged ({error}); copy the checkpoint again") from error


def weights_fingerprint(folder: Path) -> str:
    """SHA-256 over the names, types, shapes and bytes of a checkpoint's weights; how they are sharded does not matter.

    Raises:
        CheckpointError: there are no weights, or they are damaged.
    """

    def digest(named: tuple[str, Tensor]) -> tuple[str, str]:
        name, tensor = named
        content = hashlib.sha256(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        content.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return name, content.hexdigest()

    whole = hashlib.sha256()
    with ThreadPoolExecutor(max_workers=4) as pool:
        for name, hexdigest in sorted(pool.map(digest, _tensors(folder))):
            whole.update(f"{name} {hexdigest}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def tensors_that_differ(state: dict[str, Tensor], folder: Path) -> list[str]:
    """Names of tensors in `state` that a full checkpoint has with other values, in the dtype of `state`."""
    differing = []
    for name, tensor in _tensors(folder):
        mine = state.get(name)
        if mine is not None and not torch.equal(mine.cpu(), tensor.to(mine.dtype)):
            differing.append(name)
    return sorted(differing)


# -------------------------------------------------------------------------------------------------------- adapters


def write_adapter(folder: Path, tensors: dict[str, Tensor], base: str, fingerprint: str, max_shard_size: str) -> None:
    """Write an adapter's tensors and what it says of itself; `config.json` is the model's to write."""
    adapter = Adapter(base=base, base_fingerprint=fingerprint, tensors=sorted(tensors))
    pattern = f"{_ADAPTER}{{suffix}}.safetensors"
    save_torch_state_dict(tensors, folder, filename_pattern=pattern, max_shard_size=max_shard_size)
    (folder / f"{_ADAPTER}.json").write_text(json.dumps(asdict(adapter), indent=2) + "\n", encoding="utf-8")


def read_adapter(folder: Path) -> Adapter:
    """What the adapter in `folder` says of itself.

    Raises:
        CheckpointError: it cannot be read, or a newer version wrote it.
    """
    file = folder / f"{_ADAPTER}.json"
    values = _read_json(file)
    if values.get("format") != _FORMAT:
        raise CheckpointError(
            f"{file} has format {values.get('format')!r} and this version reads {_FORMAT}; install a newer sharedllm"
        )
    try:
        return Adapter(**values)
    except TypeError as error:
        raise CheckpointError(f"{file} is incomplete ({error}); copy the adapter again") from error


def read_adapter_tensors(folder: Path, adapter: Adapter) -> dict[str, Tensor]:
    """The tensors of an adapter.

    Raises:
        CheckpointError: a file is damaged or missing.
    """
    tensors: dict[str, Tensor] = {}
    for file in sorted(folder.glob(f"{_ADAPTER}*.safetensors")):
        try:
            tensors |= load_file(file)
        except SafetensorError as error:
            raise CheckpointError(f"{file} is damaged ({error}); copy the adapter again") from error
    if missing := sorted(set(adapter.tensors) - set(tensors)):
        raise CheckpointError(
            f"{folder} lacks {len(missing)} of {len(adapter.tensors)} tensors, {missing[0]} among them; "
            "copy all of the adapter's files"
        )
    return {name: tensors[name] for name in adapter.tensors}
