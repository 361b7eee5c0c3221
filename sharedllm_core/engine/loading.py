"""Load a model and its tokenizer from one folder, hub id or GGUF file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from ..errors import CheckpointError, TokenizerError, setting
from ..method.checks import check_one_of
from ..method.config import known_policies
from ..model.checkpoint import has_adapter
from ..model.configuration import SharedLLMModelConfig
from ..model.modeling import SharedLLMForCausalLM
from .cpu_dtype import compute_dtype
from .model_names import base_location, checkpoint_location
from .plain_model import load_plain_model, model_type_at

__all__ = ["load_model", "load_tokenizer", "load_tokenizer_from"]

#: Files of tokenizers in checkpoint folders; older ones have no tokenizer.json or tokenizer_config.json.
_TOKENIZER_FILES = ("tokenizer*", "vocab*", "*.model", "tekken.json")


def load_model(
    name: str | Path | None, base: str | Path | None, device: str | None, policy: str | None, kwargs: dict[str, Any]
) -> SharedLLMForCausalLM | PreTrainedModel:
    """Load a checkpoint of this library, or any other causal language model of transformers, in evaluation mode.

    Without a `dtype` in `kwargs`, the dtype on a CPU is chosen by `compute_dtype`.

    Args:
        name: folder or hub id of a checkpoint, a GGUF file, or a short name of `model_names`; `None` for the default
            model. A path comes before a short name.
        base: location of an adapter's base model, if it has moved.
        device: such as `"cuda"`.
        policy: a selection policy that replaces the checkpoint's; a plain model has none, and it is only checked.
        kwargs: passed to transformers' `from_pretrained` (`dtype`, `quantization_config`, `device_map`, …).

    Returns:
        A `SharedLLMForCausalLM` for a checkpoint of this library; otherwise a plain model: the class of its family.

    Raises:
        CheckpointError: no causal language model, or incomplete or damaged files.
        ConfigError: an unknown policy.
        ImportError: a GGUF file, without the packages of the extra `gguf`.
    """
    if policy is not None:
        check_one_of("policy", policy, known_policies())
    location = checkpoint_location(name)
    if model_type_at(location, **kwargs) == SharedLLMModelConfig.model_type:
        base = base or base_by_short_name(location)
        model = SharedLLMForCausalLM.from_pretrained(location, base=base, **kwargs)
        if policy is not None:
            model.set_policy(policy)
        model = model if device is None else model.to(device)
    elif base is not None:
        raise CheckpointError(
            f"{name} is no adapter and needs no base", remedy=f"leave {setting('base', str(base))} out"
        )
    else:
        model = load_plain_model(location, device, kwargs)
    return model if "dtype" in kwargs else _in_compute_dtype(model)


def base_by_short_name(location: str | Path) -> str | Path | None:
    """Where the base of an adapter is, if the adapter names it by a short name.

    Raises:
        CheckpointError: it is not installed, and the hub cannot be reached.
    """
    if not (Path(location).is_dir() and has_adapter(Path(location))):
        return None
    named = SharedLLMModelConfig.from_pretrained(location).base
    found = base_location(named)
    if found is None or found == named:
        return None
    model_type_at(found)  # raises with the command that installs it
    return found


def _in_compute_dtype(model: Any) -> Any:
    """Cast a model on the CPU to the dtype to compute in; quantised weights stay as they are."""
    quantised = getattr(model.config, "quantization_config", None) is not None
    if quantised or any(weight.device.type != "cpu" for weight in model.parameters()):
        return model
    return model.to(compute_dtype(model.dtype, model.num_parameters()))


def load_tokenizer(
    tokenizer: str | Path | PreTrainedTokenizerBase | None,
    name: str | Path | None,
    model: SharedLLMForCausalLM | PreTrainedModel,
) -> PreTrainedTokenizerBase:
    """Load `tokenizer` if given, else the checkpoint's own, else its base model's.

    Args:
        tokenizer: a tokenizer, or the folder or hub id of one.
        name: as given to `load_model`.
        model: as returned by `load_model`.

    Raises:
        TokenizerError: none was found.
    """
    if isinstance(tokenizer, PreTrainedTokenizerBase):
        return tokenizer
    if tokenizer is not None:
        return load_tokenizer_from([tokenizer])
    if isinstance(model, SharedLLMForCausalLM):
        return load_tokenizer_from([checkpoint_location(name), model.config.base])
    return load_tokenizer_from([model.name_or_path])  # of a GGUF file, the converted folder


def load_tokenizer_from(locations: Sequence[str | Path | None]) -> PreTrainedTokenizerBase:
    """Load the tokenizer from the first folder or hub id that has one; `None` entries are skipped.

    Raises:
        TokenizerError: none was found.
    """
    tried = []
    for location in locations:
        if location is None:
            continue
        if Path(location).is_dir() and not any(
            file for names in _TOKENIZER_FILES for file in Path(location).glob(names)
        ):
            tried.append(f"{location} holds none")
            continue
        try:
            found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(location, trust_remote_code=False)
            return found
        except (OSError, ValueError, KeyError) as error:
            tried.append(f"{location}: {str(error).splitlines()[0]}")
    raise TokenizerError(
        f"no tokenizer was found ({'; '.join(tried)})",
        remedy=[f"say where it is with {setting('tokenizer')}=…", "put its files beside the checkpoint's"],
    )
