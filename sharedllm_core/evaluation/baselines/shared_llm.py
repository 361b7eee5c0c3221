"""This library itself, as a system beside its baselines, and the same reader with passages that BM25 finds."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ... import Document, InputError, Library, SharedLLMEngine, TreeCache
from ...tree_cache import MemoryTier
from ..bm25_passages import BM25Index
from ..system import Cited, System
from .reading import checked_texts, memory_is_a_result, questions_of, window_losses, window_of

__all__ = ["BM25Passages", "SharedLLM"]

_BUDGET_TOKENS = 1_024  # of passages for an engine that quotes none

QUERY_TOKENS = 64  # before a target, that selection and retrieval look at


class SharedLLM(System):
    """Documents as past context or as quoted passages, as the engine reads them; the question as running text.

    Trees are kept in memory alone, so that no measurement finds what an earlier one left on disk.

    Args:
        engine: with the model to measure.
        cache_bytes: memory for trees.
        batch_size: questions that are answered at once.
        budget_tokens: the most tokens of quoted passages; by default the engine's `quote_tokens`.
    """

    name = "sharedllm"

    def __init__(
        self,
        engine: SharedLLMEngine,
        *,
        cache_bytes: int = 8 * 10**9,
        batch_size: int = 8,
        budget_tokens: int | None = None,
    ) -> None:
        self.engine = engine.with_cache(TreeCache([MemoryTier(cache_bytes)]))
        self.batch_size = batch_size
        self.budget_tokens = budget_tokens
        self._documents: Sequence[Document] = ()
        self._library: Library | None = None

    @property
    def scores_text(self) -> bool:
        """See `System`."""
        return self.engine.reading != "quoted"

    def answers(self, documents: Sequence[Document], questions: Sequence[str], max_new_tokens: int) -> list[str]:
        """See `System`."""
        return [text for text, _ in self.cited_answers(documents, questions, max_new_tokens)]

    def cited_answers(
        self, documents: Sequence[Document], questions: Sequence[str], max_new_tokens: int
    ) -> list[Cited]:
        """See `System`: the strongest span of each answer."""
        questions_of(questions, self.engine.tokenizer, max_new_tokens)
        with memory_is_a_result(self.name):
            answers = self.engine.ask_batch(
                questions,
                libraries=self._libraries(documents, questions),
                batch_size=self.batch_size,
                max_new_tokens=max_new_tokens,
                num_evidence=1,
                temperature=0,  # as the other systems, whatever the checkpoint's generation config says
                repetition_penalty=1,
                quote_tokens=self.budget_tokens,
            )
        return [(answer.text, answer.evidence) for answer in answers]

    def _libraries(self, documents: Sequence[Document], questions: Sequence[str]) -> list[Library | None]:
        """The library that each question is answered from."""
        if documents is not self._documents:  # several items in a row may share theirs
            texts = [document for document in documents if document.text]
            self._library = self.engine.library(texts) if texts else None
            self._documents = documents
        return [self._library] * len(questions)

    def losses(self, past_ids: Tensor, target_ids: Tensor) -> Tensor:
        """See `System`.

        All of the past but its last token is past context; that token and the target are running text. Where the
        policy selects by a query, that is the last 64 tokens of the past: what can be known before the target.

        Raises:
            InputError: passages are quoted, so that there is nothing to score.
            WindowError: a target longer than the window.
        """
        if not self.scores_text:
            raise InputError(f"{self.name} quotes passages and scores no text", remedy="use another system")
        model = self.engine.model
        past, target = checked_texts(self.engine, past_ids, target_ids, longest=window_of(self.engine))
        with memory_is_a_result(self.name):
            chunks = past[:-1].split(model.method.chunk_tokens)
            past_context = model.encode_past_context(chunks, past[-QUERY_TOKENS:])
            return window_losses(self.engine, past[-1:], target, past_context)


class BM25Passages(SharedLLM):
    """The same reader and prompt, with the best passages of BM25 as its documents, in the order of the documents.

    Args:
        engine: answers from the passages.
        budget_tokens: the most tokens of passages; by default the engine's `quote_tokens`, or 1,024 if it quotes none.
        options: see `SharedLLM`.

    Raises:
        ImportError: the package bm25s is missing.
    """

    name = "BM25 passages"
    scores_text = False

    def __init__(self, engine: SharedLLMEngine, *, budget_tokens: int | None = None, **options: Any) -> None:
        super().__init__(engine, budget_tokens=budget_tokens or engine.quote_tokens or _BUDGET_TOKENS, **options)
        self._index: BM25Index | None = None

    def _libraries(self, documents: Sequence[Document], questions: Sequence[str]) -> list[Library | None]:
        if documents is not self._documents or self._index is None:
            self._documents, self._index = documents, BM25Index(documents)
        return [self._retrieve(question, self._index) for question in questions]

    def _retrieve(self, question: str, index: BM25Index) -> Library | None:
        assert self.budget_tokens is not None
        room, taken = self.budget_tokens, []
        for passage in index.ranked(question):
            room -= self.engine.tokenizer.count(passage.text)
            if room < 0:
                break
            taken.append(passage)
        taken.sort(key=index.passages.index)
        passages = [
            Document(passage.text, id=f"{number}", metadata={"title": self._documents[passage.document].title})
            for number, passage in enumerate(taken)
        ]
        return self.engine.library(passages) if passages else None
