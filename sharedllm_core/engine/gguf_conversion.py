"""Convert a GGUF file to a checkpoint folder of transformers, once.

    FOLDER/<SHA-256 of the file>/                 configuration, weights in safetensors, tokenizer
    FOLDER/<SHA-256 of the file>.<unique>.tmp/    being written

FOLDER is `models` in SHAREDLLM_CACHE_DIR or in the user's cache folder. A folder is written under a temporary name,
synced and renamed, so that a killed conversion leaves nothing that is taken for a checkpoint.

Weights are saved in bfloat16, which takes half of float32's space. Measured on SmolLM2-135M, rounding to it adds an
error 61 times smaller than that of the file's own Q4_1 (5 times for its Q8_0 tensor). float16 rounds less, but has a
smaller range, so that models trained in bfloat16 overflow when they compute in it. Files of float32 weights stay
float32.
"""

import hashlib
import logging
import os
import shutil
import time
import uuid
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
from platformdirs import user_cache_path
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig

from ..errors import CheckpointError
from .causal_config import check_causal
from .gguf_header import FLOAT32, GgufHeader, check_magic, read_header

__all__ = ["converted_gguf", "first_line", "is_converted", "models_folder", "saved_dtype"]

_TEMPORARY = ".tmp"
_ABANDONED_S = 24 * 3600  # a temporary folder this old belongs to no running conversion
_FLOAT32_SHARE = 0.5  # of a model's values; quantised files keep norms and routers in float32
_REMEDY = "use the model's checkpoint in safetensors"
_logger = logging.getLogger(__name__)


def converted_gguf(file: Path) -> Path:
    """Return the folder of a GGUF file's converted checkpoint; the first call converts it.

    Raises:
        CheckpointError: no GGUF file, a damaged one, one that transformers cannot convert, or no space for the result.
        ImportError: the packages of the extra `gguf` are not installed.
    """
    check_magic(file)
    with file.open("rb") as opened:
        folder = models_folder() / hashlib.file_digest(opened, "sha256").hexdigest()
    if not (folder / "config.json").is_file():
        _check_packages()
        header = read_header(file)
        _check_complete(file, header)
        _convert(file, header, folder)
    return folder


def saved_dtype(header: GgufHeader) -> torch.dtype:
    """Choose the dtype that a file's weights are saved in: bfloat16, or float32 if most of them are float32."""
    in_float32 = sum(tensor.num_values for tensor in header.tensors if tensor.kind == FLOAT32)
    total = sum(tensor.num_values for tensor in header.tensors)
    return torch.float32 if in_float32 > _FLOAT32_SHARE * total else torch.bfloat16


def is_converted(location: str | Path) -> bool:
    """Whether a checkpoint folder was converted from a GGUF file."""
    return Path(location).parent == models_folder()


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or the error's name if it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def models_folder() -> Path:
    """Return the folder of converted models: `models` in SHAREDLLM_CACHE_DIR or in the user's cache folder."""
    chosen = os.environ.get("SHAREDLLM_CACHE_DIR")
    return (Path(chosen) if chosen else user_cache_path("sharedllm")) / "models"


# ---------------------------------------------------------------------------------------------------------- checks


def _check_packages() -> None:
    if missing := [name for name in ("gguf", "accelerate") if find_spec(name) is None]:
        raise ImportError(f"GGUF files need {' and '.join(missing)}: pip install 'sharedllm[gguf]'")


def _check_complete(file: Path, header: GgufHeader) -> None:
    """Check that the data of all tensors are in the file.

    Raises:
        CheckpointError: it is cut off, or one of several parts.
    """
    from gguf.constants import GGML_QUANT_SIZES

    if (parts := int(header.metadata.get("split.count", 1))) > 1:
        raise CheckpointError(
            f"{file} is one of {parts} parts of a model", remedy="merge them with llama-gguf-split --merge"
        )
    sizes = {int(kind): sizes for kind, sizes in GGML_QUANT_SIZES.items()}
    if unknown := sorted({tensor.kind for tensor in header.tensors} - set(sizes)):
        raise CheckpointError(
            f"{file} has tensors of type {unknown[0]}, which the package gguf does not know",
            remedy="install a newer gguf",
        )
    ends = [
        tensor.offset + tensor.num_values // sizes[tensor.kind][0] * sizes[tensor.kind][1] for tensor in header.tensors
    ]
    if (size := file.stat().st_size) < (needed := max(ends, default=0)):
        raise CheckpointError(
            f"{file} is cut off: it has {size:,} bytes", limit=f"and needs {needed:,}", remedy="download it again"
        )


# ------------------------------------------------------------------------------------------------------ conversion


def _convert(file: Path, header: GgufHeader, folder: Path) -> None:
    _logger.info("converting %s once, to %s", file, folder)
    config, model = _load(file, header)
    temporary = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}{_TEMPORARY}")
    try:
        temporary.mkdir(parents=True)
        _remove_abandoned(folder.parent)
        model.save_pretrained(temporary)
        _save_tokenizer(file, config, temporary)
        _sync(temporary)
        _publish(temporary, folder)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"the converted weights of {file} cannot be saved in {folder.parent} ({error})",
            remedy="free space there, or choose another folder with the environment variable SHAREDLLM_CACHE_DIR",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _load(file: Path, header: GgufHeader) -> tuple[PreTrainedConfig, Any]:
    """Load the dequantised model with transformers.

    Raises:
        CheckpointError: transformers cannot convert it, or would leave tensors at random values.
    """
    options: dict[str, Any] = {"gguf_file": file.name, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(file.parent, **options)
        check_causal(config, file)
        if hasattr(transformers, "GgufConfig"):
            options["quantization_config"] = transformers.GgufConfig(dequantize=True)
        model, info = AutoModelForCausalLM.from_pretrained(
            file.parent, config=config, dtype=saved_dtype(header), output_loading_info=True, **options
        )
    except CheckpointError:
        raise
    except Exception as error:  # transformers' converters raise errors of many kinds
        raise CheckpointError(
            f"{file} (architecture {header.architecture!r}) cannot be converted by transformers "
            f"{transformers.__version__} ({first_line(error)})",
            remedy=_REMEDY,
        ) from error
    if missing := sorted(info["missing_keys"]):
        raise CheckpointError(f"{file} lacks {len(missing)} tensors, {missing[0]} among them", remedy=_REMEDY)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config  # the weights are not quantised any more
    return config, model


def _save_tokenizer(file: Path, config: PreTrainedConfig, folder: Path) -> None:
    """Save the file's tokenizer; without one, loading asks for it."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            file.parent, gguf_file=file.name, config=config, trust_remote_code=False
        )
    except Exception as error:  # transformers' converters raise errors of many kinds
        _logger.warning("the tokenizer of %s cannot be converted (%s)", file, first_line(error))
        return
    tokenizer.save_pretrained(folder)


def _publish(temporary: Path, folder: Path) -> None:
    """Give a finished folder its name, unless another process was faster."""
    try:
        temporary.rename(folder)
    except OSError:
        if not (folder / "config.json").is_file():
            raise


def _remove_abandoned(models: Path) -> None:
    for folder in models.glob(f"*{_TEMPORARY}"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    for path in [*folder.iterdir(), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
