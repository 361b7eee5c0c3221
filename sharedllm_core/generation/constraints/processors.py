"""Constrained decoding: mask tokens by a grammar, and complete the text within the token budget.

Two logits processors work as a pair. `GrammarMask` comes first and masks the tokens that the grammar does not allow.
`EndingGuard` comes last, after sampling. It always knows an ending, tokens that complete the text within the remaining
budget. If no such ending is found for the sampled token, it replaces that token by the next one of the known ending.

So every output matches the grammar, whatever the model. A constraint for which no text fits into `max_new_tokens` is
rejected before the model runs. Thoughts before the answer are free text; `LimitedThoughts` ends them in time.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from llguidance import LLMatcher
from torch import Tensor
from transformers import LogitsProcessor

from ...errors import InputError, setting
from .constraint import Constraint
from .endings import MAX_ENDING_TOKENS, GrammarTokens, Mask, find_ending, unpack_bitmask
from .limited_thoughts import LimitedThoughts

__all__ = ["EndingGuard", "Grammar", "GrammarMask", "GrammarTokens", "is_shortened"]

# Suffixes: V vocabulary.


class Grammar:
    """A constraint, compiled for one tokenizer.

    Raises:
        InputError: the tokenizer does not support the grammar, for instance because it lacks one of its special tokens.
    """

    def __init__(self, constraint: Constraint, tokens: GrammarTokens) -> None:
        self.constraint = constraint
        self.tokens = tokens
        self._start = LLMatcher(tokens.grammar_tokenizer, constraint.grammar, log_level=0)
        if self._start.is_error():
            raise InputError(
                f"unsupported constraint, {constraint.description}: {self._start.get_error()}", remedy="rewrite it"
            )

    def matcher(self) -> LLMatcher:
        """Return a matcher for a new text."""
        return self._start.deep_copy()

    @cached_property
    def ending(self) -> list[int]:
        """Ids of a short text that matches the grammar, including the end token.

        Raises:
            InputError: no such text is found.
        """
        ending = find_ending(self.matcher(), self.tokens)
        if ending is None:
            raise InputError(
                f"unsupported constraint, {self.constraint.description}: no text of at most {MAX_ENDING_TOKENS} tokens "
                f"was found that matches it, whatever {setting('max_new_tokens')} is",
                remedy=[
                    "require less (minLength, minItems, …)",
                    "limit repetitions, for instance [a-z]{1,20} instead of [a-z]+",
                ],
            )
        return ending

    def check_room(self, new_tokens: int, thought_tokens: int = 0) -> None:
        """Check that some matching text is known to fit into `new_tokens` tokens.

        Args:
            new_tokens: the most tokens to generate.
            thought_tokens: the fewest tokens of thoughts before the text.

        Raises:
            InputError: no such text is known.
        """
        if thought_tokens + len(self.ending) > new_tokens:
            raise InputError(
                f"{setting('max_new_tokens', new_tokens)} is too few for {self.constraint.description}",
                limit=f"which needs {thought_tokens + len(self.ending)} tokens",
                remedy=["allow more", "require less"],
            )


class GrammarMask(LogitsProcessor):
    """Masks the tokens that the grammar does not allow next; in thoughts only the end of the answer.

    Args:
        grammar: the grammar of the answer.
        thoughts: those before the answer; `None` if it begins at once.
    """

    def __init__(self, grammar: Grammar, thoughts: LimitedThoughts | None = None) -> None:
        self.grammar = grammar
        self.matcher = grammar.matcher()
        self._thoughts = thoughts
        self._started = False

    @property
    def thoughts(self) -> LimitedThoughts | None:
        """The thoughts, while they have not ended."""
        return None if self._thoughts is None or self._thoughts.ended else self._thoughts

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the logits [1, V], −∞ where a token is not allowed."""
        if self._started:
            self._consume(int(input_ids[0, -1]))
        self._started = True
        allowed_V = torch.from_numpy(self._allowed(scores.shape[-1])).to(scores.device)
        return scores.masked_fill(~allowed_V, -torch.inf)

    def _consume(self, token_id: int) -> None:
        if (thoughts := self.thoughts) is not None:
            thoughts.push(token_id)
        elif not self.matcher.is_stopped():
            self.matcher.consume_token(token_id)

    def _allowed(self, vocabulary: int) -> Mask:
        only_eos = np.zeros(vocabulary, dtype=bool)
        only_eos[sorted(self.grammar.tokens.eos_ids)] = True
        if self.thoughts is not None:
            return ~only_eos
        if self.matcher.is_stopped():
            return only_eos
        return unpack_bitmask(self.matcher.compute_bitmask(), self.grammar.tokens.size)[:vocabulary]


class EndingGuard(LogitsProcessor):
    """Replaces sampled tokens after which no ending within the remaining token budget is found.

    Attributes:
        shortened: whether a larger budget would have kept a token that was replaced.
    """

    def __init__(self, mask: GrammarMask, new_tokens: int) -> None:
        self._mask = mask
        self._remaining = new_tokens
        self._ending: Sequence[int] = mask.grammar.ending
        self.shortened = False
        if (thoughts := mask.thoughts) is not None:
            thoughts.limit(new_tokens, len(mask.grammar.ending))

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return logits [1, V] whose maximum is a token after which the text can be completed in time."""
        self._remaining -= 1  # the budget after this token
        matcher, token_id = self._mask.matcher, int(scores.argmax())
        if (thoughts := self._mask.thoughts) is not None:
            forced = thoughts.next_token(token_id)
            return scores if forced == token_id else _only_token(scores, forced)
        if matcher.is_stopped() or token_id in self._mask.grammar.tokens.eos_ids:
            return scores
        ending = self._ending_after(matcher, token_id, self._ending)
        if ending is None:
            self.shortened = self.shortened or self._has_ending(matcher, token_id)
            replacement, *ending = self._ending
            scores = _only_token(scores, replacement)
        self._ending = ending
        return scores

    def _has_ending(self, matcher: LLMatcher, token_id: int) -> bool:
        """Whether an ending after `token_id` is found without a budget."""
        after = matcher.deep_copy()
        return after.consume_token(token_id) and find_ending(after, self._mask.grammar.tokens) is not None

    def _ending_after(self, matcher: LLMatcher, token_id: int, known: Sequence[int]) -> Sequence[int] | None:
        """Find an ending after `token_id` within the budget; the rest of the known one if valid, which is cheapest."""
        for first in range(max(0, len(known) - self._remaining), len(known)):
            if matcher.validate_tokens([token_id, *known[first:]]) == 1 + len(known) - first:
                return known[first:]
        after = matcher.deep_copy()
        return find_ending(after, self._mask.grammar.tokens, self._remaining) if after.consume_token(token_id) else None


def _only_token(scores: Tensor, token_id: int) -> Tensor:
    """Copy logits [1, V] such that only one token remains."""
    scores = torch.full_like(scores, -torch.inf)
    scores[0, token_id] = 0.0
    return scores


def is_shortened(processors: Sequence[LogitsProcessor]) -> bool:
    """Whether the text was completed early to stay within the token budget."""
    return any(isinstance(processor, EndingGuard) and processor.shortened for processor in processors)
