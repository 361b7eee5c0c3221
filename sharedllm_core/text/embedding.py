"""Search by meaning with an embedding function of the user, beside the search by words.

Any of these will do: a function from a list of texts to a list of vectors, an `Embeddings` of LangChain, or a
`BaseEmbedding` of LlamaIndex. Only their methods are used; neither framework is imported.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np

from ..errors import InputError, setting
from .library import Library

__all__ = ["Embedder"]

_BATCH_TEXTS = 256

#: Returns the vector of each text.
_Embed = Callable[[list[str]], Sequence[Sequence[float]]]


@dataclass(frozen=True, eq=False)
class _DocumentVectors:
    """The vectors of a document's segments, float16 [segments, size], each of length 1."""

    vectors: np.ndarray


class Embedder:
    """Compares questions with the segments of libraries by an embedding function.

    Vectors of a document are computed once, and kept while a library with it is in use.

    Args:
        embedding: a function from texts to vectors, or an object with `embed_documents` and `embed_query` (LangChain)
            or with `get_text_embedding_batch` and `get_query_embedding` (LlamaIndex).

    Raises:
        InputError: none of these.
    """

    def __init__(self, embedding: Any) -> None:
        self._embedding = embedding
        self._embed_texts, self._embed_question = _functions(embedding)
        self._of_libraries: WeakKeyDictionary[Library, list[_DocumentVectors]] = WeakKeyDictionary()
        self._of_documents: WeakValueDictionary[bytes, _DocumentVectors] = WeakValueDictionary()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Embedder({self._embedding!r})"

    def index(self, library: Library) -> None:
        """Compute the vectors of a library's segments that are not known yet.

        Raises:
            InputError: the embedding function returns something else than a vector for each text.
        """
        with self._lock:
            if library not in self._of_libraries:
                self._of_libraries[library] = [self._document(number, library) for number in range(len(library))]

    def scores(self, question: str, library: Library) -> np.ndarray:
        """Score each segment of a library by its similarity to a question.

        Returns:
            float64 [segments], from 0 (as similar as the median, or less) to 1 (the most similar).

        Raises:
            InputError: see `index`.
        """
        self.index(library)
        vectors = np.concatenate([document.vectors for document in self._of_libraries[library]])
        if not len(vectors):
            return np.zeros(0)
        similarity = vectors.astype(np.float32) @ _unit(self._embed_question([question]), 1)[0].astype(np.float32)
        middle, best = float(np.median(similarity)), float(similarity.max())
        scores: np.ndarray = np.clip((similarity.astype(np.float64) - middle) / max(best - middle, 1e-6), 0.0, 1.0)
        return scores

    def _document(self, number: int, library: Library) -> _DocumentVectors:
        document, index = library.documents[number], library.word_index
        digest = hashlib.sha256(document.text.encode("utf-8", "surrogatepass")).digest()
        known = self._of_documents.get(digest)
        if known is None:
            spans = [index.spans[segment].tolist() for segment in index.segments_of(number)]
            texts = [document.text[start:end] for start, end in spans]
            parts = [
                _unit(self._embed_texts(texts[first : first + _BATCH_TEXTS]), len(texts[first : first + _BATCH_TEXTS]))
                for first in range(0, len(texts), _BATCH_TEXTS)
            ]
            known = _DocumentVectors(np.concatenate(parts) if parts else np.zeros((0, 1), np.float16))
            self._of_documents[digest] = known
        return known


def _functions(embedding: Any) -> tuple[_Embed, _Embed]:
    """The functions that embed texts and questions."""
    for texts, question in (("embed_documents", "embed_query"), ("get_text_embedding_batch", "get_query_embedding")):
        if hasattr(embedding, texts) and hasattr(embedding, question):
            return getattr(embedding, texts), partial(_embed_one_by_one, getattr(embedding, question))
    if callable(embedding):
        return embedding, embedding
    raise InputError(
        f"{setting('embedding', type(embedding).__name__)} embeds no texts",
        remedy="give a function from texts to vectors, LangChain's Embeddings or LlamaIndex's BaseEmbedding",
    )


def _embed_one_by_one(embed: Callable[[str], Sequence[float]], texts: list[str]) -> Sequence[Sequence[float]]:
    return [embed(text) for text in texts]


def _unit(vectors: Any, count: int) -> np.ndarray:
    """Vectors as an array [count, size] of unit vectors."""
    try:
        array = np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"the embedding function returned no vectors: {error}") from error
    if array.ndim != 2 or len(array) != count or not np.isfinite(array).all():
        raise InputError(
            f"the embedding function returned an array {array.shape}",
            limit=f"for {count} texts",
            remedy="return one vector of finite numbers for each text",
        )
    norms = np.linalg.norm(array, axis=1, keepdims=True)
    return (array / np.maximum(norms, 1e-12)).astype(np.float16)
