"""Search for a short ending: tokens that complete a text of a grammar.

The search is greedy: at each step it takes the token that most likely closes the current part, such as a closing quote
or bracket, or a short value. Where greedy steps only repeat (the zeros of `0.000…` above an exclusive 0, the letters of
`[a-z]+@`), it takes a token that leads to a new state of the grammar. A state is recognised by its mask of allowed
tokens, among those seen since the last part was closed.
"""

from functools import cached_property
from typing import Any

import llguidance.hf
import numpy as np
from llguidance import LLMatcher

from ...errors import InputError
from ...text.tokenization import TextTokenizer

__all__ = ["MAX_ENDING_TOKENS", "GrammarTokens", "Mask", "find_ending", "unpack_bitmask"]

MAX_ENDING_TOKENS = 2048  # the search gives up after this many tokens
_LAST_RANK = 10**9
_ALWAYS_TRIED = 16  # up to 16 alternatives are tried on every visit of a state; more only on visits 1, 2, 4, 8, …
_FEW_TOKENS = 8  # where at most so many are allowed, each is tried as the last choice of the text
_FREE_STRING_VISITS = 4  # visits of a free string before alternatives are tried; it may just be long
_RARE = 3_000_000  # class numbers from here on are first characters that few texts need
_SHORT_VALUES = {*"0123456789", "null", "true", "false"}

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Numbers = np.ndarray[Any, np.dtype[np.int64]]

# Suffixes: V vocabulary.


class GrammarTokens:
    """The vocabulary of a tokenizer, indexed for grammars. Make one per tokenizer; this takes a moment.

    Args:
        tokenizer: the model's tokenizer.
        eos_ids: ids that end an answer.
        vocabulary: V, the number of logits of the model.

    Raises:
        InputError: there is no token that ends an answer.
    """

    def __init__(self, tokenizer: TextTokenizer, eos_ids: frozenset[int], vocabulary: int) -> None:
        if not eos_ids:
            raise InputError(
                "the tokenizer has no token that ends an answer, so nothing can be constrained", remedy="set one"
            )
        self._inner = tokenizer.tokenizer
        size = max(vocabulary, len(self._inner))
        self.grammar_tokenizer = llguidance.hf.from_tokenizer(self._inner, n_vocab=size, eos_token=sorted(eos_ids))
        self.eos_ids = eos_ids

    @property
    def size(self) -> int:
        """Number of token ids of the grammar, at least V."""
        size: int = self.grammar_tokenizer.vocab_size
        return size

    def closing_token(self, allowed_V: Mask) -> int:
        """Return the allowed token that most likely closes the text; a heuristic on the allowed tokens alone."""
        ranks_V = self._ranks_in_strings if self._in_string(allowed_V) else self._ranks
        return int(np.where(allowed_V, ranks_V, _LAST_RANK).argmin())

    def in_free_string(self, allowed_V: Mask) -> bool:
        """Whether the text is inside a string of arbitrary characters; a heuristic on the allowed tokens."""
        return bool(allowed_V[self._sample_characters].all())

    def _in_string(self, allowed_V: Mask) -> bool:
        """Whether the text is inside a JSON string, with or without a pattern; a heuristic on the allowed tokens."""
        return bool(allowed_V[self._only_in_strings].any() or allowed_V[self._quote_and_comma].all())

    def closes_part(self, token_id: int, allowed_V: Mask) -> bool:
        """Whether an allowed token closes a part of the JSON text."""
        text = self._texts[token_id]
        return text[:1] == '"' if self._in_string(allowed_V) else bool(text) and not text.strip("}],")

    def alternatives(self, allowed_V: Mask, *, rare: bool) -> list[int]:
        """Return the shortest allowed token for each first character; for rare characters only with `rare`."""
        shortest_first = self._by_length[allowed_V[self._by_length]]
        classes, places = np.unique(self._first_characters[shortest_first], return_index=True)
        token_ids: list[int] = shortest_first[places if rare else places[classes < _RARE]].tolist()
        return token_ids

    @cached_property
    def _texts(self) -> list[str]:
        return [self.grammar_tokenizer.decode_str([token_id]) for token_id in range(self.size)]

    @cached_property
    def _by_length(self) -> Numbers:
        return np.argsort([len(text) for text in self._texts], kind="stable")

    @cached_property
    def _first_characters(self) -> Numbers:
        """A class number for each token's first character: punctuation, then digits, letters, and rare characters."""

        def character_class(text: str) -> int:
            first = text[:1]
            if not " " <= first <= "~" or first == "\\":
                return _RARE + ord(first or "\0")
            return ord(first) + (2000 if first.isalpha() else 1000 if first.isdigit() else 0)

        return np.array([character_class(text) for text in self._texts])

    @cached_property
    def _sample_characters(self) -> list[int]:
        return [token_id for token_id, text in enumerate(self._texts) if text in {"~", "q", " "}]

    @cached_property
    def _only_in_strings(self) -> list[int]:
        """Tokens that occur only inside JSON strings."""
        structural = {*'"{}[],:-+.0123456789eE', *"truefalsenull"}
        characters = {chr(code) for code in range(ord("!"), ord("~") + 1)} - structural
        return [token_id for token_id, text in enumerate(self._texts) if text in characters]

    @cached_property
    def _quote_and_comma(self) -> list[int]:
        """The quote and the comma; JSON allows both at once only inside a string that may contain a comma."""
        return [token_id for token_id, text in enumerate(self._texts) if text in {'"', ","}]

    @cached_property
    def _ranks_in_strings(self) -> Numbers:
        return (
            np.array([1 if text == '"' else 2 if text[:1] == '"' else 9 for text in self._texts]) * 1000
            + self._tie_breaks
        )

    @cached_property
    def _ranks(self) -> Numbers:
        def rank(text: str) -> int:
            if text and not text.strip("}]"):
                return 1
            if text == ",":  # closes a number
                return 2
            return 3 if text == '"' or text in _SHORT_VALUES else 9

        return np.array([rank(text) for text in self._texts]) * 1000 + self._tie_breaks

    @cached_property
    def _tie_breaks(self) -> Numbers:
        """Order among equal ranks: end tokens, then long alphanumeric tokens, which reach a minimum length soonest."""
        order = np.array([-len(text) if text.isalnum() else 100 + len(text) for text in self._texts])
        order[sorted(self.eos_ids)] = -100_000
        return order


def unpack_bitmask(bits: bytes, vocabulary: int) -> Mask:
    """Convert a matcher's bitmask of allowed tokens to booleans [V]."""
    return np.unpackbits(np.frombuffer(bits, dtype=np.uint8), bitorder="little")[:vocabulary].astype(bool)


def find_ending(matcher: LLMatcher, tokens: GrammarTokens, max_tokens: int = MAX_ENDING_TOKENS) -> list[int] | None:
    """Find a short ending of a text, including the end token.

    Args:
        matcher: the matcher of the text so far; it is not changed.
        tokens: the tokenizer's vocabulary.
        max_tokens: the most tokens of the ending.

    Returns:
        Ids of the ending, not necessarily the shortest one; `None` if the search finds none.
    """
    state = matcher.deep_copy()
    search = _EndingSearch(tokens)
    ending: list[int] = []
    while len(ending) < max_tokens:
        if state.is_stopped() or state.is_accepting():
            return None if state.is_error() else [*ending, min(tokens.eos_ids)]
        step = state.compute_ff_tokens() or search.next_tokens(state)
        ending += step
        if not step or not state.consume_tokens(step):
            return None
    return None


class _EndingSearch:
    """Chooses the next token of an ending.

    States of the grammar are compared by their bitmask of allowed tokens, which differs for most of them.
    """

    def __init__(self, tokens: GrammarTokens) -> None:
        self._tokens = tokens
        self._visits: dict[bytes, int] = {}  # visits of each state since the last part was closed
        self._steps: set[tuple[bytes, bytes]] = set()  # steps from one state to another that were taken already
        self._previous = b""

    def next_tokens(self, state: LLMatcher) -> list[int]:
        """Return the next token, in a list; an empty list if no token is allowed."""
        bits = state.compute_bitmask()
        allowed_V = unpack_bitmask(bits, self._tokens.size)
        if not allowed_V.any():
            return []
        last = self._last_choice(state, allowed_V)
        if last is not None:
            return [last]
        greedy = self._tokens.closing_token(allowed_V)
        closes = bits != self._previous and self._tokens.closes_part(greedy, allowed_V)
        self._previous = bits
        if closes:
            self._visits.clear()
            self._steps.clear()
            return [greedy]
        visits = self._visits[bits] = self._visits.get(bits, 0) + 1
        if self._tokens.in_free_string(allowed_V) and (visits < _FREE_STRING_VISITS or visits.bit_count() > 1):
            return [greedy]
        alternatives = self._tokens.alternatives(allowed_V, rare=visits >= _FREE_STRING_VISITS**2)
        if len(alternatives) > _ALWAYS_TRIED and visits.bit_count() > 1:
            return [greedy]
        token_id = self._token_to_new_state(state, bits, [greedy, *alternatives])
        return [greedy if token_id is None else token_id]

    def _last_choice(self, state: LLMatcher, allowed_V: Mask) -> int | None:
        """Return an allowed token after which only forced tokens are missing, where few are allowed."""
        allowed = np.flatnonzero(allowed_V).tolist()
        for token_id in allowed if len(allowed) <= _FEW_TOKENS else ():
            after = state.deep_copy()
            consumed = after.consume_token(token_id) and after.consume_tokens(after.compute_ff_tokens())
            if consumed and after.is_accepting():
                return int(token_id)
        return None

    def _token_to_new_state(self, state: LLMatcher, bits: bytes, candidates: list[int]) -> int | None:
        """Return the first candidate that completes the text or leads to a new state; else one with a new step."""
        found: tuple[int, bytes] | None = None
        for token_id in candidates:
            after = state.deep_copy()
            if not after.consume_token(token_id):
                continue
            if after.is_accepting():
                return token_id
            next_bits = after.compute_bitmask()
            if next_bits not in self._visits:
                found = token_id, next_bits
                break
            if found is None and next_bits != bits and (bits, next_bits) not in self._steps:
                found = token_id, next_bits
        if found is None:
            return None
        self._steps.add((bits, found[1]))
        return found[0]
