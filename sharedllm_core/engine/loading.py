"""Load a model and its tokenizer from one folder or hub id."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase

from ..errors import TokenizerError, setting
from ..model.configuration import SharedLLMModelConfig
from ..model.modeling import SharedLLMForCausalLM
from ..model.window import window_tokens
from .cpu_dtype import compute_dtype

__all__ = ["context_tokens", "context_tokens_of", "load_model", "load_tokenizer", "load_tokenizer_from"]

_DEFAULT_MODEL = Path(__file__).parents[1] / "default_model"


def load_model(
    name: str | Path | None, base: str | Path | None, device: str | None, policy: str | None, kwargs: dict[str, Any]
) -> SharedLLMForCausalLM:
    """Load the model in `name`, or the packaged model if `name` is `None`.

    Without a `dtype` in `kwargs`, the dtype on a CPU is chosen by `compute_dtype`.

    Args:
        name: folder or hub id of a checkpoint.
        base: location of an adapter's base model, if it has moved.
        device: such as `"cuda"`.
        policy: a selection policy that replaces the checkpoint's.
        kwargs: passed to transformers' `from_pretrained`.

    Raises:
        CheckpointError: not a checkpoint of this library.
        ConfigError: an unknown policy.
    """
    model = SharedLLMForCausalLM.from_pretrained(_DEFAULT_MODEL if name is None else name, base=base, **kwargs)
    if policy is not None:
        model.set_policy(policy)
    if device is not None:
        model = model.to(device)
    if "dtype" not in kwargs and all(weight.device.type == "cpu" for weight in model.parameters()):
        model = model.to(compute_dtype(model.dtype, model.num_parameters()))
    return model


def load_tokenizer(
    tokenizer: str | Path | PreTrainedTokenizerBase | None, name: str | Path | None, model: SharedLLMForCausalLM
) -> PreTrainedTokenizerBase:
    """Load `tokenizer` if given, else the checkpoint's own, else its base model's.

    Raises:
        TokenizerError: none was found.
    """
    if isinstance(tokenizer, PreTrainedTokenizerBase):
        return tokenizer
    return load_tokenizer_from([tokenizer] if tokenizer is not None else [name or _DEFAULT_MODEL, model.config.base])


def load_tokenizer_from(locations: Sequence[str | Path | None]) -> PreTrainedTokenizerBase:
    """Load the tokenizer from the first folder or hub id that has one; `None` entries are skipped.

    Raises:
        TokenizerError: none was found.
    """
    tried = []
    for location in locations:
        if location is None:
            continue
        if Path(location).is_dir() and not any(Path(location).glob("tokenizer*")):
            tried.append(f"{location} holds none")
            continue
        try:
            found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(location)
            return found
        except (OSError, ValueError, KeyError) as error:
            tried.append(f"{location}: {str(error).splitlines()[0]}")
    raise TokenizerError(
        f"no tokenizer was found ({'; '.join(tried)})",
        remedy=[f"say where it is with {setting('tokenizer')}=…", "put its files beside the checkpoint's"],
    )


def context_tokens(config: PreTrainedConfig, tokenizer: Any = None) -> int:
    """Return the most tokens of documents and running text that a model was made for.

    A model without injection has only its window; documents of any length are searched, and the best passages quoted.

    Each chunk of past context takes one position, and the base model was trained with the positions of its window: past
    contexts of more chunks than that have positions that it has never seen. They are not refused.

    Args:
        config: names the figure as `context_tokens` where it was measured; otherwise it is the base model's window in
            tokens times the tokens of a chunk.
        tokenizer: names the window where the configuration does not.
    """
    measured: int | None = getattr(config, "context_tokens", None)
    window = window_tokens(config, tokenizer)
    return measured or (window * config.method.chunk_tokens if isinstance(config, SharedLLMModelConfig) else window)


def context_tokens_of(name: str | Path | None) -> int | None:
    """Return `context_tokens` of a checkpoint from its configuration alone, without loading weights or downloading.

    Args:
        name: folder or hub id of a full checkpoint or an adapter; `None` for the packaged model.

    Returns:
        `None` if the configuration is not on this machine or not one of this library; loading raises the reason.
    """
    place = _DEFAULT_MODEL if name is None else name
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
