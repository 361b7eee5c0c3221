"""Texts that come again with every question, in any order and under any name: each is tokenised once."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock
from typing import Any

from sharedllm_core import Document, Library, SharedLLMEngine
from sharedllm_core.text.library import LibraryChunk, make_library

__all__ = ["KnownTexts"]

_CHARACTERS = 8_000_000  # about 50 MB of ids and offsets


class KnownTexts:
    """The chunks of the texts that came last.

    Args:
        max_characters: the most characters of all texts together.
    """

    def __init__(self, max_characters: int = _CHARACTERS) -> None:
        self._max_characters = max_characters
        self._characters = 0
        self._chunks: OrderedDict[Any, tuple[LibraryChunk, ...]] = OrderedDict()
        self._lock = Lock()

    def library(self, engine: SharedLLMEngine, documents: Sequence[Document]) -> Library:
        """As `engine.library`."""
        kind = (engine.tokenizer.fingerprint, engine.model.method)
        keys = [(document.text, kind) for document in documents]
        known = self._known(keys)
        new = {key: document for key, document in zip(keys, documents, strict=True) if key not in known}
        made = make_library(list(new.values()), engine.tokenizer, engine.model.method)
        of_new: list[list[LibraryChunk]] = [[] for _ in new]
        for chunk in made.chunks:
            of_new[chunk.document].append(chunk)
        known |= {key: tuple(chunks) for key, chunks in zip(new, of_new, strict=True)}
        self._keep({key: known[key] for key in keys})
        chunks = tuple(replace(chunk, document=number) for number, key in enumerate(keys) for chunk in known[key])
        if not chunks:
            return engine.library(list(documents))  # which says what is wrong
        return replace(made, documents=tuple(documents), chunks=chunks)

    def _known(self, keys: Sequence[Any]) -> dict[Any, tuple[LibraryChunk, ...]]:
        with self._lock:
            return {key: self._chunks[key] for key in keys if key in self._chunks}

    def _keep(self, used: dict[Any, tuple[LibraryChunk, ...]]) -> None:
        with self._lock:
            for key, chunks in used.items():
                if key not in self._chunks:
                    self._characters += len(key[0])
                self._chunks[key] = chunks
                self._chunks.move_to_end(key)
            while self._characters > self._max_characters:
                (text, _), _ = self._chunks.popitem(last=False)
                self._characters -= len(text)
