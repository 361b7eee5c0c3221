"""What engines on the same weights share, whatever their cache and method."""

from threading import Lock
from typing import Any

from ..model.modeling import SharedLLMForCausalLM
from ..text.tokenization import TextTokenizer
from ..tree_cache import lower_fingerprint
from .fair_lock import FairLock
from .fingerprint import answer_fingerprint, hash_weights

__all__ = ["SharedModel"]


class SharedModel:
    """The queue for one model, and the hashes of its weights.

    Args:
        model: whose weights they are.

    Attributes:
        lock: held while the model runs; served in the order of arrival.
        lower_fingerprint: a hash of the weights that trees depend on.
    """

    def __init__(self, model: SharedLLMForCausalLM) -> None:
        self.lock = FairLock()
        self.lower_fingerprint = lower_fingerprint(model.lower_model)
        self._weights: Any = None
        self._weights_lock = Lock()

    def answer_fingerprint(self, model: SharedLLMForCausalLM, tokenizer: TextTokenizer) -> str:
        """`answer_fingerprint` of an engine on these weights, which are hashed once, at first use."""
        with self._weights_lock:
            if self._weights is None:
                self._weights = hash_weights(model)
        return answer_fingerprint(model, tokenizer, self._weights)
