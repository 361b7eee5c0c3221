"""Content-addressed cache of context trees: each chunk is encoded once and reused for every question.

One entry holds the states of one chunk; its key is a hash of the chunk's token ids and of everything else that the
states depend on. They depend neither on the question nor on other documents, so any order and selection of documents
hits the same entries.
"""

from ._tier import Tier, TierStats, Verification
from .disk import DiskTier
from .keys import TreeKeys, lower_fingerprint
from .memory import MemoryTier
from .remote import RemoteTier
from .tiered import TreeCache

__all__ = [
    "DiskTier",
    "MemoryTier",
    "RemoteTier",
    "Tier",
    "TierStats",
    "TreeCache",
    "TreeKeys",
    "Verification",
    "lower_fingerprint",
]
