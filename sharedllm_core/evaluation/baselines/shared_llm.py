"""This library itself, as a system beside its baselines."""

from collections.abc import Sequence

from torch import Tensor

from ... import Document, SharedLLMEngine, TreeCache
from ...tree_cache import MemoryTier
from ..system import Cited, System
from .reading import checked_texts, memory_is_a_result, questions_of, window_losses, window_of

__all__ = ["SharedLLM"]

QUERY_TOKENS = 64  # before a target, that selection and retrieval look at


class SharedLLM(System):
    """Documents as past context, the question as running text.

    Trees are kept in memory alone, so that no measurement finds what an earlier one left on disk.

    Args:
        engine: with the model to measure.
        cache_bytes: memory for trees.
        batch_size: questions that are answered at once.
    """

    name = "sharedllm"

    def __init__(self, engine: SharedLLMEngine, *, cache_bytes: int = 8 * 10**9, batch_size: int = 8) -> None:
        self.engine = engine.with_cache(TreeCache([MemoryTier(cache_bytes)]))
        self.batch_size = batch_size

    def answers(self, documents: Sequence[Document], questions: Sequence[str], max_new_tokens: int) -> list[str]:
        """See `System`."""
        return [text for text, _ in self.cited_answers(documents, questions, max_new_tokens)]

    def cited_answers(
        self, documents: Sequence[Document], questions: Sequence[str], max_new_tokens: int
    ) -> list[Cited]:
        """See `System`: the strongest span of each answer."""
        questions_of(questions, self.engine.tokenizer, max_new_tokens)
        texts = [document for document in documents if document.text]
        with memory_is_a_result(self.name):
            answers = self.engine.ask_batch(
                questions,
                self.engine.library(texts) if texts else None,
                batch_size=self.batch_size,
                max_new_tokens=max_new_tokens,
                num_evidence=1,
                temperature=0,  # as the other systems, whatever the checkpoint's generation config says
                repetition_penalty=1,
            )
        return [(answer.text, answer.evidence) for answer in answers]

    def losses(self, past_ids: Tensor, target_ids: Tensor) -> Tensor:
        """See `System`.

        All of the past but its last token is past context; that token and the target are running text. Where the
        policy selects by a query, that is the last 64 tokens of the past: what can be known before the target.

        Raises:
            WindowError: a target longer than the window.
        """
        model = self.engine.model
        past, target = checked_texts(self.engine, past_ids, target_ids, longest=window_of(self.engine))
        with memory_is_a_result(self.name):
            chunks = past[:-1].split(model.method.chunk_tokens)
            past_context = model.encode_past_context(chunks, past[-QUERY_TOKENS:])
            return window_losses(self.engine, past[-1:], target, past_context)
