"""One set of weights for everything that is measured: no system has a copy of its own."""

import copy

import torch
from transformers import LlamaConfig, PreTrainedConfig, Qwen3Config

from ... import SharedLLMConfig, SharedLLMForCausalLM
from ...engine.loading import load_model, load_tokenizer
from ...errors import CheckpointError, TokenizerError
from ...model.configuration import SharedLLMModelConfig
from ...model.injection import Injection
from ...planning import MODELS, ModelShape
from ...selection.policy import load_policy
from ...text.tokenization import TextTokenizer
from ..demo_model import standard_library
from .settings import EfficiencySettings

__all__ = ["load_measured", "text_ids", "with_method"]

_BYTES_PER_TOKEN = 8  # more than there are in source code, so that there is enough to cut


def load_measured(settings: EfficiencySettings) -> SharedLLMForCausalLM:
    """The model whose weights all systems use. It reads token ids, so `two_looks` replaces a policy that searches text.

    Raises:
        CheckpointError: no checkpoint.
        ConfigError: more injection layers than layers.
    """
    if settings.model not in MODELS:
        loading = {} if settings.dtype is None else {"dtype": getattr(torch, settings.dtype)}
        model = load_model(settings.model, None, settings.device, None, loading)
        if not isinstance(model, SharedLLMForCausalLM):
            raise CheckpointError(
                f"{settings.model} is a {model.config.model_type!r} model without injection",
                remedy="give a checkpoint of this library; add an injection with SharedLLMForCausalLM.from_base",
            )
        if load_policy(model.method.policy).searches_text:
            model.set_policy("two_looks")
        return model.eval().requires_grad_(False)
    shape = MODELS[settings.model]
    layers = max(settings.injection_layers or (SharedLLMConfig.instruction(shape.layers).injection_layers,))
    dtype = getattr(torch, settings.dtype or "bfloat16")
    config = SharedLLMModelConfig(
        text_config=_random_config(shape, dtype), method=SharedLLMConfig(injection_layers=layers)
    )
    before = torch.get_default_dtype()
    torch.manual_seed(0)
    try:
        torch.set_default_dtype(dtype)
        with torch.device(settings.device):
            return SharedLLMForCausalLM(config).eval().requires_grad_(False)
    finally:
        torch.set_default_dtype(before)


def _random_config(shape: ModelShape, dtype: torch.dtype) -> PreTrainedConfig:
    family = Qwen3Config if shape.query_key_norms else LlamaConfig
    return family(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_size,
        max_position_embeddings=shape.window_tokens,
        tie_word_embeddings=shape.tied,
        dtype=dtype,
    )


def with_method(model: SharedLLMForCausalLM, method: SharedLLMConfig) -> SharedLLMForCausalLM:
    """A model on the same tensors with other numbers of the method; injections that it lacks are new, untrained ones.

    Raises:
        ConfigError: more injection layers than layers.
    """
    config = SharedLLMModelConfig(text_config=copy.deepcopy(model.config.get_text_config()), method=method)
    with torch.device("meta"):
        other = SharedLLMForCausalLM(config)
    other.load_state_dict(model.state_dict(), strict=False, assign=True)  # injections beyond these are left out
    for number in range(len(model.injection), method.injection_layers):
        layer = other.model.layers[number]
        made = Injection(layer, other.model.config)
        made.reset(layer)
        other.injection[number] = made
    other.model.rotary_emb = copy.deepcopy(model.model.rotary_emb)  # its buffers are in no state dict
    return other.eval().requires_grad_(False)


def text_ids(settings: EfficiencySettings, model: SharedLLMForCausalLM, tokens: int) -> torch.Tensor:
    """Ids of a real text, the source of Python's standard library; random ones where a model has no tokenizer."""
    tokenizer = None if settings.model in MODELS else _tokenizer(settings.model, model)
    if tokenizer is None:
        return torch.randint(0, model.vocab_size, (tokens,), generator=torch.Generator().manual_seed(0))
    documents = standard_library(tokens * _BYTES_PER_TOKEN)
    ids = torch.cat([text.ids for text in tokenizer.encode_all([document.text for document in documents])])
    return ids.repeat(-(-tokens // len(ids)))[:tokens]


def _tokenizer(name: str | None, model: SharedLLMForCausalLM) -> TextTokenizer | None:
    try:
        return TextTokenizer(load_tokenizer(None, name, model))
    except TokenizerError:
        return None
