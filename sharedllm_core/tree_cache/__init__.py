"""The tree cache: a document is read once, and asked for ever.

The unit is a chunk, the key its content. Trees do not depend on the question, nor on other documents: so any order and
any choice of documents finds the same entries.
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
