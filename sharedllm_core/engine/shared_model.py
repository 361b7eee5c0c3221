"""What engines on the same weights share, whatever their cache and method."""

from ..model.modeling import SharedLLMForCausalLM
from ..tree_cache import lower_fingerprint
from .fair_lock import FairLock
from .fingerprint import AnswerFingerprints

__all__ = ["SharedModel"]


class SharedModel:
    """The queue for one model, and the fingerprints of its weights.

    Args:
        model: whose weights they are.

    Attributes:
        lock: held while the model runs; served in the order of arrival.
        lower_fingerprint: a hash of the weights that trees depend on.
        answer_fingerprints: hashes of all weights together with each engine's settings.
    """

    def __init__(self, model: SharedLLMForCausalLM) -> None:
        self.lock = FairLock()
        self.lower_fingerprint = lower_fingerprint(model.lower_model)
        self.answer_fingerprints = AnswerFingerprints()
