"""Thoughts before a constrained answer: free text that ends early enough for the answer to fit the token budget."""

from ...text.tokenization import TextTokenizer
from ..thoughts import PromptThoughts, ThoughtNotation

__all__ = ["LimitedThoughts"]

_ANSWER_SHARE = 4  # thoughts leave at least a quarter of the budget to the answer


class LimitedThoughts:
    """The thoughts of one row. Their markers are forced where the model does not write them in time.

    The grammar begins right behind the end marker, so a token that continues behind it with other text is replaced by
    the marker alone.

    Args:
        tokenizer: the model's tokenizer.
        notation: the markers.
        in_prompt: which part of the thoughts the prompt holds already; a missing begin marker is forced.

    Attributes:
        ended: whether the grammar applies to the next token.
    """

    def __init__(self, tokenizer: TextTokenizer, notation: ThoughtNotation, in_prompt: PromptThoughts) -> None:
        self.ended = in_prompt == "ended"
        self._tokenizer = tokenizer
        self._end = notation.end
        self._end_ids = self._encode(notation.end)
        self._forced = self._encode(notation.begin) if in_prompt == "none" else []
        self._left = 0
        self._newest_ids: list[int] = []

    @property
    def least_tokens(self) -> int:
        """The tokens that empty thoughts take."""
        return len(self._forced) + len(self._end_ids)

    def limit(self, new_tokens: int, answer_tokens: int) -> None:
        """Set the budget.

        Args:
            new_tokens: the most tokens of thoughts and answer together.
            answer_tokens: the fewest tokens that the answer needs.
        """
        self._left = new_tokens - max(answer_tokens, new_tokens // _ANSWER_SHARE) - len(self._end_ids)

    def next_token(self, token_id: int) -> int:
        """Return the token that follows: `token_id`, or the next one of a marker that is forced."""
        if not self._forced:
            _, end, rest = self._decode([*self._newest_ids, token_id]).partition(self._end)
            if rest.strip() or (self._left <= 0 and not end):
                self._forced = list(self._end_ids)
        return self._forced[0] if self._forced else token_id

    def push(self, token_id: int) -> None:
        """Add the token that was generated."""
        self._left -= 1
        self._forced = self._forced[1:]
        self._newest_ids = [*self._newest_ids, token_id][-len(self._end) :]
        self.ended = self._end in self._decode(self._newest_ids)

    def _encode(self, marker: str) -> list[int]:
        ids: list[int] = self._tokenizer.tokenizer(marker, add_special_tokens=False)["input_ids"]
        return ids

    def _decode(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, special=True)
