"""Random generators that depend on what they are for and on nothing else: no process, no platform, no history."""

import hashlib
from random import Random

__all__ = ["generator"]


def generator(*purpose: object) -> Random:
    """A generator seeded by a hash of its purpose.

    Args:
        *purpose: texts and numbers that name it, the seed first.
    """
    digest = hashlib.sha256("\x1f".join(map(str, purpose)).encode("utf-8", "surrogatepass")).digest()
    return Random(int.from_bytes(digest[:16], "big"))  # noqa: S311 (tasks are no secrets)
