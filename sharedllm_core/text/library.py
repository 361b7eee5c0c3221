"""`Library`: a set of documents, tokenised and cut into chunks, from which an engine answers.

It holds text and token ids, no states: those are in the tree cache, and can be computed again at any time.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from torch import Tensor

from ..method.config import SharedLLMConfig
from ..selection.choice import sentence_starts
from .documents import Document, ReadWarning, Unreadable
from .title_index import TitleIndex
from .tokenization import TextTokenizer, TokenizedText
from .word_index import WordIndex

__all__ = ["Library", "LibraryChunk", "make_library"]


@dataclass(frozen=True, eq=False)
class LibraryChunk:
    """One chunk: at most `chunk_tokens` tokens of one document.

    Attributes:
        document: index of the document in its library.
        text: token ids and character offsets.
    """

    document: int
    text: TokenizedText

    @property
    def ids(self) -> Tensor:
        """Token ids [l]."""
        return self.text.ids


@dataclass(frozen=True, eq=False)
class Library:
    """A tokenised set of documents. Made by `SharedLLMEngine.read` or `SharedLLMEngine.library`.

    Attributes:
        documents: the documents, in the order of their sources.
        skipped: files that could not be read and were skipped.
        warnings: what is missing in the texts of files, or was guessed, such as a page without text.
        chunks: the chunks of all documents, in order; no chunk crosses two documents.
        chunk_tokens: the most tokens in a chunk.
        tokenizer: fingerprint of the tokenizer.
    """

    documents: tuple[Document, ...]
    skipped: tuple[Unreadable, ...] = ()
    chunks: tuple[LibraryChunk, ...] = field(repr=False, default=())
    chunk_tokens: int = field(repr=False, default=0)
    tokenizer: str = field(repr=False, default="")
    warnings: tuple[ReadWarning, ...] = field(repr=False, default=())

    def __len__(self) -> int:
        return len(self.documents)

    def __iter__(self) -> Iterator[Document]:
        return iter(self.documents)

    def __repr__(self) -> str:
        return (
            f"Library({len(self.documents)} documents, {self.num_tokens:,} tokens in {len(self.chunks)} chunks, "
            f"fingerprint {self.fingerprint})"
        )

    @cached_property
    def num_tokens(self) -> int:
        """Number of tokens of all documents."""
        return sum(len(chunk.ids) for chunk in self.chunks)

    @cached_property
    def fingerprint(self) -> str:
        """A short stable hash of the documents' ids and texts in order, for the keys of answer caches."""
        digest = hashlib.sha256()
        for document in self.documents:
            for part in (document.id, document.text):
                data = part.encode("utf-8", "surrogatepass")
                digest.update(len(data).to_bytes(8, "little") + data)
        return digest.hexdigest()[:24]

    @cached_property
    def chunk_positions(self) -> tuple[int, ...]:
        """The position of each chunk. Short neighbours share one, so that positions measure text, not files."""
        return shared_positions([len(chunk.ids) for chunk in self.chunks], self.chunk_tokens)

    @cached_property
    def word_index(self) -> WordIndex:
        """The words of all documents, to search passages by; built at first use."""
        return WordIndex([document.text for document in self.documents], self._titles)

    @cached_property
    def title_index(self) -> TitleIndex:
        """The titles of all documents; built at first use."""
        return TitleIndex(self._titles)

    @property
    def _titles(self) -> list[str]:
        return [document.title for document in self.documents]

    def tokens_in(self, document: int, start: int, end: int) -> int:
        """How many tokens of a document, by its number, begin in a span of its characters."""
        first, last = self.token_range(document, start, end)
        return last - first

    def token_range(self, document: int, start: int, end: int) -> tuple[int, int]:
        """The tokens of a document that begin in a span of its characters, as the first and one past the last."""
        starts = self._token_starts[document]
        return int(np.searchsorted(starts, start)), int(np.searchsorted(starts, end))

    @property
    def tokens_per_document(self) -> list[int]:
        """The number of tokens of each document."""
        return [len(starts) for starts in self._token_starts]

    @cached_property
    def _token_starts(self) -> list[np.ndarray]:
        """For each document the first character of each of its tokens."""
        parts: list[list[np.ndarray]] = [[] for _ in self.documents]
        for chunk in self.chunks:
            parts[chunk.document].append(chunk.text.offsets[:, 0].numpy())
        return [np.concatenate(of) if of else np.zeros(0, np.int64) for of in parts]

    def joined(self, other: "Library") -> "Library":
        """Return a library of these documents and then those of `other`, which the same engine must have made."""
        shift = len(self.documents)
        shifted = tuple(replace(chunk, document=chunk.document + shift) for chunk in other.chunks)
        return replace(
            self,
            documents=self.documents + other.documents,
            skipped=self.skipped + other.skipped,
            warnings=self.warnings + other.warnings,
            chunks=self.chunks + shifted,
        )


def make_library(
    documents: Sequence[Document],
    tokenizer: TextTokenizer,
    method: SharedLLMConfig,
    skipped: Iterable[Unreadable] = (),
    warnings: Iterable[ReadWarning] = (),
) -> Library:
    """Tokenise documents and cut each into chunks.

    Args:
        documents: the documents.
        tokenizer: the model's tokenizer.
        method: the configuration of the method; gives the chunk size and the preferred cuts.
        skipped: files that could not be read, to report in the library.
        warnings: what is missing in files or was guessed, to report in the library.
    """
    texts = tokenizer.encode_all([document.text for document in documents])
    chunks = tuple(
        LibraryChunk(i, part)
        for i, text in enumerate(texts)
        for part in text.chunks(method.chunk_tokens, sentence_starts(text.ids, method))
    )
    return Library(
        tuple(documents), tuple(skipped), chunks, method.chunk_tokens, tokenizer.fingerprint, tuple(warnings)
    )


def shared_positions(lengths: Sequence[int], chunk_tokens: int) -> tuple[int, ...]:
    """Assign a position to each chunk; consecutive chunks share one while their total is at most `chunk_tokens`."""
    positions: list[int] = []
    position, filled = 0, 0
    for length in lengths:
        if filled and filled + length > chunk_tokens:
            position, filled = position + 1, 0
        filled += length
        positions.append(position)
    return tuple(positions)
