"""State shared by engines on the same weights: the lock and the weights' hashes."""

from threading import Lock
from typing import Any

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

    Attributes:
        lock: held while the model runs; first come, first served.
        lower_fingerprint: hash of the weights that trees depend on.
    """

    def __init__(self, model: SharedLLMForCausalLM) -> None:
        self.lock = FairLock()
        self.lower_fingerprint = lower_fingerprint(model.lower_model)
        self._weights: Any = None
        self._weights_lock = Lock()

    def answer_fingerprint(self, model: SharedLLMForCausalLM, tokenizer: TextTokenizer) -> str:
        """Return the `answer_fingerprint` of an engine; the weights are hashed once, at the first call."""
        with self._weights_lock:
            if self._weights is None:
                self._weights = hash_weights(model)
        return answer_fingerprint(model, tokenizer, self._weights)
