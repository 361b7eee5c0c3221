"""Text to token ids with character offsets, and back; fast counting.

Ids always come from the model's own tokenizer. Where that is a byte-level BPE, counting can go through tiktoken, which
is faster; it is used for planning alone and is checked against the tokenizer when it is set up.
"""

import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer
from torch import Tensor

from ..errors import TokenizerError

__all__ = ["GrowingText", "TextTokenizer", "TokenizedText", "sentence_borders"]

# GPT-2's way of cutting text into words, which transformers' ByteLevel uses where a tokenizer brings no pattern.
_GPT2_WORDS = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
_ENDS = re.compile(r"\s*[.!?…]+[\"'”’)\]]*\s*|\s*\n\s*")
_BEGINS = re.compile(r"[\s\"'“‘(\[#*§•|<-]|[^\W\d_a-z]")
# Markers of a notation: <tool_call>, <|call|>, [INST], ｜DSML｜. Other added tokens are words or white space.
_NOTATION = re.compile(r"<.*\S.*>|\[.*\S.*\]|｜.*\S.*｜", re.DOTALL)
_INCOMPLETE = "\N{REPLACEMENT CHARACTER}"  # what a part of a character decodes to
_DECODED_AGAIN = 64  # ids, at most, with each new one
_SAMPLES = (
    "The notice period is 90 days, isn't it?",
    "def f(x):\n    return x ** 2  # ½\n\n\n",
    "Größe 漢字 🙂 naïve\tTAB   spaces",
)


@dataclass(frozen=True)
class TokenizedText:
    """Token ids [n], and for each the characters [n, 2] of the text that it stands for, as start and end."""

    ids: Tensor
    offsets: Tensor

    def chunks(self, chunk_tokens: int, borders: Sequence[int] = ()) -> Iterator["TokenizedText"]:
        """Parts of at most `chunk_tokens` tokens, in order; none for an empty text.

        Args:
            chunk_tokens: the most tokens of a part.
            borders: places where it is good to cut, ascending. A part ends at the last one of its last quarter.
        """
        first = 0
        while first < len(self.ids):
            end = min(first + chunk_tokens, len(self.ids))
            if end < len(self.ids) and (at := bisect_right(borders, end)):
                border = borders[at - 1]
                end = border if end - border <= chunk_tokens // 4 and border > first else end
            yield TokenizedText(self.ids[first:end], self.offsets[first:end])
            first = end

    def characters(self, first: int, last: int) -> tuple[int, int]:
        """The characters, start and end, that tokens `first` to `last` (exclusive, more than none) stand for."""
        return int(self.offsets[first, 0]), int(self.offsets[last - 1, 1])


class TextTokenizer:
    """A tokenizer of transformers as documents need it: all of the text, as text, with offsets.

    Args:
        tokenizer: a fast tokenizer; only these know offsets.

    Attributes:
        control_tokens: added tokens that are special, or markers of a notation such as `<tool_call>`.

    Raises:
        TokenizerError: it is a slow one.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise TokenizerError(
                f"{type(tokenizer).__name__} gives no character offsets",
                remedy="load a fast tokenizer (one with tokenizer.json)",
            )
        self.tokenizer = tokenizer
        # A copy of its own: what a document says is text, even where it looks like a control token, and all of it.
        self._backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self.control_tokens = _control_tokens(self._backend)
        self._backend.add_special_tokens([_as_special(token) for token in self.control_tokens if not token.special])
        self._backend.encode_special_tokens = True
        self._backend.no_truncation()
        self._backend.no_padding()

    def encode(self, text: str) -> TokenizedText:
        """Ids and offsets of one text."""
        return self.encode_all([text])[0]

    def encode_all(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Ids and offsets of several texts, side by side on the processor's cores."""
        encodings = self._backend.encode_batch(list(texts), add_special_tokens=False)
        return [
            TokenizedText(
                _whole_numbers(encoding.ids), _whole_numbers(chain.from_iterable(encoding.offsets)).view(-1, 2)
            )
            for encoding in encodings
        ]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything that decides about ids."""
        return hashlib.sha256(self._backend.to_str().encode()).hexdigest()[:24]

    def decode(self, ids: Tensor | Sequence[int], *, special: bool = False) -> str:
        """The text of ids, by default without special tokens."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=not special)
        return text

    def count(self, text: str) -> int:
        """How many tokens a text has; for planning, by tiktoken where that is the same."""
        if self._counter is not None:
            return len(self._counter.encode_ordinary(text))
        return len(self._backend.encode_batch_fast([text], add_special_tokens=False)[0].ids)

    def count_all(self, texts: Sequence[str]) -> int:
        """How many tokens several texts have together, each counted on its own."""
        return sum(map(self.count, texts))

    @property
    def counts_fast(self) -> bool:
        """Whether `count` goes through tiktoken."""
        return self._counter is not None

    @cached_property
    def _counter(self) -> Any | None:
        counter = _tiktoken_of(self._backend)
        if counter is None:
            return None
        for sample in _SAMPLES:  # a normalizer or a pattern that this does not know shows here
            expected = self._backend.encode(sample, add_special_tokens=False).ids
            if counter.encode_ordinary(sample) != expected:
                return None
        return counter


def sentence_borders(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """`split_after` and `split_before` of `SharedLLMConfig` for a tokenizer of transformers.

    Sentences end with punctuation or the end of a line, and begin with white space, a capital or a sign: not with a
    digit or a small letter right behind a full stop, so that numbers and names like 3.14 and example.com stay whole.
    """
    decode = tokenizer.backend_tokenizer.decode
    # Behind another token, so that a decoder that takes white space off a text's start leaves it here.
    line = tokenizer.backend_tokenizer.encode("\n", add_special_tokens=False).ids[-1:]
    known = len(decode(line))
    texts = {number: decode([*line, number])[known:] for number in tokenizer.get_vocab().values()}
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    plain = {number: text for number, text in texts.items() if number not in special and text}
    ends = tuple(sorted(number for number, text in plain.items() if _ENDS.fullmatch(text)))
    return ends, tuple(sorted(number for number, text in plain.items() if _BEGINS.match(text)))


class GrowingText:
    """The text of ids that come one by one; a character of several tokens comes when it is whole.

    Only the newest ids are decoded again, so that long texts do not take ever longer.

    Args:
        tokenizer: of the ids.
        special: whether special tokens are part of the text.
    """

    def __init__(self, tokenizer: TextTokenizer, *, special: bool = False) -> None:
        self._tokenizer = tokenizer
        self._special = special
        self._ids: list[int] = []  # the newest
        self._given = ""  # of their text

    def add(self, number: int) -> str:
        """Take an id; what it adds to the text, which may be nothing."""
        self._ids.append(number)
        text = self._tokenizer.decode(self._ids, special=self._special)
        whole = text.rstrip(_INCOMPLETE)
        # Some decoders change their mind about bytes that are no text: what was given stays, and the rest goes on.
        if len(whole) < len(self._given):
            return ""
        piece = whole[len(self._given) :]
        self._given = whole
        if len(self._ids) > _DECODED_AGAIN and whole == text:
            newest = self._ids[-_DECODED_AGAIN // 4 :]
            known = self._tokenizer.decode(newest, special=self._special)
            if known and not known.startswith(_INCOMPLETE):
                self._ids, self._given = newest, known
        return piece


def _control_tokens(backend: Tokenizer) -> tuple[AddedToken, ...]:
    added: dict[int, AddedToken] = backend.get_added_tokens_decoder()
    return tuple(token for token in added.values() if token.special or _NOTATION.fullmatch(token.content))


def _as_special(token: AddedToken) -> AddedToken:
    flags = {name: getattr(token, name) for name in ("single_word", "lstrip", "rstrip", "normalized")}
    return AddedToken(token.content, special=True, **flags)


def _whole_numbers(numbers: Iterable[int]) -> Tensor:
    # Not by torch, which takes five times as long, while no other thread, such as one with an event loop, can go on.
    return torch.from_numpy(np.fromiter(numbers, dtype=np.int64))


def _tiktoken_of(tokenizer: Tokenizer) -> Any | None:
    """tiktoken's form of a byte-level BPE whose ids are its merges' ranks, or `None` for any other tokenizer."""
    try:
        import tiktoken
    except ImportError:
        return None
    described = json.loads(tokenizer.to_str())
    pattern = _word_pattern(described.get("pre_tokenizer"))
    if described["model"]["type"] != "BPE" or described.get("normalizer") or pattern is None:
        return None
    characters = _byte_characters()
    added = {token["content"] for token in described["added_tokens"]}
    vocabulary = {token: number for token, number in described["model"]["vocab"].items() if token not in added}
    if any(character not in characters for token in vocabulary for character in token):
        return None
    ranks = {bytes(characters[c] for c in token): number for token, number in vocabulary.items()}
    if any(bytes([byte]) not in ranks for byte in range(256)):
        return None
    return tiktoken.Encoding("counting", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def _word_pattern(pre_tokenizer: dict[str, Any] | None) -> str | None:
    """The pattern by which a byte-level tokenizer cuts words, or `None` when it is not one that tiktoken can follow."""
    parts = (pre_tokenizer or {}).get("pretokenizers", [pre_tokenizer])
    kinds = [(part or {}).get("type") for part in parts]
    if kinds == ["ByteLevel"] and parts[0]["use_regex"] and not parts[0]["add_prefix_space"]:
        return _GPT2_WORDS
    if kinds == ["Split", "ByteLevel"] and not parts[1]["use_regex"] and not parts[1]["add_prefix_space"]:
        split = parts[0]
        pattern: str | None = split["pattern"].get("Regex")
        return pattern if split["behavior"] == "Isolated" and not split["invert"] else None
    return None


def _byte_characters() -> dict[str, int]:
    """The printable characters by which byte-level tokenizers write bytes."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + i): byte for i, byte in enumerate(hidden)}
