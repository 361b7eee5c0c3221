"""`CallBeginning`: how the beginning of a tool call is recognised in an answer while it is generated."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..markers import prefix_at_end
from .call_format import CallFormat
from .control_token_ids import ControlTokenIds

__all__ = ["CallBeginning", "marker_of"]

_WORD = re.compile(r"[^\W\d_]{3}")


@dataclass(frozen=True)
class CallBeginning:
    """The beginning of a tool call: a control token or a text.

    Attributes:
        tokens: content of the control tokens that begin a call, by id. Text that spells one out begins no call.
        texts: texts that begin a call.
        only_first: whether a text begins a call only where it begins the answer.
    """

    tokens: Mapping[int, str] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    only_first: bool = False

    def find(self, held: str, *, first: bool) -> int:
        """Return the position where one of the texts begins a call, or -1.

        Args:
            held: the end of the answer, which was not passed on yet.
            first: whether `held` is the whole answer so far.
        """
        if self.only_first:
            return 0 if first and held.startswith(self.texts) else -1
        return min((at for text in self.texts if (at := held.find(text)) >= 0), default=-1)

    def undecided(self, held: str, *, first: bool) -> int:
        """Count the characters at the end of `held` that may be the beginning of one of the texts."""
        if self.only_first:
            return len(held) if first and any(text.startswith(held) for text in self.texts) else 0
        return prefix_at_end(held, self.texts)


def marker_of(call_format: CallFormat, tokens: ControlTokenIds) -> str:
    """Return the first control token of a call, or else the words before its JSON; empty if there are none."""
    first = (tokens.split(call_format.opening) or [""])[0]
    if first in tokens.ids:
        return first
    words = call_format.opening.partition("{")[0].rstrip()
    return words if _WORD.search(words) else ""
