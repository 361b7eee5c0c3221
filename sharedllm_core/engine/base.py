"""How an engine is put together: model, tokenizer, cache, and what engines on the same weights share."""

import hashlib
import logging
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..decoding.kept_prompts import DEFAULT_KEPT_BYTES, KeptPrompts
from ..errors import ConfigError, InputError, Wording
from ..generation.answer import ReadingMode
from ..generation.quoting import QuoteTemplate
from ..generation.sampling_settings import SamplingSettings
from ..method.checks import check_whole
from ..method.config import SharedLLMConfig
from ..model.modeling import SharedLLMForCausalLM
from ..text.embedding import Embedder
from ..text.tokenization import TextTokenizer
from ..tree_cache import TreeCache
from .answering import Answering
from .default_model_warning import warn_default_model
from .kinds import PLAIN_METHOD, model_name, reading_mode
from .libraries import LibraryMaker
from .lifetime import Lifetime
from .loading import load_model, load_tokenizer
from .model_summary import calls_tools, context_tokens
from .quoting import DEFAULT_QUOTE_TOKENS, Quoter, check_quote_room
from .reading import TreeReader
from .shared_model import SharedModel

__all__ = ["BaseEngine"]

_logger = logging.getLogger(__name__)


class BaseEngine:
    """The part of `SharedLLMEngine` that loads, identifies, derives and closes engines; see there for the arguments."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase | TextTokenizer,
        *,
        cache: TreeCache | None = None,
        allow_untrained: bool = False,
        reading: ReadingMode | None = None,
        quote_tokens: int | None = None,
        quote_template: str | None = None,
        thinking: bool | None = None,
        embedding: Any = None,
        kept_prompt_bytes: int = DEFAULT_KEPT_BYTES,
        shared: SharedModel | None = None,
    ) -> None:
        model.eval()
        self.model: Any = model.frozen() if isinstance(model, SharedLLMForCausalLM) else model
        self.tokenizer = tokenizer if isinstance(tokenizer, TextTokenizer) else TextTokenizer(tokenizer)
        self.cache = TreeCache.default() if cache is None else cache
        self.allow_untrained = allow_untrained
        self._reading = reading_mode(model, reading, allow_untrained)
        # Engines that are derived from this one get the embedder, and with it the vectors of documents.
        self._embedder = embedding if embedding is None or isinstance(embedding, Embedder) else Embedder(embedding)
        self._options = {
            "reading": reading,
            "quote_tokens": quote_tokens,
            "quote_template": quote_template,
            "thinking": thinking,
            "embedding": self._embedder,
        }
        self._kept_prompt_bytes = kept_prompt_bytes
        check_whole("kept_prompt_bytes", kept_prompt_bytes, at_least=0, error=InputError)
        if quote_tokens is not None:
            check_whole("quote_tokens", quote_tokens, at_least=1, error=InputError)
        if shared is None:
            _warn_without_chat_template(self.tokenizer)
        self._shared = SharedModel(self.model, self.tokenizer) if shared is None else shared
        self._libraries = LibraryMaker(self.tokenizer, self.method)
        self._lock = self._shared.lock
        self._reader = self._make_reader()
        quoter = None if self._reading == "injected" else self._make_quoter(quote_template)
        self._answering = Answering(
            self.model,
            self.tokenizer,
            self.method,
            self._reader,
            quoter,
            quote_tokens or self.method.quote_tokens or DEFAULT_QUOTE_TOKENS,
            thinking,
            self._shared.decoder(self.model),
            KeptPrompts(kept_prompt_bytes),
            self._lock,
            allow_untrained,
        )
        if quote_tokens is not None and self._reading != "injected":
            check_quote_room(quote_tokens, self._answering.window_tokens)
        self._lifetime = Lifetime()

    def _make_reader(self) -> TreeReader | None:
        if self._reading == "quoted":
            return None
        fingerprint = self._shared.reading_fingerprint
        return TreeReader(self.model.lower_model, self.cache, self._lock, fingerprint, self._embedder)

    def _make_quoter(self, template: str | None) -> Quoter:
        quote_template = QuoteTemplate() if template is None else QuoteTemplate(template)
        return Quoter(self.tokenizer, quote_template, self._embedder)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path | None = None,
        *,
        base: str | Path | None = None,
        tokenizer: str | Path | PreTrainedTokenizerBase | None = None,
        cache: TreeCache | None = None,
        allow_untrained: bool = False,
        device: str | None = None,
        policy: str | None = None,
        reading: ReadingMode | None = None,
        quote_tokens: int | None = None,
        quote_template: str | None = None,
        thinking: bool | None = None,
        embedding: Any = None,
        kept_prompt_bytes: int = DEFAULT_KEPT_BYTES,
        **kwargs: Any,
    ) -> Self:
        """Load a checkpoint with its tokenizer.

        Args:
            name: folder or hub id of any causal language model of transformers, or of a checkpoint or adapter of this
                library; a GGUF file; `"smollm2"`; or `"reader"`, the same with the updates of this package, trained to
                answer from passages. By default the reader, with a `DefaultModelWarning`, once per process.
            base: location of an adapter's base model, if it has moved.
            tokenizer: folder or hub id of the tokenizer, if it is neither in the checkpoint nor in the base's.
            cache, allow_untrained, reading, quote_tokens, quote_template: see the class.
            thinking, embedding, kept_prompt_bytes: see the class.
            device: such as `"cuda"`.
            policy: a selection policy that replaces the checkpoint's, such as `"lexical"`.
            kwargs: passed to transformers' `from_pretrained` (`dtype`, `device_map`, `attn_implementation`, …). Without
                `dtype`, half-precision weights are cast to float32 on a CPU without half-precision matmul.

        Raises:
            CheckpointError: not a checkpoint of this library, or a damaged one.
            TokenizerError: no tokenizer, or not a fast one.
            InputError: thinking that the model does not support.
            ConfigError: an unknown policy.
        """
        if name is None:
            warn_default_model(Wording({"model": "name"}))
        model = load_model(name, base, device, policy, kwargs)
        return cls(
            model,
            load_tokenizer(tokenizer, name, model),
            cache=cache,
            allow_untrained=allow_untrained,
            reading=reading,
            quote_tokens=quote_tokens,
            quote_template=quote_template,
            thinking=thinking,
            embedding=embedding,
            kept_prompt_bytes=kept_prompt_bytes,
        )

    @property
    def method(self) -> SharedLLMConfig:
        """The configuration of the method that this engine reads and answers with.

        For a model without injection, what its documents are cut by.
        """
        return self.model.method if isinstance(self.model, SharedLLMForCausalLM) else PLAIN_METHOD

    @property
    def reading(self) -> ReadingMode:
        """How documents are read: quoted, injected, or both."""
        return self._reading

    @property
    def sampling(self) -> SamplingSettings:
        """How tokens are chosen where a question does not say, by the checkpoint's generation config."""
        return self._answering.sampling

    @property
    def window_tokens(self) -> int:
        """The model's window: the most tokens of running text and answer together."""
        return self._answering.window_tokens

    @property
    def context_tokens(self) -> int:
        """The most tokens that are read for one answer: of documents and running text, or, if it quotes, the window.

        Documents may be longer; nothing is refused.
        """
        return context_tokens(self.model.config, self.tokenizer.tokenizer, quoted=self.reading == "quoted")

    @property
    def calls_tools(self) -> bool:
        """Whether the model was made to call tools: its chat template takes them.

        Calls fit their schema with any model; which tool is called with what is the model's choice.
        """
        template = getattr(self.tokenizer.tokenizer, "chat_template", None)
        return calls_tools(template)

    @property
    def model_name(self) -> str:
        """The name of the model: its hub id, the name of its folder, a short name, or else its family."""
        return model_name(self.model)

    @property
    def quote_tokens(self) -> int:
        """The most tokens of passages that are quoted, unless a question sets it; 0 for an engine that only injects."""
        return 0 if self.reading == "injected" else self._answering.quote_tokens

    @property
    def fingerprint(self) -> str:
        """A hash of the weights that encode documents; engines with equal hashes can share trees."""
        return self._shared.reading_fingerprint

    @cached_property
    def answer_fingerprint(self) -> str:
        """A hash of everything that determines answers: all weights, the method with its policy, and the tokenizer.

        Use it in the key of an answer cache. The first access reads every weight, so make it off the event loop.
        """
        whole = self._shared.answer_fingerprint(self.model, self.tokenizer)
        if self.reading == "injected" and self._options["thinking"] is None:
            return whole
        return hashlib.sha256(f"{whole} {self.reading} {self._options}".encode()).hexdigest()[:24]

    def with_cache(self, cache: TreeCache) -> Self:
        """Return an engine with another cache, such as another tenant's. Both share the model and its queue."""
        return self._derive(self.model, cache)

    def with_policy(self, policy: str) -> Self:
        """Return an engine with another selection policy. Both share the model and its queue.

        A policy that cannot compare nodes of different chunks retains one path of each chunk (scope `"chunk"`).

        Raises:
            ConfigError: an unknown policy, or a model without injection, whose passages are searched by words.
        """
        if not isinstance(self.model, SharedLLMForCausalLM):
            raise ConfigError(
                "a selection policy selects what is injected, and this model has no injection",
                remedy="leave the policy out: passages are searched by words",
            )
        return self._derive(self.model.with_method(self.method.with_policy(policy)), self.cache)

    def _derive(self, model: PreTrainedModel, cache: TreeCache) -> Self:
        options: Any = self._options
        return type(self)(
            model,
            self.tokenizer,
            cache=cache,
            allow_untrained=self.allow_untrained,
            kept_prompt_bytes=self._kept_prompt_bytes,
            shared=self._shared,
            **options,
        )

    # ---------------------------------------------------------------------------------------------- closing

    def close(self) -> None:
        """Cancel running calls and streams, and end the engine's threads.

        Engines that share the model and the cache itself stay open. A closed engine rejects questions and documents.
        Closing it again has no effect.
        """
        self._lifetime.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _warn_without_chat_template(tokenizer: TextTokenizer) -> None:
    if not getattr(tokenizer.tokenizer, "chat_template", None):
        _logger.warning(
            "the tokenizer %s has no chat template: messages are written as plain text, 'User: …' and 'Assistant:'; "
            "for a model that was trained to chat, pass a tokenizer with its template",
            tokenizer.tokenizer.name_or_path,
        )
