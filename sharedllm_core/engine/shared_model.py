"""State shared by engines on the same weights: the lock, the decoders and the weights' hashes."""

from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from transformers import PreTrainedModel

from ..decoding.decoder import Decoder
from ..model.modeling import SharedLLMForCausalLM
from ..text.tokenization import TextTokenizer
from ..tree_cache import lower_fingerprint
from .fair_lock import FairLock
from .fingerprint import answer_fingerprint, hash_weights

__all__ = ["SharedModel"]


class SharedModel:
    """The lock of one model and the hashes of its weights, independent of cache and method.

    Args:
        model: the model to hash.
        tokenizer: makes the token ids of documents.

    Attributes:
        lock: held while the model runs; first come, first served.
        reading_fingerprint: hash of what reading documents depends on: the weights that encode trees, or, for a model
            without injection, the tokenizer alone.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: TextTokenizer) -> None:
        self.lock = FairLock()
        has_injection = isinstance(model, SharedLLMForCausalLM)
        self.reading_fingerprint = lower_fingerprint(model.lower_model) if has_injection else tokenizer.fingerprint
        self._decoders: WeakValueDictionary[int, Decoder] = WeakValueDictionary()  # by the id of its model
        self._weights: Any = None
        self._weights_lock = Lock()

    def decoder(self, model: PreTrainedModel) -> Decoder:
        """Return the decoder of a model on these weights; engines with the same model and method decode together."""
        with self._weights_lock:
            if (decoder := self._decoders.get(id(model))) is None:
                decoder = self._decoders[id(model)] = Decoder(model, self.lock)
            return decoder

    def answer_fingerprint(self, model: PreTrainedModel, tokenizer: TextTokenizer) -> str:
        """Return the `answer_fingerprint` of an engine; the weights are hashed once, at the first call."""
        with self._weights_lock:
            if self._weights is None:
                self._weights = hash_weights(model)
        return answer_fingerprint(model, tokenizer, self._weights)
