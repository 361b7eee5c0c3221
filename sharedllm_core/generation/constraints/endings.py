"""How a text that keeps to a grammar can end soon: a walk to its end, which no repetition holds up.

The walk takes the token that most likely ends what is being written: a closing quote or bracket, a short value. Where
that only repeats (the zeros of `0.000…` above an exclusive 0, the letters of `[a-z]+@`), another token is looked for,
one after which other tokens are allowed than have been since the last part was closed.
"""

from functools import cached_property
from typing import Any

import llguidance.hf
import numpy as np
from llguidance import LLMatcher

from ...errors import InputError
from ...text.tokenization import TextTokenizer

__all__ = ["LONGEST_ENDING", "GrammarTokens", "Mask", "allowed_tokens", "short_ending"]

LONGEST_ENDING = 2048  # tokens; what has no shorter one has none
_LAST = 10**9  # a rank behind all others
_FEW = 16  # tokens that can be looked at always; more of them only at the first, second, fourth, … of the same places
_PATIENCE = 4  # places of a string of any characters before looking for another way to go on; it may just be long
_RARE = 3_000_000  # what first characters are numbered by that few texts need
_SHORT_VALUES = {*"0123456789", "null", "true", "false"}

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Numbers = np.ndarray[Any, np.dtype[np.int64]]

# Suffixes: V vocabulary.


class GrammarTokens:
    """A tokenizer as grammars read it. Made once for each tokenizer, which takes a moment.

    Args:
        tokenizer: the model's.
        eos_ids: ids that end an answer.
        vocabulary: V, how many logits the model has.
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
        """V, at the least."""
        size: int = self.grammar_tokenizer.vocab_size
        return size

    def soonest_end(self, allowed_V: Mask) -> int:
        """The allowed token that soonest ends a text, as far as can be told from the tokens alone."""
        ranks_V = self._ranks_in_strings if self._in_string(allowed_V) else self._ranks
        return int(np.where(allowed_V, ranks_V, _LAST).argmin())

    def anything_goes(self, allowed_V: Mask) -> bool:
        """Whether a string of any characters is being written, as far as can be told."""
        return bool(allowed_V[self._any_characters].all())

    def _in_string(self, allowed_V: Mask) -> bool:
        """Whether a string of JSON is being written, by a pattern or not, as far as can be told."""
        return bool(allowed_V[self._in_strings_alone].any() or allowed_V[self._quote_and_comma].all())

    def closes(self, number: int, allowed_V: Mask) -> bool:
        """Whether an allowed token ends a part of JSON."""
        text = self._texts[number]
        return text[:1] == '"' if self._in_string(allowed_V) else bool(text) and not text.strip("}],")

    def others(self, allowed_V: Mask, *, rare: bool) -> list[int]:
        """Allowed tokens that differ: the shortest of each first character, be it a rare one only if asked for."""
        shortest_first = self._by_length[allowed_V[self._by_length]]
        begins, places = np.unique(self._begins[shortest_first], return_index=True)
        numbers: list[int] = shortest_first[places if rare else places[begins < _RARE]].tolist()
        return numbers

    @cached_property
    def _texts(self) -> list[str]:
        return [self.grammar_tokenizer.decode_str([number]) for number in range(self.size)]

    @cached_property
    def _by_length(self) -> Numbers:
        return np.argsort([len(text) for text in self._texts], kind="stable")

    @cached_property
    def _begins(self) -> Numbers:
        """A number for each token's first character: marks, then digits, letters, and whatever else there is."""

        def begin(text: str) -> int:
            first = text[:1]
            if not " " <= first <= "~" or first == "\\":
                return _RARE + ord(first or "\0")
            return ord(first) + (2000 if first.isalpha() else 1000 if first.isdigit() else 0)

        return np.array([begin(text) for text in self._texts])

    @cached_property
    def _any_characters(self) -> list[int]:
        return [number for number, text in enumerate(self._texts) if text in {"~", "q", " "}]

    @cached_property
    def _in_strings_alone(self) -> list[int]:
        """Tokens that JSON has nowhere but inside of strings."""
        known = {*'"{}[],:-+.0123456789eE', *"truefalsenull"}
        strange = {chr(code) for code in range(ord("!"), ord("~") + 1)} - known
        return [number for number, text in enumerate(self._texts) if text in strange]

    @cached_property
    def _quote_and_comma(self) -> list[int]:
        """Tokens of which JSON allows both only where a string may go on with a comma."""
        return [number for number, text in enumerate(self._texts) if text in {'"', ","}]

    @cached_property
    def _ranks_in_strings(self) -> Numbers:
        return np.array([1 if text == '"' else 2 if text[:1] == '"' else 9 for text in self._texts]) * 1000 + self._rest

    @cached_property
    def _ranks(self) -> Numbers:
        def rank(text: str) -> int:
            if text and not text.strip("}]"):
                return 1
            if text == ",":  # it ends a number
                return 2
            return 3 if text == '"' or text in _SHORT_VALUES else 9

        return np.array([rank(text) for text in self._texts]) * 1000 + self._rest

    @cached_property
    def _rest(self) -> Numbers:
        """Among equals: what ends the answer, then long plain text, since so much of it may be asked for."""
        rest = np.array([-len(text) if text.isalnum() else 100 + len(text) for text in self._texts])
        rest[sorted(self.eos_ids)] = -100_000
        return rest


def allowed_tokens(bits: bytes, vocabulary: int) -> Mask:
    """A matcher's bitmask as booleans [V]."""
    return np.unpackbits(np.frombuffer(bits, dtype=np.uint8), bitorder="little")[:vocabulary].astype(bool)


def short_ending(matcher: LLMatcher, tokens: GrammarTokens, most: int = LONGEST_ENDING) -> list[int] | None:
    """A few tokens that complete a text, the one that ends the answer included.

    Args:
        matcher: the text so far; it stays as it is.
        tokens: to write with.
        most: how many tokens may be written.

    Returns:
        Ids, not surely the fewest; `None` if none are found.
    """
    at = matcher.deep_copy()
    way = _Way(tokens)
    written: list[int] = []
    while len(written) < most:
        if at.is_stopped() or at.is_accepting():
            return None if at.is_error() else [*written, min(tokens.eos_ids)]
        step = at.compute_ff_tokens() or way.onward(at)
        written += step
        if not step or not at.consume_tokens(step):
            return None
    return None


class _Way:
    """Chooses how to go on to an end, by what was allowed so far, which tells most places of a text apart."""

    def __init__(self, tokens: GrammarTokens) -> None:
        self._tokens = tokens
        self._visits: dict[bytes, int] = {}  # how often each was what is allowed, since a part was closed
        self._steps: set[tuple[bytes, bytes]] = set()  # taken from one to another to go on
        self._before = b""

    def onward(self, at: LLMatcher) -> list[int]:
        """The next token; none if none is allowed."""
        bits = at.compute_bitmask()
        allowed_V = allowed_tokens(bits, self._tokens.size)
        if not allowed_V.any():
            return []
        likeliest = self._tokens.soonest_end(allowed_V)
        closes = bits != self._before and self._tokens.closes(likeliest, allowed_V)
        self._before = bits
        if closes:
            self._visits.clear()
            self._steps.clear()
            return [likeliest]
        visits = self._visits[bits] = self._visits.get(bits, 0) + 1
        if self._tokens.anything_goes(allowed_V) and (visits < _PATIENCE or visits.bit_count() > 1):
            return [likeliest]
        others = self._tokens.others(allowed_V, rare=visits >= _PATIENCE**2)
        if len(others) > _FEW and visits.bit_count() > 1:
            return [likeliest]
        other = self._other(at, bits, [likeliest, *others])
        return [likeliest if other is None else other]

    def _other(self, at: LLMatcher, bits: bytes, numbers: list[int]) -> int | None:
        """The first of some tokens that ends the text or leads to something new; else to where it did not lead yet."""
        found: tuple[int, bytes] | None = None
        for number in numbers:
            after = at.deep_copy()
            if not after.consume_token(number):
                continue
            if after.is_accepting():
                return number
            next_bits = after.compute_bitmask()
            if next_bits not in self._visits:
                found = number, next_bits
                break
            if found is None and next_bits != bits and (bits, next_bits) not in self._steps:
                found = number, next_bits
        if found is None:
            return None
        self._steps.add((bits, found[1]))
        return found[0]
