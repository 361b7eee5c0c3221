"""Loading what an engine works with: a model and its tokenizer, from one name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from ..errors import TokenizerError, setting
from ..model.modeling import SharedLLMForCausalLM
from .cpu_dtype import computing_dtype

__all__ = ["load_model", "load_tokenizer", "load_tokenizer_from"]

_DEFAULT = Path(__file__).parents[1] / "default_model"


def load_model(
    name: str | Path | None, base: str | Path | None, device: str | None, policy: str | None, kwargs: dict[str, Any]
) -> SharedLLMForCausalLM:
    """The model of `name`, or the one that the package carries.

    On a CPU that cannot multiply in the dtype of its weights it is turned into float32, unless a dtype is given.

    Raises:
        CheckpointError: there is none.
        ConfigError: there is no such policy.
    """
    model = SharedLLMForCausalLM.from_pretrained(_DEFAULT if name is None else name, base=base, **kwargs)
    if policy is not None:
        model.set_policy(policy)
    if device is not None:
        model = model.to(device)
    if "dtype" not in kwargs and all(weight.device.type == "cpu" for weight in model.parameters()):
        model = model.to(computing_dtype(model.dtype, model.num_parameters()))
    return model


def load_tokenizer(
    tokenizer: str | Path | PreTrainedTokenizerBase | None, name: str | Path | None, model: SharedLLMForCausalLM
) -> PreTrainedTokenizerBase:
    """The tokenizer that is given, or lies beside the checkpoint, or in the base's folder.

    Raises:
        TokenizerError: there is none.
    """
    if isinstance(tokenizer, PreTrainedTokenizerBase):
        return tokenizer
    return load_tokenizer_from([tokenizer] if tokenizer is not None else [name or _DEFAULT, model.config.base])


def load_tokenizer_from(places: Sequence[str | Path | None]) -> PreTrainedTokenizerBase:
    """The tokenizer of the first place that has one.

    Raises:
        TokenizerError: none has.
    """
    tried = []
    for place in places:
        if place is None:
            continue
        if Path(place).is_dir() and not any(Path(place).glob("tokenizer*")):
            tried.append(f"{place} holds none")
            continue
        try:
            found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(place)
            return found
        except (OSError, ValueError, KeyError) as error:
            tried.append(f"{place}: {str(error).splitlines()[0]}")
    raise TokenizerError(
        f"no tokenizer was found ({'; '.join(tried)})",
        remedy=[f"say where it is with {setting('tokenizer')}=…", "put its files beside the checkpoint's"],
    )
