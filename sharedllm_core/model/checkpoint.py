"""Checkpoint folders: what is one, fingerprints of weights, and adapters. Safetensors only; nothing is unpickled.

A *full* checkpoint is transformers' own (`config.json`, `model*.safetensors`). An *adapter* holds what was added to a
base model, and names that base with a fingerprint of its weights:

    config.json                        as in a full checkpoint; says where the base is
    sharedllm_adapter.json             format, fingerprint of the base's weights, names of the tensors
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
from huggingface_hub.constants import HF_HUB_OFFLINE
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedConfig

from ..errors import CheckpointError

__all__ = [
    "Adapter",
    "check_config",
    "check_names",
    "check_weights",
    "checkpoint_folder",
    "for_another_repository",
    "has_adapter",
    "model_type",
    "read_adapter",
    "read_adapter_tensors",
    "remove_adapter",
    "tensors_that_differ",
    "weights_fingerprint",
    "without_hub_arguments",
    "write_adapter",
]

_ADAPTER = "sharedllm_adapter"
_FORMAT = 1
_HUB_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")
_HUB_FILES = ["*.json", "*model*.safetensors", "*sharedllm_adapter*.safetensors"]


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """What an adapter says of itself: the fingerprint of its base's weights, and its tensors' names."""

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
    hub = {key: kwargs[key] for key in _HUB_ARGUMENTS if kwargs.get(key) is not None}
    subfolder = hub.pop("subfolder", "")
    if Path(name).is_dir():
        folder = Path(name) / subfolder
    elif Path(name).exists():
        raise CheckpointError(
            f"{name} is a file",
            remedy="give the checkpoint's folder",
        )
    else:
        hub.setdefault("local_files_only", HF_HUB_OFFLINE)
        try:
            folder = Path(snapshot_download(str(name), allow_patterns=_HUB_FILES, **hub)) / subfolder
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{name!s} is neither a folder nor a hub id that can be reached",
                remedy="check the path, or download it first",
            ) from error
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"{folder} is not a checkpoint: it has no config.json",
            remedy="give a folder of save_pretrained",
        )
    return folder


def model_type(folder: Path) -> str:
    """`model_type` of a checkpoint folder's configuration.

    Raises:
        CheckpointError: the configuration is not JSON, or names no type.
    """
    kind = _read_json(folder / "config.json").get("model_type")
    if not isinstance(kind, str):
        raise CheckpointError(
            f"{folder / 'config.json'} names no model_type",
            remedy="give a checkpoint of transformers",
        )
    return kind


def check_config(folder: Path, names: list[str]) -> None:
    """Check that a checkpoint folder's configuration says something of each of `names`.

    Raises:
        CheckpointError: it does not.
    """
    values = _read_json(folder / "config.json")
    if missing := [name for name in names if name not in values]:
        raise CheckpointError(
            f"{folder / 'config.json'} says nothing of {missing[0]!r}",
            remedy="copy the checkpoint again",
        )


def has_adapter(folder: Path) -> bool:
    """Whether a checkpoint folder holds an adapter."""
    return (folder / f"{_ADAPTER}.json").is_file()


def remove_adapter(folder: Path) -> None:
    """Remove an adapter's own files from a folder, if there are any."""
    for file in folder.glob(f"{_ADAPTER}*"):
        file.unlink()


def _read_json(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{file} cannot be read as JSON ({error})",
            remedy="copy the checkpoint again",
        ) from error
    if not isinstance(values, dict):
        raise CheckpointError(
            f"{file} holds no JSON object",
            remedy="copy the checkpoint again",
        )
    return values


# -------------------------------------------------------------------------------------------------------- weights


def without_hub_arguments(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `from_pretrained` for a folder that is here already."""
    return {key: value for key, value in kwargs.items() if key not in _HUB_ARGUMENTS}


def for_another_repository(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `from_pretrained` that hold for any repository, not for one of them."""
    return {key: value for key, value in kwargs.items() if key not in ("revision", "subfolder", "output_loading_info")}


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
    there = {name for file in _weight_files(folder) for name in _names(file)}
    if missing := sorted(set(names) - there):
        raise CheckpointError(
            f"{folder} lacks {len(missing)} tensors, {missing[0]} among them",
            remedy="copy all its files",
        )


def _weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a full checkpoint: those its index names, or the only one."""
    index, single = folder / "model.safetensors.index.json", folder / "model.safetensors"
    if index.is_file():
        files = sorted({folder / str(name) for name in dict(_read_json(index).get("weight_map", {})).values()})
        if files and (missing := [file.name for file in files if not file.is_file()]):
            raise CheckpointError(
                f"{folder} lacks {missing[0]}, which its index names",
                remedy="copy all its files",
            )
    else:
        files = [single] if single.is_file() else []
    if not files:
        remedy = "convert it with save_pretrained" if list(folder.glob("*.bin")) else "copy the checkpoint again"
        raise CheckpointError(
            f"{folder} has no weights in safetensors files",
            remedy=f"{remedy}",
        )
    return files


def _names(file: Path) -> list[str]:
    """Names of the tensors in a safetensors file."""
    try:
        with safe_open(file, framework="pt") as opened:
            return list(opened.keys())
    except SafetensorError as error:
        raise CheckpointError(
            f"{file} is damaged ({error})",
            remedy="copy the checkpoint again",
        ) from error


def _tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of a full checkpoint, one at a time."""
    for file in _weight_files(folder):
        names = _names(file)
        with safe_open(file, framework="pt") as opened:
            for name in names:
                yield name, opened.get_tensor(name)


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


def write_adapter(
    folder: Path, config: PreTrainedConfig, tensors: dict[str, Tensor], fingerprint: str, max_shard_size: str
) -> None:
    """Write an adapter: its configuration, its tensors, and what it says of itself.

    Raises:
        CheckpointError: the folder holds another checkpoint.
    """
    if (folder / "config.json").exists() and not has_adapter(folder):
        raise CheckpointError(
            f"{folder} holds another checkpoint, which an adapter would shadow",
            remedy="give a new folder",
        )
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    pattern = f"{_ADAPTER}{{suffix}}.safetensors"
    save_torch_state_dict(tensors, folder, filename_pattern=pattern, max_shard_size=max_shard_size)
    adapter = Adapter(base_fingerprint=fingerprint, tensors=sorted(tensors))
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
            f"{file} has format {values.get('format')!r} and this version reads {_FORMAT}",
            remedy="install a newer sharedllm",
        )
    try:
        return Adapter(**values)
    except TypeError as error:
        raise CheckpointError(
            f"{file} is incomplete ({error})",
            remedy="copy the adapter again",
        ) from error


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
            raise CheckpointError(
                f"{file} is damaged ({error})",
                remedy="copy the adapter again",
            ) from error
    if missing := sorted(set(adapter.tensors) - set(tensors)):
        raise CheckpointError(
            f"{folder} lacks {len(missing)} of {len(adapter.tensors)} tensors, {missing[0]} among them",
            remedy="copy all of the adapter's files",
        )
    return {name: tensors[name] for name in adapter.tensors}
