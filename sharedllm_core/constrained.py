"""Constrained decoding: after each token, only those remain that can go on to what the constraint asks for.

A constraint is also kept within the length: when as many tokens are left as the shortest ending needs, that ending is
written. So what comes out fits, whatever the model; only a constraint that does not fit into `max_new_tokens` at all
cannot be kept to, and is refused before the model runs.

Processors come in pairs: `Allowed` first, which leaves the tokens that the grammar has now; `InTime` last, when each
row's token is decided, and replaces one after which there would be too little room left.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import llguidance.hf
import numpy as np
import torch
from llguidance import LLMatcher
from torch import Tensor
from transformers import LogitsProcessor

from .constraint import Constraint
from .errors import InputError
from .tokenization import TextTokenizer

__all__ = ["Allowed", "Grammar", "GrammarTokens", "InTime"]

_LONGEST_ENDING = 1024  # tokens; a grammar that has no shorter one has none
_LAST = 10**9  # a rank behind all others
_SHORT_VALUES = {*"0123456789", "null", "true", "false"}

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Ranks = np.ndarray[Any, np.dtype[np.int64]]

# Suffixes: B rows, V vocabulary.


class GrammarTokens:
    """A tokenizer as grammars read it. Made once for each tokenizer, which takes a moment.

    Args:
        tokenizer: the model's.
        eos_ids: ids that end an answer.
        vocabulary: V, how many logits the model has.
    """

    def __init__(self, tokenizer: TextTokenizer, eos_ids: frozenset[int], vocabulary: int) -> None:
        if not eos_ids:
            raise InputError("the tokenizer has no token that ends an answer, so nothing can be constrained; set one")
        self._inner = tokenizer.tokenizer
        size = max(vocabulary, len(self._inner))
        self.grammar_tokenizer = llguidance.hf.from_tokenizer(self._inner, n_vocab=size, eos_token=sorted(eos_ids))
        self.eos_ids = eos_ids

    @property
    def size(self) -> int:
        """V, at the least."""
        size: int = self.grammar_tokenizer.vocab_size
        return size

    def soonest_end(self, allowed_V: Mask) -> int:
        """The allowed token that soonest ends a text, as far as can be told from the tokens alone."""
        in_string = bool(allowed_V[self._in_strings_alone].all())
        ranks_V = self._ranks_in_strings if in_string else self._ranks
        return int(np.where(allowed_V, ranks_V, _LAST).argmin())

    @cached_property
    def _texts(self) -> list[str]:
        return [self.grammar_tokenizer.decode_str([number]) for number in range(self.size)]

    @cached_property
    def _in_strings_alone(self) -> list[int]:
        """Tokens that JSON has nowhere but inside of strings."""
        return [number for number, text in enumerate(self._texts) if text in {"~", "q"}]

    @cached_property
    def _ranks_in_strings(self) -> Ranks:
        return np.array([1 if text == '"' else 2 if text[:1] == '"' else 9 for text in self._texts]) * 1000 + self._rest

    @cached_property
    def _ranks(self) -> Ranks:
        def rank(text: str) -> int:
            if text and not text.strip("}]"):
                return 1
            if text == ",":  # it ends a number
                return 2
            return 3 if text == '"' or text in _SHORT_VALUES else 9

        return np.array([rank(text) for text in self._texts]) * 1000 + self._rest

    @cached_property
    def _rest(self) -> Ranks:
        """Among equals: what ends the answer, then long plain text, since so much of it may be asked for."""
        rest = np.array([-len(text) if text.isalnum() else 100 + len(text) for text in self._texts])
        rest[sorted(self.eos_ids)] = -100_000
        return rest


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
            raise InputError(f"cannot write by {constraint.said}: {self._start.get_error()}; say it in another way")

    def matcher(self) -> LLMatcher:
        """A new text's."""
        return self._start.deep_copy()

    @cached_property
    def size(self) -> int:
        """Tokens of the grammar itself, more than its parts need."""
        return len(self.tokens.grammar_tokenizer.tokenize_str(self.constraint.grammar))

    def check_room(self, new_tokens: int) -> None:
        """Check that a text may fit into so many tokens.

        Raises:
            InputError: it cannot, or not surely.
        """
        least = shortest_ending(self.matcher(), self.tokens)
        if least is None or len(least) > new_tokens:
            needs = "no end that is sure to come" if least is None else f"{len(least)} tokens at the least"
            raise InputError(
                f"max_new_tokens={new_tokens} is too few for {self.constraint.said}, which needs {needs}; "
                "allow more, or ask for less"
            )


def shortest_ending(matcher: LLMatcher, tokens: GrammarTokens) -> list[int] | None:
    """About the fewest tokens that complete a text, the one that ends the answer included; `None` if none are found."""
    trial = matcher.deep_copy()
    written: list[int] = []
    while len(written) < _LONGEST_ENDING:
        if trial.is_stopped() or trial.is_accepting():
            return [*written, min(tokens.eos_ids)]
        forced = trial.compute_ff_tokens()
        if not forced:
            allowed_V = _allowed(trial, tokens.size)
            if not allowed_V.any():
                return None
            forced = [tokens.soonest_end(allowed_V)]
        written += forced
        if not trial.consume_tokens(forced):
            return None
    return None


def _allowed(matcher: LLMatcher, vocabulary: int) -> Mask:
    bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")
    return bits[:vocabulary].astype(bool)


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
            return _allowed(matcher, self.grammar.tokens.size)[:vocabulary]
        ended = np.zeros(vocabulary, dtype=bool)
        ended[sorted(self.grammar.tokens.eos_ids)] = True
        return ended


class InTime(LogitsProcessor):
    """Writes the shortest ending as soon as another token would leave too little room for one."""

    def __init__(self, allowed: Allowed, new_tokens: int) -> None:
        self._allowed = allowed
        self._left = new_tokens
        self._needed: Sequence[int] = [0] * len(allowed.matchers)  # tokens that each needs to end, as last measured

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Logits [B, V], of which the largest is a token that leaves room enough."""
        self._left -= 1  # what is left after this token
        grammar = self._allowed.grammar
        chosen = scores.argmax(dim=-1).tolist()
        needs = list(self._needed)
        for row, (matcher, number) in enumerate(zip(self._allowed.matchers, chosen, strict=True)):
            # No part of a text needs more tokens at once than the grammar has.
            if self._left > 2 * (needs[row] + grammar.size) or matcher.is_stopped() or number in grammar.tokens.eos_ids:
                continue
            after = matcher.deep_copy()
            after.consume_token(number)
            ending = shortest_ending(after, grammar.tokens)
            if ending is not None and len(ending) <= self._left:
                needs[row] = len(ending)
                continue
            instead = shortest_ending(matcher, grammar.tokens)
            if instead is not None:
                scores = scores.clone()
                scores[row] = -torch.inf
                scores[row, instead[0]] = 0.0
                needs[row] = len(instead) - 1
        self._needed = needs
        return scores
