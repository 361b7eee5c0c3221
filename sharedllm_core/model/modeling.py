"""`SharedLLMForCausalLM`: a base model with self-injection, as a transformers model. Ids in, ids out.

Independent of text and tree caches. The upper model is the whole base model; the lower model is its bottom layers
(`lower_model.py`); a `PastContext` passes states from the lower to the upper model.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM, GenerationMixin
from transformers.cache_utils import Cache
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.utils.generic import can_return_tuple

from ..errors import InputError, PastContextError
from . import encoding
from .base_families import INJECTED_LAYERS, UNSPLIT_LAYERS, check_base
from .configuration import SharedLLMModelConfig
from .injection import Inject, Injection
from .inputs import (
    Ids,
    check_chunks,
    check_ids,
    check_length,
    check_prompt,
    check_window,
    left_padding,
    read_chunk,
    read_query,
)
from .lower_model import LowerModel
from .method_mixin import MethodMixin, VerifiedPasts
from .node_states import NodeStates
from .past_context import PastContext, PastContextBatch, check_chunk_positions
from .pretrained import PretrainedMixin
from .renamed import KV_CACHE

__all__ = ["SharedLLMForCausalLM"]


#: Padding tokens that all rows of the prompt have in common, while `generate` runs.
_left_padding: ContextVar[int] = ContextVar("left_padding", default=0)


class SharedLLMForCausalLM(MethodMixin, PretrainedMixin, GenerationMixin):
    """A Llama, Mistral, Qwen2 or Qwen3 model with past context injected into its bottom M layers.

    Create one with `from_base` (adds an injection that has no effect until trained) or `from_pretrained`.

    Args:
        config: the configurations of the base model and of the method.

    Raises:
        UnsupportedBaseError: the base's family or kind of RoPE is not supported.
        ConfigError: the method's configuration does not fit the base.
    """

    config_class = SharedLLMModelConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = ["Injection", *UNSPLIT_LAYERS]
    _skip_keys_device_placement = ["cache", "past_key_values", "past_context", "inject", "views"]
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}

    def __init__(self, config: SharedLLMModelConfig) -> None:
        super().__init__(config)
        base, method = config.text_config, config.method
        check_base(base)
        method.check_fits(base.num_hidden_layers)
        self.vocab_size = base.vocab_size
        self.model = AutoModel.from_config(base)
        for number in range(method.injection_layers):
            self.model.layers[number] = INJECTED_LAYERS[base.model_type](self.model.config, number)
        self.lm_head = nn.Linear(base.hidden_size, base.vocab_size, bias=False)
        self.lower_model = LowerModel(self.model, method)
        self.injection = nn.ModuleList(Injection(layer, self.model.config) for layer in self.lower_model.layers)
        self._verified_pasts = VerifiedPasts()
        self.post_init()
        self.reset_injection()

    # ---------------------------------------------------------------------------------------------- past context

    def encode_past_context(
        self,
        chunks: Sequence[Ids],
        query_ids: Ids | None = None,
        chunk_positions: Sequence[int] | None = None,
    ) -> PastContext:
        """Compress chunks of past context to the states that a query retains (paper, section 3.2).

        In training mode the split points are noisy, and gradients flow through the states to weights that require them.

        Args:
            chunks: 1-D ids of at most `chunk_tokens` each. Empty chunks are ignored.
            query_ids: 1-D ids of the question, for the selection policy. `right` needs none.
            chunk_positions: the position of each chunk; 0 … n−1 by default (empty chunks not counted).

        Raises:
            InputError: chunks or a query that are not 1-D ids, too long, missing or outside the vocabulary.
            PastContextError: a wrong number of positions.
            DeviceMemoryError: a single node does not fit into the device's memory.
        """
        read = self._read_chunks(chunks)
        nonempty = [number for number, chunk in enumerate(read) if len(chunk)]
        if chunk_positions is not None:
            all_positions = check_chunk_positions(len(read), chunk_positions)
            chunk_positions = [all_positions[number] for number in nonempty]
        positions = check_chunk_positions(len(nonempty), chunk_positions)
        if not nonempty:
            return PastContext.empty()
        chunk_ids = [read[number] for number in nonempty]
        with torch.set_grad_enabled(self.training and torch.is_grad_enabled()):
            query = encoding.read_query(self.lower_model, self._query(query_ids), chunk_ids)
            noisy = self.training and self.method.split_noise_tokens > 0
            nodes = encoding.select(self.lower_model, chunk_ids, [query] * len(chunk_ids), noisy=noisy)
            past = PastContext.from_nodes(encoding.encode(self.lower_model, chunk_ids, nodes), positions)
        self._verified_pasts.add(past)
        return past

    @torch.no_grad()
    def encode_nodes(self, chunks: Sequence[Ids]) -> list[NodeStates]:
        """Encode every node of every chunk, independent of any query: one entry per chunk, as a cache stores it.

        Raises:
            InputError: chunks that are empty, too long, not 1-D ids or outside the vocabulary.
            DeviceMemoryError: a single node does not fit into the device's memory.
        """
        read = self._read_chunks(chunks)
        if (empty := next((number for number, chunk in enumerate(read) if not len(chunk)), None)) is not None:
            raise InputError(
                f"chunk {empty} is empty and has no nodes",
                remedy="leave it out",
            )
        return encoding.encode_nodes(self.lower_model, read)

    @torch.no_grad()
    def select_nodes(self, states: Sequence[NodeStates], query_ids: Ids | None = None) -> list[NodeStates]:
        """Select the nodes that a query retains from fully encoded chunks; assemble them with `PastContext.from_nodes`.

        Raises:
            InputError: the policy needs a query and it is missing or invalid.
            PastContextError: an entry lacks a node or selection vector that the query needs.
        """
        if not states:
            return []
        return encoding.select_from(self.lower_model, states, self._query(query_ids))

    def _read_chunks(self, chunks: Sequence[Ids]) -> list[Tensor]:
        check_chunks(chunks)
        limits = (self.vocab_size, self.method, self._window_tokens)
        return [read_chunk(ids, number, *limits) for number, ids in enumerate(chunks)]

    @property
    def _window_tokens(self) -> int:
        window: int = self.config.text_config.max_position_embeddings
        return window

    def _query(self, query_ids: Ids | None) -> Tensor | None:
        if not encoding.needs_query(self.method):
            return None
        return read_query(query_ids, self.vocab_size, self._window_tokens, self.method.policy)

    # ---------------------------------------------------------------------------------------------- upper model

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        past_context: PastContext | PastContextBatch | None = None,
        cache: Cache | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Compute the logits [B, T, vocabulary] of running text with a past context; arguments as in transformers.

        Args:
            input_ids: [B, T]; rows of different lengths are padded on the left, with an `attention_mask`.
            cache, past_key_values: the KV cache, by its new name or by that before transformers 5.24.
            past_context: one for all rows, or a batch from `PastContext.stack` with one or `None` per row.
            labels: [B, T]; −100 excludes a token from the loss.

        Raises:
            WindowError: the running text is longer than the base model's window.
            TokenIdError: ids outside the vocabulary.
            InputError: `cache` and `past_key_values`.
            PastContextError: a past context of another model or for another number of rows.
        """
        if cache is not None and past_key_values is not None:
            raise InputError("cache and past_key_values are both given", remedy="give cache alone")
        outputs = self._read_running_text(
            past_context,
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=past_key_values if cache is None else cache,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            **kwargs,
        )
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(outputs.last_hidden_state[:, kept])
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.vocab_size, **kwargs)
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            **{KV_CACHE: getattr(outputs, KV_CACHE)},
        )

    def _read_running_text(
        self,
        past_context: PastContext | PastContextBatch | None,
        *,
        input_ids: Tensor | None,
        attention_mask: Tensor | None,
        cache: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Compute the hidden states of running text, before the output head; arguments as in `forward`."""
        running_text = input_ids if input_ids is not None else inputs_embeds
        cached_tokens = cache.get_seq_length() if cache is not None else 0
        if isinstance(cached_tokens, int) and running_text is not None:
            check_window(running_text, cached_tokens, attention_mask, self._window_tokens)
            if input_ids is not None and (cached_tokens == 0 or input_ids.shape[1] > 1):
                check_ids(input_ids, self.vocab_size, "input_ids")
        if past_context is not None and running_text is not None:
            batch = PastContextBatch.broadcast(past_context, len(running_text))
            kwargs["inject"] = self._inject(batch, running_text.device)
        outputs: BaseModelOutputWithPast = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            inputs_embeds=inputs_embeds,
            **{KV_CACHE: cache},
            **kwargs,
        )
        return outputs

    def _inject(self, batch: PastContextBatch, device: torch.device) -> Inject | None:
        views = batch.views(self.method, device, self.dtype)
        for entry in batch.entries:
            self._check_origin(entry)
        if not views:
            return None

        def inject(layer: int, hidden: Tensor) -> Tensor | None:
            return self.injection[layer](hidden, views=views) if layer < len(self.injection) else None

        return inject

    def _check_origin(self, past: PastContext) -> None:
        if past in self._verified_pasts or past.origin is None:
            return
        if why := past.origin.differs_from(self.lower_model.origin()):
            raise PastContextError(
                f"the past context was made by another model: {why}",
                remedy="encode it with this model",
            )
        self._verified_pasts.add(past)

    # ---------------------------------------------------------------------------------------------- generation

    def generate(self, inputs: Tensor | None = None, generation_config: Any = None, **kwargs: Any) -> Any:
        """Generate as transformers' `generate` does, with `past_context` as in `forward`.

        Raises:
            WindowError: the running text and the requested new tokens exceed the base model's window. Raised before
                anything is generated.
            InputError: the running text is not [rows, tokens], or a row is padded on the right.
        """
        prompts = (inputs, kwargs.get("input_ids"), kwargs.get("inputs_embeds"))
        if (prompt := next((p for p in prompts if p is not None), None)) is not None:
            check_prompt(prompt, kwargs.get("attention_mask"))
        padding = _left_padding.set(left_padding(kwargs.get("attention_mask")))
        try:
            return super().generate(inputs, generation_config, **kwargs)
        finally:
            _left_padding.reset(padding)

    def _prepare_generated_length(self, **kwargs: Any) -> Any:
        # transformers resolves `max_length` here; nothing is generated yet.
        config = super()._prepare_generated_length(**kwargs)
        prompt_tokens = kwargs["inputs_tensor"].shape[1] - _left_padding.get()
        new_tokens = config.max_length - kwargs["input_ids_length"]
        check_length(prompt_tokens, new_tokens, self._window_tokens)
        return config

    def _expand_inputs_for_generation(self, expand_size: int = 1, **kwargs: Any) -> Any:
        # transformers expands only tensors for beams and samples.
        past = kwargs.get("past_context")
        if isinstance(past, PastContextBatch) and expand_size > 1:
            kwargs["past_context"] = past.repeat_interleave(expand_size)
        return super()._expand_inputs_for_generation(expand_size=expand_size, **kwargs)

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> Any:
        """Resize as transformers does, and update the vocabulary size in the top-level configuration."""
        embeddings = super().resize_token_embeddings(*args, **kwargs)
        self.vocab_size = self.config.vocab_size = self.config.text_config.vocab_size = len(embeddings.weight)
        return embeddings


AutoModelForCausalLM.register(SharedLLMModelConfig, SharedLLMForCausalLM)
