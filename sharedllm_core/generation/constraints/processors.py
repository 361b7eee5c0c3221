"""Constrained decoding: after each token, only those remain that can go on to what the constraint asks for.

A constraint is also kept within the length: at every token an ending is known that fits into what is left, and where
another token would lead to where none is known, that ending is written. So what comes out fits, whatever the model; a
constraint that does not fit into `max_new_tokens` at all cannot be kept to, and is refused before the model runs.

Processors come in pairs: `Allowed` first, which leaves the tokens that the grammar has now; `InTime` last, when each
row's token is decided, and replaces one after which no ending in time is known.
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
from .endings import LONGEST_ENDING, GrammarTokens, Mask, allowed_tokens, short_ending

__all__ = ["Allowed", "Grammar", "GrammarTokens", "InTime"]

# Suffixes: B rows, V vocabulary.


class Grammar:
    """A constraint, ready for one tokenizer.

    Raises:
        InputError: a grammar that the tokenizer cannot write, such as one with tokens that it does not have.
    """

    def __init__(self, constraint: Constraint, tokens: GrammarTokens) -> None:
        self.constraint = constraint
        self.tokens = tokens
        self._start = LLMatcher(tokens.grammar_tokenizer, constraint.grammar, log_level=0)
        if self._start.is_error():
            raise InputError(
                f"unsupported constraint, {constraint.said}: {self._start.get_error()}", remedy="rewrite it"
            )

    def matcher(self) -> LLMatcher:
        """A new text's."""
        return self._start.deep_copy()

    @cached_property
    def ending(self) -> list[int]:
        """A short text of the grammar, with the token that ends the answer.

        Raises:
            InputError: none is found.
        """
        ending = short_ending(self.matcher(), self.tokens)
        if ending is None:
            raise InputError(
                f"unsupported constraint, {self.constraint.said}: no text of at most {LONGEST_ENDING} tokens was found "
                f"that fits it, whatever {setting('max_new_tokens')} is",
                remedy=[
                    "require less (minLength, minItems, …)",
                    "bound what may repeat, as [a-z]{1,20} bounds [a-z]+",
                ],
            )
        return ending

    def check_room(self, new_tokens: int) -> None:
        """Check that a text may fit into so many tokens.

        Raises:
            InputError: it cannot, or not surely.
        """
        if len(self.ending) > new_tokens:
            raise InputError(
                f"{setting('max_new_tokens', new_tokens)} is too few for {self.constraint.said}",
                limit=f"which needs {len(self.ending)} tokens at the least",
                remedy=["allow more", "ask for less"],
            )


class Allowed(LogitsProcessor):
    """Leaves each row the tokens that its grammar has now."""

    def __init__(self, grammar: Grammar, rows: int) -> None:
        self.grammar = grammar
        self.matchers = [grammar.matcher() for _ in range(rows)]
        self._begun = False

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Logits [B, V], −∞ where a token is not allowed."""
        if self._begun:
            for matcher, number in zip(self.matchers, input_ids[:, -1].tolist(), strict=True):
                if not matcher.is_stopped():
                    matcher.consume_token(number)
        self._begun = True
        vocabulary = scores.shape[-1]
        rows = [self._row(matcher, vocabulary) for matcher in self.matchers]
        allowed_BV = torch.from_numpy(np.stack(rows)).to(scores.device)
        return scores.masked_fill(~allowed_BV, -torch.inf)

    def _row(self, matcher: LLMatcher, vocabulary: int) -> Mask:
        if not matcher.is_stopped():
            return allowed_tokens(matcher.compute_bitmask(), self.grammar.tokens.size)[:vocabulary]
        ended = np.zeros(vocabulary, dtype=bool)
        ended[sorted(self.grammar.tokens.eos_ids)] = True
        return ended


class InTime(LogitsProcessor):
    """Writes a known ending where another token would lead to where none is known that fits into what is left."""

    def __init__(self, allowed: Allowed, new_tokens: int) -> None:
        self._allowed = allowed
        self._left = new_tokens
        self._endings: list[Sequence[int]] = [allowed.grammar.ending for _ in allowed.matchers]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Logits [B, V], of which the largest is a token that leaves room enough."""
        self._left -= 1  # what is left after this token
        chosen = scores.argmax(dim=-1).tolist()
        for row, (matcher, number) in enumerate(zip(self._allowed.matchers, chosen, strict=True)):
            if matcher.is_stopped() or number in self._allowed.grammar.tokens.eos_ids:
                continue
            ending = self._ending_after(matcher, number, self._endings[row])
            if ending is None:
                instead, *ending = self._endings[row]
                scores = scores.clone()
                scores[row] = -torch.inf
                scores[row, instead] = 0.0
            self._endings[row] = ending
        return scores

    def _ending_after(self, matcher: LLMatcher, number: int, known: Sequence[int]) -> Sequence[int] | None:
        """One that still fits after another token: what remains of the known one if possible, which costs least."""
        for first in range(max(0, len(known) - self._left), len(known)):
            if matcher.validate_tokens([number, *known[first:]]) == 1 + len(known) - first:
                return known[first:]
        after = matcher.deep_copy()
        return short_ending(after, self._allowed.grammar.tokens, self._left) if after.consume_token(number) else None
