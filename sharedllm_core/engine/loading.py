"""Loading what an engine works with: a model and its tokenizer, from one name."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from ..errors import TokenizerError, setting
from ..model.configuration import SharedLLMModelConfig
from ..model.modeling import SharedLLMForCausalLM
from .cpu_dtype import computing_dtype

__all__ = ["context_tokens", "context_tokens_of", "load_model", "load_tokenizer", "load_tokenizer_from"]

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


def context_tokens(config: SharedLLMModelConfig) -> int:
    """Return the most tokens of past context and running text that a model was made for.

    Each chunk of past context takes one position, and the base model was trained with the positions of its window: past
    contexts of more chunks than that have positions that it has never seen. They are not refused.

    Args:
        config: names the figure as `context_tokens` where it was measured; otherwise it is the base model's window in
            tokens times the tokens of a chunk.
    """
    measured: int | None = getattr(config, "context_tokens", None)
    window_tokens: int = config.get_text_config().max_position_embeddings
    return measured or window_tokens * config.method.chunk_tokens


def context_tokens_of(name: str | Path | None) -> int | None:
    """Return `context_tokens` of a checkpoint from its configuration alone, without loading weights or downloading.

    Args:
        name: folder or hub id of a full checkpoint or an adapter; `None` for the packaged model.

    Returns:
        `None` if the configuration is not on this machine or not one of this library; loading raises the reason.
    """
    place = _DEFAULT if name is None else name
    file = Path(place) / "config.json"
    return _cached_context_tokens(place, file.stat().st_mtime_ns) if file.is_file() else _read_context_tokens(place)


@lru_cache(maxsize=64)  # frameworks make models often, and parsing a configuration takes 25 ms
def _cached_context_tokens(folder: str | Path, _changed_ns: int) -> int | None:
    return _read_context_tokens(folder)


def _read_context_tokens(place: str | Path) -> int | None:
    try:
        config = AutoConfig.from_pretrained(place, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return context_tokens(config) if isinstance(config, SharedLLMModelConfig) else None
