"""Tokenization with character offsets, incremental decoding, and fast token counting.

Ids always come from the model's own tokenizer. Tokens of a byte-level BPE can be counted by tiktoken, which is faster;
it is used only for planning, and verified against the tokenizer when it is set up.
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

# GPT-2's pattern for splitting text into words, the default of the ByteLevel pre-tokenizer.
_GPT2_WORDS = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
_SENTENCE_END = re.compile(r"\s*[.!?…]+[\"'”’)\]]*\s*|\s*\n\s*")
_SENTENCE_BEGIN = re.compile(r"[\s\"'“‘(\[#*§•|<-]|[^\W\d_a-z]")
# Markers of a notation: <tool_call>, <|call|>, [INST], ｜DSML｜. Other added tokens are words or white space.
_NOTATION = re.compile(r"<.*\S.*>|\[.*\S.*\]|｜.*\S.*｜", re.DOTALL)
_INCOMPLETE = "\N{REPLACEMENT CHARACTER}"  # an incomplete character decodes to this
_MAX_REDECODED_IDS = 64  # ids that are decoded again with each new one
_SAMPLES = (
    "The notice period is 90 days, isn't it?",
    "def f(x):\n    return x ** 2  # ½\n\n\n",
    "Größe 漢字 🙂 naïve\tTAB   spaces",
)


@dataclass(frozen=True)
class TokenizedText:
    """A tokenized text.

    Attributes:
        ids: token ids [n].
        offsets: character offsets [n, 2] of each token in the text, as start and exclusive end.
    """

    ids: Tensor
    offsets: Tensor

    def chunks(self, chunk_tokens: int, borders: Sequence[int] = ()) -> Iterator["TokenizedText"]:
        """Cut the text into chunks, in order; an empty text has none.

        Args:
            chunk_tokens: the most tokens of a chunk.
            borders: preferred cuts, as token positions, ascending. A chunk ends at the last border in its last quarter,
                if there is one.
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
        """Return the character offsets, start and exclusive end, of tokens `first` to `last` (exclusive, > `first`)."""
        return int(self.offsets[first, 0]), int(self.offsets[last - 1, 1])


class TextTokenizer:
    """A transformers tokenizer for documents: no truncation, no special tokens, with character offsets.

    Args:
        tokenizer: a fast tokenizer; slow ones give no offsets.

    Attributes:
        control_tokens: added tokens that are special, or markers of a notation such as `<tool_call>`.

    Raises:
        TokenizerError: the tokenizer is a slow one.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise TokenizerError(
                f"{type(tokenizer).__name__} gives no character offsets",
                remedy="load a fast tokenizer (one with tokenizer.json)",
            )
        self.tokenizer = tokenizer
        # A separate copy, without truncation, that encodes control tokens in a document as plain text.
        self._backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self.control_tokens = _control_tokens(self._backend)
        self._backend.add_special_tokens([_as_special(token) for token in self.control_tokens if not token.special])
        self._backend.encode_special_tokens = True
        self._backend.no_truncation()
        self._backend.no_padding()

    def encode(self, text: str) -> TokenizedText:
        """Tokenize one text."""
        return self.encode_all([text])[0]

    def encode_all(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Tokenize several texts, in parallel on all cores."""
        encodings = self._backend.encode_batch(list(texts), add_special_tokens=False)
        return [
            TokenizedText(_int64_tensor(encoding.ids), _int64_tensor(chain.from_iterable(encoding.offsets)).view(-1, 2))
            for encoding in encodings
        ]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything that determines the ids."""
        return hashlib.sha256(self._backend.to_str().encode()).hexdigest()[:24]

    def decode(self, ids: Tensor | Sequence[int], *, special: bool = False) -> str:
        """Decode ids to text, by default without special tokens."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=not special)
        return text

    def count(self, text: str) -> int:
        """Count the tokens of a text, for planning; by tiktoken if it gives the same ids."""
        if self._counter is not None:
            return len(self._counter.encode_ordinary(text))
        return len(self._backend.encode_batch_fast([text], add_special_tokens=False)[0].ids)

    def count_all(self, texts: Sequence[str]) -> int:
        """How many tokens several texts have together, each counted on its own."""
        return sum(map(self.count, texts))

    @property
    def counts_fast(self) -> bool:
        """Whether `count` uses tiktoken."""
        return self._counter is not None

    @cached_property
    def _counter(self) -> Any | None:
        counter = _tiktoken_encoding(self._backend)
        if counter is None:
            return None
        for sample in _SAMPLES:  # detects unsupported normalizers and patterns
            expected = self._backend.encode(sample, add_special_tokens=False).ids
            if counter.encode_ordinary(sample) != expected:
                return None
        return counter


def sentence_borders(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return `split_after` and `split_before` of `SharedLLMConfig` for a transformers tokenizer.

    Sentences end with punctuation or a line end. They begin with white space, a capital or punctuation, not with a
    digit or a lower-case letter right after a full stop, so that 3.14 and example.com are not split.
    """
    decode = tokenizer.backend_tokenizer.decode
    # Decoded after another token, because some decoders strip white space at the start of a text.
    prefix = tokenizer.backend_tokenizer.encode("\n", add_special_tokens=False).ids[-1:]
    prefix_length = len(decode(prefix))
    texts = {number: decode([*prefix, number])[prefix_length:] for number in tokenizer.get_vocab().values()}
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    plain = {number: text for number, text in texts.items() if number not in special and text}
    ends = tuple(sorted(number for number, text in plain.items() if _SENTENCE_END.fullmatch(text)))
    return ends, tuple(sorted(number for number, text in plain.items() if _SENTENCE_BEGIN.match(text)))


class GrowingText:
    """Incremental decoding of ids, one at a time; a character of several tokens is returned when it is complete.

    Only the newest ids are decoded again, so that the cost per token does not grow with the text.

    Args:
        tokenizer: the tokenizer of the ids.
        special: whether special tokens are part of the text.
    """

    def __init__(self, tokenizer: TextTokenizer, *, special: bool = False) -> None:
        self._tokenizer = tokenizer
        self._special = special
        self._ids: list[int] = []  # the newest ids
        self._returned = ""  # the part of their text that `add` has returned

    def add(self, token_id: int) -> str:
        """Add an id and return the text that became complete, which may be empty."""
        self._ids.append(token_id)
        text = self._tokenizer.decode(self._ids, special=self._special)
        whole = text.rstrip(_INCOMPLETE)
        # Some decoders decode invalid bytes differently as more follow: text that was returned is not changed.
        if len(whole) < len(self._returned):
            return ""
        piece = whole[len(self._returned) :]
        self._returned = whole
        if len(self._ids) > _MAX_REDECODED_IDS and whole == text:
            newest = self._ids[-_MAX_REDECODED_IDS // 4 :]
            newest_text = self._tokenizer.decode(newest, special=self._special)
            if newest_text and not newest_text.startswith(_INCOMPLETE):
                self._ids, self._returned = newest, newest_text
        return piece


def _control_tokens(backend: Tokenizer) -> tuple[AddedToken, ...]:
    added: dict[int, AddedToken] = backend.get_added_tokens_decoder()
    return tuple(token for token in added.values() if token.special or _NOTATION.fullmatch(token.content))


def _as_special(token: AddedToken) -> AddedToken:
    flags = {name: getattr(token, name) for name in ("single_word", "lstrip", "rstrip", "normalized")}
    return AddedToken(token.content, special=True, **flags)


def _int64_tensor(numbers: Iterable[int]) -> Tensor:
    # torch.tensor takes five times as long and holds the GIL meanwhile, which blocks an event loop in another thread.
    return torch.from_numpy(np.fromiter(numbers, dtype=np.int64))


def _tiktoken_encoding(tokenizer: Tokenizer) -> Any | None:
    """Convert a byte-level BPE whose ids are the ranks of its merges to tiktoken; `None` for any other tokenizer."""
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
    """Return the pattern by which a byte-level tokenizer splits words; `None` if tiktoken cannot express it."""
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
    """Return the printable character that stands for each byte in byte-level vocabularies, mapped to the byte."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(hidden)}
