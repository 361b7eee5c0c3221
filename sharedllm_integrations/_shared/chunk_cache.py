"""Chunks of texts that come again with every question, in any order and under any id: each is tokenized once."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock
from typing import Any

from sharedllm_core import Document, Library, SharedLLMEngine
from sharedllm_core.text.library import LibraryChunk, make_library

__all__ = ["ChunkCache"]

_MAX_CHARACTERS = 8_000_000  # about 50 MB of ids and offsets


class ChunkCache:
    """The chunks of the most recently used texts.

    Args:
        max_characters: the most characters of all cached texts together; the least recently used are evicted.
    """

    def __init__(self, max_characters: int = _MAX_CHARACTERS) -> None:
        self._max_characters = max_characters
        self._characters = 0
        self._chunks: OrderedDict[Any, tuple[LibraryChunk, ...]] = OrderedDict()
        self._lock = Lock()

    def library(self, engine: SharedLLMEngine, documents: Sequence[Document]) -> Library:
        """Return what `engine.library` returns; tokenizes only the texts that are not cached.

        Raises:
            DocumentError: the documents hold no text.
        """
        kind = (engine.tokenizer.fingerprint, engine.method)
        keys = [(document.text, kind) for document in documents]
        cached = self._cached(keys)
        missing = {key: document for key, document in zip(keys, documents, strict=True) if key not in cached}
        made = make_library(list(missing.values()), engine.tokenizer, engine.method)
        new_chunks: list[list[LibraryChunk]] = [[] for _ in missing]
        for chunk in made.chunks:
            new_chunks[chunk.document].append(chunk)
        cached |= {key: tuple(chunks) for key, chunks in zip(missing, new_chunks, strict=True)}
        self._store({key: cached[key] for key in keys})
        chunks = tuple(replace(chunk, document=number) for number, key in enumerate(keys) for chunk in cached[key])
        if not chunks:
            return engine.library(list(documents))  # raises the error for documents without text
        return replace(made, documents=tuple(documents), chunks=chunks)

    def _cached(self, keys: Sequence[Any]) -> dict[Any, tuple[LibraryChunk, ...]]:
        with self._lock:
            return {key: self._chunks[key] for key in keys if key in self._chunks}

    def _store(self, used: dict[Any, tuple[LibraryChunk, ...]]) -> None:
        with self._lock:
            for key, chunks in used.items():
                if key not in self._chunks:
                    self._characters += len(key[0])
                self._chunks[key] = chunks
                self._chunks.move_to_end(key)
            while self._characters > self._max_characters:
                (text, _), _ = self._chunks.popitem(last=False)
                self._characters -= len(text)
