"""How an engine is put together: model, tokenizer, cache, and what engines on the same weights share."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from transformers import PreTrainedTokenizerBase

from ..method.config import SharedLLMConfig
from ..model.modeling import SharedLLMForCausalLM
from ..text.tokenization import TextTokenizer
from ..tree_cache import TreeCache
from .answering import Answering
from .libraries import LibraryMaker
from .lifetime import Lifetime
from .loading import context_tokens, load_model, load_tokenizer
from .reading import TreeReader
from .shared_model import SharedModel

__all__ = ["BaseEngine"]


class BaseEngine:
    """The part of `SharedLLMEngine` that loads, identifies, derives and closes engines; see there for the arguments."""

    def __init__(
        self,
        model: SharedLLMForCausalLM,
        tokenizer: PreTrainedTokenizerBase | TextTokenizer,
        *,
        cache: TreeCache | None = None,
        allow_untrained: bool = False,
        shared: SharedModel | None = None,
    ) -> None:
        model.eval()
        self.model = model.frozen()
        self.tokenizer = tokenizer if isinstance(tokenizer, TextTokenizer) else TextTokenizer(tokenizer)
        self.cache = TreeCache.default() if cache is None else cache
        self.allow_untrained = allow_untrained
        self._shared = SharedModel(self.model) if shared is None else shared
        self._libraries = LibraryMaker(self.tokenizer, model.method)
        self._lock = lock = self._shared.lock
        self._reader = TreeReader(self.model.lower_model, self.cache, lock, self._shared.lower_fingerprint)
        self._answering = Answering(self.model, self.tokenizer, self._reader, lock, allow_untrained)
        self._lifetime = Lifetime()

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
        **kwargs: Any,
    ) -> Self:
        """Load a checkpoint with its tokenizer.

        Args:
            name: folder or hub id of a full checkpoint or an adapter; by default the model of this package.
            base: location of an adapter's base model, if it has moved.
            tokenizer: folder or hub id of the tokenizer, if it is neither in the checkpoint nor in the base's.
            cache, allow_untrained: see the class.
            device: such as `"cuda"`.
            policy: a selection policy that replaces the checkpoint's, such as `"lexical"`.
            kwargs: passed to transformers' `from_pretrained` (`dtype`, `device_map`, `attn_implementation`, …). Without
                `dtype`, half-precision weights are cast to float32 on a CPU without half-precision matmul.

        Raises:
            CheckpointError: not a checkpoint of this library, or a damaged one.
            TokenizerError: no tokenizer, or not a fast one.
            ConfigError: an unknown policy.
        """
        model = load_model(name, base, device, policy, kwargs)
        return cls(model, load_tokenizer(tokenizer, name, model), cache=cache, allow_untrained=allow_untrained)

    @property
    def method(self) -> SharedLLMConfig:
        """The configuration of the method that this engine reads and answers with."""
        return self.model.method

    @property
    def context_tokens(self) -> int:
        """The most tokens of documents and running text together that the model and its method were made for."""
        return context_tokens(self.model.config)

    @property
    def fingerprint(self) -> str:
        """A hash of the weights that encode documents; engines with equal hashes can share trees."""
        return self._shared.lower_fingerprint

    @property
    def answer_fingerprint(self) -> str:
        """A hash of everything that determines answers: all weights, the method with its policy, and the tokenizer.

        Use it in the key of an answer cache. The first access reads every weight, so make it off the event loop.
        """
        return self._shared.answer_fingerprint(self.model, self.tokenizer)

    def with_cache(self, cache: TreeCache) -> Self:
        """Return an engine with another cache, such as another tenant's. Both share the model and its queue."""
        return self._derive(self.model, cache)

    def with_policy(self, policy: str) -> Self:
        """Return an engine with another selection policy. Both share the model and its queue.

        A policy that cannot compare nodes of different chunks retains one path of each chunk (scope `"chunk"`).

        Raises:
            ConfigError: an unknown policy.
        """
        return self._derive(self.model.with_method(self.method.with_policy(policy)), self.cache)

    def _derive(self, model: SharedLLMForCausalLM, cache: TreeCache) -> Self:
        return type(self)(model, self.tokenizer, cache=cache, allow_untrained=self.allow_untrained, shared=self._shared)

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
