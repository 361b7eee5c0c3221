"""Retrieval: the passages that BM25 ranks best for the question, in the window, in the documents' order."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ... import Document, InputError, SharedLLMEngine
from ...method.checks import check_whole
from .prompt import SEPARATOR, joined
from .shared_llm import QUERY_TOKENS
from .window_only import WindowOnly

__all__ = ["BM25"]

_WORD = r"(?u)\b\w+\b"


class BM25(WindowOnly):
    """The base model, with the best passages in its window.

    Passages are taken by rank, equal ones in order, until the window is full; the last is cut at its end to what room
    is left. They stand in the window in the order of the documents.

    Args:
        engine: whose base model is used.
        passage_tokens: the most tokens in a passage; none crosses two documents.
        batch_size, budget_tokens: see `WindowOnly`.

    Raises:
        ImportError: the package bm25s is missing.
    """

    name = "BM25"

    def __init__(self, engine: SharedLLMEngine, *, passage_tokens: int = 256, **options: Any) -> None:
        super().__init__(engine, **options)
        check_whole("passage_tokens", passage_tokens, at_least=1, error=InputError)
        self.passage_tokens = passage_tokens
        self._library = _bm25s()
        self._separator_tokens = len(engine.tokenizer.encode(SEPARATOR).ids)

    def _chosen_text(
        self, documents: Sequence[Document], questions: Sequence[str], rooms: Sequence[int]
    ) -> list[Tensor]:
        """For each question ids of the best passages, as many tokens as it has room for."""
        texts = self.engine.tokenizer.encode_all([document.text for document in documents])
        passages = [passage for text in texts for passage in text.ids.split(self.passage_tokens) if len(passage)]
        ranks = self._ranked(passages, questions)
        return [self._filled(passages, ranked, room) for ranked, room in zip(ranks, rooms, strict=True)]

    def _chosen_past(self, past: Tensor, room: int) -> Tensor:
        """Ids of the best passages of a past for its own last 64 tokens, and these."""
        query = past[-min(QUERY_TOKENS, room) :]
        passages = [p for p in past[: len(past) - len(query)].split(self.passage_tokens) if len(p)]
        (ranked,) = self._ranked(passages, [self.engine.tokenizer.decode(query)])
        best = self._filled(passages, ranked, room - len(query) - self._separator_tokens)
        return joined([best, query], self.engine.tokenizer)

    def _ranked(self, passages: Sequence[Tensor], queries: Sequence[str]) -> list[list[int]]:
        """For each query the numbers of all passages, best first."""
        words = self._words([self.engine.tokenizer.decode(passage) for passage in passages])
        in_order = list(range(len(passages)))
        if not any(words):
            return [in_order for _ in queries]
        index = self._library.BM25()
        index.index(words, show_progress=False)
        ranks = []
        for asked in self._words(queries):
            known = [word for word in asked if word in index.vocab_dict]
            scores: list[float] = index.get_scores(known).tolist() if known else [0.0] * len(passages)
            ranks.append(sorted(in_order, key=scores.__getitem__, reverse=True))  # equal ones stay in order
        return ranks

    def _words(self, texts: Sequence[str]) -> list[list[str]]:
        words: list[list[str]] = self._library.tokenize(
            list(texts), token_pattern=_WORD, stopwords=[], return_ids=False, show_progress=False
        )
        return words

    def _filled(self, passages: Sequence[Tensor], ranked: Sequence[int], room: int) -> Tensor:
        """Ids of the best passages in order, which fill the room if there are enough."""
        taken: dict[int, Tensor] = {}
        for number in ranked:
            room -= self._separator_tokens if taken else 0
            if room <= 0:
                break
            taken[number] = passages[number][:room]
            room -= len(taken[number])
        return joined([taken[number] for number in sorted(taken)], self.engine.tokenizer)


def _bm25s() -> Any:
    try:
        import bm25s
    except ImportError as error:
        raise ImportError("the baseline bm25 needs the package bm25s: pip install 'sharedllm[eval]'") from error
    return bm25s
