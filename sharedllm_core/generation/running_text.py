"""Running text in pieces that are tokenized one by one, so that no token forms across their borders."""

import json
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self
from weakref import WeakKeyDictionary

import torch
from tokenizers import Tokenizer
from torch import Tensor

from ..text.tokenization import TextTokenizer

__all__ = ["RunningText", "tokenize"]


@dataclass(frozen=True)
class RunningText:
    """Rendered text.

    Attributes:
        pieces: parts of the text, in order. Control tokens are parsed within a piece only.
    """

    pieces: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)

    def split_at(self, place: int) -> tuple[Self, Self]:
        """Split into the first `place` characters and the others."""
        before: list[str] = []
        after: list[str] = []
        for piece in self.pieces:
            before.append(piece[:place])
            after.append(piece[place:])
            place = max(place - len(piece), 0)
        return type(self)(tuple(before)), type(self)(tuple(after))


def tokenize(text: RunningText, tokenizer: TextTokenizer) -> Tensor:
    """Tokenize running text; ids [n]. Control tokens within a piece become single ids."""
    pieces = [piece for piece in text.pieces if piece]
    if not pieces:
        return torch.zeros(0, dtype=torch.long)
    ids: list[list[int]] = tokenizer.tokenizer(pieces, add_special_tokens=False)["input_ids"]
    if len(pieces) > 1:
        ids[1:] = _Continuation.for_tokenizer(tokenizer).correct(pieces[1:], ids[1:])
    return torch.tensor(list(chain.from_iterable(ids)), dtype=torch.long)


class _Continuation:
    """Tokenization of pieces that continue a text: without the space that some tokenizers put before a text."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        backend = tokenizer.tokenizer.backend_tokenizer
        described = json.loads(backend.to_str())
        without_prefix = described | {
            part: _without_prefix_space(described.get(part)) for part in ("normalizer", "pre_tokenizer")
        }
        self._backend = None if without_prefix == described else Tokenizer.from_str(json.dumps(without_prefix))
        self._added_ids = set(backend.get_added_tokens_decoder())

    @classmethod
    def for_tokenizer(cls, tokenizer: TextTokenizer) -> "_Continuation":
        if tokenizer not in _CONTINUATIONS:
            _CONTINUATIONS[tokenizer] = cls(tokenizer)
        return _CONTINUATIONS[tokenizer]

    def correct(self, pieces: list[str], ids: list[list[int]]) -> list[list[int]]:
        """Return the ids of pieces that continue a text; `ids` are those of each piece as a text of its own.

        Behind a control token of the template, tokenizers put a space or not, as in a whole text.
        """
        if self._backend is None:
            return ids
        encodings = self._backend.encode_batch(pieces, add_special_tokens=False)
        return [
            encoding.ids[: self._first_added(encoding.ids)] + own[self._first_added(own) :]
            for encoding, own in zip(encodings, ids, strict=True)
        ]

    def _first_added(self, ids: list[int]) -> int:
        return next((place for place, token_id in enumerate(ids) if token_id in self._added_ids), len(ids))


_CONTINUATIONS: WeakKeyDictionary[TextTokenizer, _Continuation] = WeakKeyDictionary()


def _without_prefix_space(part: Any) -> Any:
    """Remove the prefix space from the description of a normalizer or pre-tokenizer."""
    if part is None or part["type"] == "Prepend":
        return None
    if part["type"] == "Metaspace":
        return part | {"prepend_scheme": "never"}
    if part["type"] == "ByteLevel":
        return part | {"add_prefix_space": False}
    for inner in ("normalizers", "pretokenizers"):
        if inner in part:
            parts = [_without_prefix_space(each) for each in part[inner]]
            return part | {inner: [each for each in parts if each is not None]}
    return part
