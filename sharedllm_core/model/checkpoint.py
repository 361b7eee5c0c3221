"""Checkpoint folders: validation, fingerprints of weights, and adapters. Safetensors only; nothing is unpickled.

A *full* checkpoint has transformers' format (`config.json`, `model*.safetensors`). An *adapter* holds the tensors added
to a base model, and identifies the base by a fingerprint of its weights:

    config.json                        as in a full checkpoint, with the base's location
    sharedllm_adapter.json             format, fingerprint of the base's weights, names of the tensors
    sharedllm_adapter*.safetensors     the injection, and the upper layers that differ from the base: whole, or as
                                       low-rank updates
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
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
from .low_rank import is_part_of_update

__all__ = [
    "Adapter",
    "changed_tensors",
    "check_config",
    "check_names",
    "check_weights",
    "checkpoint_folder",
    "drop_hub_arguments",
    "drop_repository_arguments",
    "has_adapter",
    "model_type",
    "read_adapter",
    "read_adapter_tensors",
    "remove_adapter",
    "weights_fingerprint",
    "write_adapter",
]

_ADAPTER = "sharedllm_adapter"
_FORMAT, _FORMAT_WITH_UPDATES = 1, 2  # versions that know no updates would leave them out
_HUB_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "revision", "subfolder", "token")
_HUB_FILES = ["*.json", "*model*.safetensors", "*sharedllm_adapter*.safetensors"]


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """Metadata of an adapter.

    Attributes:
        base_fingerprint: of the weights of its base.
        tensors: the names of its tensors.
        other_bases: hub ids and folders with the same model in another precision, which the adapter fits as well.
    """

    base_fingerprint: str
    tensors: list[str]
    other_bases: list[str] = field(default_factory=list)
    format: int = _FORMAT


# -------------------------------------------------------------------------------------------------------- folders


def checkpoint_folder(name: str | Path, **kwargs: Any) -> Path:
    """Return the local folder of a checkpoint; a hub id is downloaded, or found in the hub's local cache.

    Args:
        name: a folder or a hub id.
        kwargs: arguments of `from_pretrained`; only those for the hub are used.

    Raises:
        CheckpointError: no such folder or hub id, or no `config.json` in it.
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
    """Return the `model_type` of a checkpoint folder's configuration.

    Raises:
        CheckpointError: the configuration is not JSON, or has no `model_type`.
    """
    kind = _read_json(folder / "config.json").get("model_type")
    if not isinstance(kind, str):
        raise CheckpointError(
            f"{folder / 'config.json'} has no model_type",
            remedy="give a transformers checkpoint",
        )
    return kind


def check_config(folder: Path, names: list[str]) -> None:
    """Check that a checkpoint folder's configuration has all keys in `names`.

    Raises:
        CheckpointError: a key is missing.
    """
    values = _read_json(folder / "config.json")
    if missing := [name for name in names if name not in values]:
        raise CheckpointError(
            f"{folder / 'config.json'} has no {missing[0]!r}",
            remedy="copy the checkpoint again",
        )


def has_adapter(folder: Path) -> bool:
    """Whether a checkpoint folder holds an adapter."""
    return (folder / f"{_ADAPTER}.json").is_file()


def remove_adapter(folder: Path) -> None:
    """Delete an adapter's own files from a folder, if there are any."""
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


def drop_hub_arguments(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return arguments of `from_pretrained` without those for the hub, for a local folder."""
    return {key: value for key, value in kwargs.items() if key not in _HUB_ARGUMENTS}


def drop_repository_arguments(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return arguments of `from_pretrained` without those specific to one repository, to load from another."""
    return {key: value for key, value in kwargs.items() if key not in ("revision", "subfolder", "output_loading_info")}


def check_weights(folder: Path) -> None:
    """Check that a folder has weights in safetensors files.

    Raises:
        CheckpointError: it has none, or a shard is missing.
    """
    _weight_files(folder)


def check_names(folder: Path, names: list[str]) -> None:
    """Check that a full checkpoint has all tensors in `names`.

    Raises:
        CheckpointError: some are missing.
    """
    stored = {name for file in _weight_files(folder) for name in _tensor_names(file)}
    if missing := sorted(set(names) - stored):
        raise CheckpointError(
            f"{folder} lacks {len(missing)} tensors, {missing[0]} among them",
            remedy="copy all its files",
        )


def _weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a full checkpoint: the shards in its index, or the single file."""
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
            remedy=remedy,
        )
    return files


def _tensor_names(file: Path) -> list[str]:
    """Return the names of the tensors in a safetensors file."""
    try:
        with safe_open(file, framework="pt") as opened:
            return list(opened.keys())
    except SafetensorError as error:
        raise CheckpointError(
            f"{file} is damaged ({error})",
            remedy="copy the checkpoint again",
        ) from error


def _load_tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield the names and tensors of a full checkpoint, loaded one at a time."""
    for file in _weight_files(folder):
        names = _tensor_names(file)
        with safe_open(file, framework="pt") as opened:
            for name in names:
                yield name, opened.get_tensor(name)


def weights_fingerprint(folder: Path) -> str:
    """Compute a SHA-256 over the names, dtypes, shapes and bytes of a checkpoint's weights, however they are sharded.

    Raises:
        CheckpointError: the weights are missing or damaged.
    """

    def digest(named: tuple[str, Tensor]) -> tuple[str, str]:
        name, tensor = named
        content = hashlib.sha256(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        content.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return name, content.hexdigest()

    combined = hashlib.sha256()
    with ThreadPoolExecutor(max_workers=4) as pool:
        for name, hexdigest in sorted(pool.map(digest, _load_tensors(folder))):
            combined.update(f"{name} {hexdigest}\n".encode())
    return f"sha256:{combined.hexdigest()}"


def changed_tensors(state: dict[str, Tensor], folder: Path) -> list[str]:
    """Return the names of tensors in `state` that differ from a full checkpoint's, compared in the dtype of `state`."""
    changed = []
    for name, saved in _load_tensors(folder):
        current = state.get(name)
        if current is not None and not torch.equal(current.cpu(), saved.to(current.dtype)):
            changed.append(name)
    return sorted(changed)


# -------------------------------------------------------------------------------------------------------- adapters


def write_adapter(
    folder: Path,
    config: PreTrainedConfig,
    tensors: dict[str, Tensor],
    fingerprint: str,
    max_shard_size: str,
    other_bases: Sequence[str] = (),
) -> None:
    """Write an adapter: its configuration, tensors and metadata.

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
    version = _FORMAT_WITH_UPDATES if any(map(is_part_of_update, tensors)) else _FORMAT
    adapter = Adapter(
        base_fingerprint=fingerprint, tensors=sorted(tensors), other_bases=list(other_bases), format=version
    )
    (folder / f"{_ADAPTER}.json").write_text(json.dumps(asdict(adapter), indent=2) + "\n", encoding="utf-8")


def read_adapter(folder: Path) -> Adapter:
    """Read the metadata of the adapter in `folder`.

    Raises:
        CheckpointError: it cannot be read, or was written by a newer version.
    """
    file = folder / f"{_ADAPTER}.json"
    values = _read_json(file)
    if values.get("format") not in {_FORMAT, _FORMAT_WITH_UPDATES}:
        raise CheckpointError(
            f"{file} has format {values.get('format')!r} and this version reads up to {_FORMAT_WITH_UPDATES}",
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
    """Load the tensors of an adapter.

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
