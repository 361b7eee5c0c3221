"""What a model was made for, without loading its weights: its context in tokens, and whether it calls tools."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from transformers import AutoConfig, PreTrainedConfig

from ..errors import CheckpointError
from ..model.checkpoint import has_adapter, read_adapter
from ..model.configuration import SharedLLMModelConfig
from ..model.window import window_tokens
from .gguf_header import read_header
from .model_names import base_source, model_location

__all__ = ["ModelSummary", "calls_tools", "context_tokens", "model_summary"]

_TOOLS = re.compile(r"\btools\b")


@dataclass(frozen=True)
class ModelSummary:
    """What a model was made for.

    Attributes:
        context_tokens: see `context_tokens`.
        calls_tools: see `calls_tools`; `None` if there is no chat template on this machine.
    """

    context_tokens: int
    calls_tools: bool | None


def context_tokens(config: PreTrainedConfig, tokenizer: Any = None, *, quoted: bool = False) -> int:
    """Return the most tokens that a model reads for one answer.

    Documents may be longer: nothing is refused. A model that quotes reads what fits into its window, which is searched
    in documents of any length. A model that injects reads all documents; each chunk of them takes one position, and the
    base model was trained with the positions of its window.

    Args:
        config: names the figure as `context_tokens` where it was measured; otherwise it is the window in tokens, times
            the tokens of a chunk for a model that injects.
        tokenizer: names the window where the configuration does not.
        quoted: whether a model with an injection only quotes.
    """
    window = window_tokens(config, tokenizer)
    if quoted or not isinstance(config, SharedLLMModelConfig):
        return window
    measured: int | None = getattr(config, "context_tokens", None)
    return measured or window * config.method.chunk_tokens


def calls_tools(template: Any) -> bool:
    """Whether a model was made to choose tools and to fill in their arguments.

    Calls fit their schema with any model. A model whose chat template takes tools was usually trained to choose them.

    Args:
        template: the chat template, or several by name; `None` if there is none.
    """
    return _TOOLS.search(str(template)) is not None


def model_summary(name: str | Path | None, *, quoted: bool = False) -> ModelSummary | None:
    """Return the summary of a model from its configuration and chat template, without loading weights or downloading.

    Args:
        name: as for `SharedLLMEngine.from_pretrained`.
        quoted: see `context_tokens`.

    Returns:
        `None` if the configuration is not on this machine or cannot be read; loading the model raises the reason.
    """
    try:
        location = model_location(name)
    except CheckpointError:
        return None
    file = Path(location) if Path(location).is_file() else Path(location) / "config.json"
    if not file.is_file():
        return _read(location, quoted)
    return _read_cached(location, quoted, file.stat().st_mtime_ns)


@lru_cache(maxsize=64)  # frameworks make models often, and parsing a configuration takes 25 ms
def _read_cached(location: str | Path, quoted: bool, _changed_ns: int) -> ModelSummary | None:
    return _read(location, quoted)


def _read(location: str | Path, quoted: bool) -> ModelSummary | None:
    if Path(location).is_file():
        return _read_gguf(Path(location))
    try:
        config = AutoConfig.from_pretrained(location, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    templates = [*_templates(location), *_base_templates(getattr(config, "base", None))]
    tools = calls_tools(templates[0]) if templates else None
    tokenizer = SimpleNamespace(**(_tokenizer_values(location, "tokenizer_config.json") or {}))
    return ModelSummary(context_tokens(config, tokenizer, quoted=quoted or _has_no_injection(Path(location))), tools)


def _has_no_injection(folder: Path) -> bool:
    """Whether a folder holds an adapter of updates alone, with which a model quotes."""
    try:
        return has_adapter(folder) and not any(name.startswith("injection.") for name in read_adapter(folder).tensors)
    except CheckpointError:  # loading the model raises it
        return False


def _base_templates(base: str | None) -> Iterator[Any]:
    """Yield the chat template of the base that an adapter names; see `_templates`."""
    location = None if base is None else base_source(base)
    if location is not None and Path(location).is_file():
        with suppress(CheckpointError, OSError):
            yield read_header(Path(location)).metadata.get("tokenizer.chat_template")
    else:
        yield from _templates(location)


def _read_gguf(file: Path) -> ModelSummary | None:
    try:
        header = read_header(file)
    except (CheckpointError, OSError):
        return None
    window = header.metadata.get(f"{header.architecture}.context_length")
    template = header.metadata.get("tokenizer.chat_template")
    return None if window is None else ModelSummary(int(window), calls_tools(template))


def _templates(location: str | Path | None) -> Iterator[Any]:
    """Yield the chat template of a folder or of a hub id in the local cache; `None` for a tokenizer without one."""
    if location is None:
        return
    jinja = _local_file(location, "chat_template.jinja")
    if jinja is not None:
        yield jinja.read_text(encoding="utf-8", errors="replace")
        return
    found = [_tokenizer_values(location, name) for name in ("chat_template.json", "tokenizer_config.json")]
    templates = [values["chat_template"] for values in found if values and values.get("chat_template")]
    if templates or any(values is not None for values in found):
        yield templates[0] if templates else None


def _tokenizer_values(location: str | Path, name: str) -> dict[str, Any] | None:
    """Return the values in a JSON file of a tokenizer; `None` if there is none that can be read."""
    file = _local_file(location, name)
    try:
        values = None if file is None else json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def _local_file(location: str | Path, name: str) -> Path | None:
    if Path(location).is_dir():
        file = Path(location) / name
        return file if file.is_file() else None
    try:
        found = try_to_load_from_cache(str(location), name)
    except HFValidationError:  # no hub id
        return None
    return Path(found) if isinstance(found, str) else None
