"""Retrieval with this library's model as the reader: BM25's passages as a short past context, not in the window.

A base that was trained to answer through the injection alone cannot read passages in its window. Here it reads what
BM25 found as it reads whole documents otherwise, so that only one thing differs: whether something else chose before.
"""

from collections.abc import Sequence

from torch import Tensor

from ... import Document, SharedLLMEngine
from .bm25 import BM25
from .reading import checked_texts, memory_is_a_result, questions_of, window_of
from .shared_llm import SharedLLM

__all__ = ["BM25Past"]


class BM25Past(BM25):
    """The best passages, together as long as the base's window, as past context.

    Args:
        engine: whose model reads.
        passage_tokens: the most tokens in a passage; none crosses two documents.
        batch_size: of the reader; each question has passages of its own, and is answered alone.

    Raises:
        ImportError: the package bm25s is missing.
    """

    name = "BM25, past context"

    def __init__(self, engine: SharedLLMEngine, *, passage_tokens: int = 256, batch_size: int = 8) -> None:
        super().__init__(engine, passage_tokens=passage_tokens, batch_size=batch_size)
        self._reader = SharedLLM(engine, batch_size=batch_size)
        self._reader.name = self.name  # in what it says of memory

    def answers(self, documents: Sequence[Document], questions: Sequence[str], max_new_tokens: int) -> list[str]:
        """See `System`."""
        questions_of(questions, self.engine.tokenizer, max_new_tokens)
        rooms = [window_of(self.engine)] * len(questions)
        texts = [self.engine.tokenizer.decode(ids) for ids in self._chosen_text(documents, questions, rooms)]
        with memory_is_a_result(self.name):
            return [
                self._reader.answers([Document(text, id="retrieved")], [question], max_new_tokens)[0]
                for text, question in zip(texts, questions, strict=True)
            ]

    def losses(self, past_ids: Tensor, target_ids: Tensor) -> Tensor:
        """See `System`. Passages are ranked by the last 64 tokens of the past, which stand behind them."""
        past, target = checked_texts(self.engine, past_ids, target_ids)
        return self._reader.losses(self._chosen_past(past, window_of(self.engine)), target)
