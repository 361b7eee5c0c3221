"""The window alone: of the documents, the newest tokens that fit beside question and answer."""

from collections.abc import Sequence
from threading import Event

from torch import Tensor

from ... import AnswerSettings, Document, SamplingSettings, SharedLLMEngine
from ...decoding.rows import answer_rows
from ...decoding.whole_batch import generate_rows
from ..system import System
from .prompt import document_ids
from .reading import checked_texts, memory_is_a_result, questions_of, window_losses, window_of

__all__ = ["WindowOnly", "written_in_window"]


class WindowOnly(System):
    """The base model, with as much of the documents' end as its window takes.

    Args:
        engine: whose base model is used.
        batch_size: questions that are answered at once.
        budget_tokens: the most tokens of documents; by default as many as the window takes.
    """

    name = "window only"

    def __init__(self, engine: SharedLLMEngine, *, batch_size: int = 8, budget_tokens: int | None = None) -> None:
        self.engine = engine
        self.budget_tokens = budget_tokens
        self.batch_size = batch_size

    def answers(self, documents: Sequence[Document], questions: Sequence[str], max_new_tokens: int) -> list[str]:
        """See `System`.

        Raises:
            WindowError: a question and its answer are more than the window.
        """
        window = window_of(self.engine)
        layouts = questions_of(questions, self.engine.tokenizer, max_new_tokens)
        rooms = [layout.room(window, max_new_tokens) for layout in layouts]
        if self.budget_tokens is not None:
            rooms = [min(room, self.budget_tokens) for room in rooms]
        chosen = self._chosen_text(documents, questions, rooms)
        prompts = [layout.ids(ids) for layout, ids in zip(layouts, chosen, strict=True)]
        return written_in_window(self, prompts, max_new_tokens)

    def losses(self, past_ids: Tensor, target_ids: Tensor) -> Tensor:
        """See `System`. As much of the past's end is read as fits beside the target.

        Raises:
            WindowError: a target longer than the window.
        """
        window = window_of(self.engine)
        past, target = checked_texts(self.engine, past_ids, target_ids, longest=window)
        with memory_is_a_result(self.name):
            return window_losses(self.engine, self._chosen_past(past, window - (len(target) - 1)), target)

    def _chosen_text(
        self, documents: Sequence[Document], questions: Sequence[str], rooms: Sequence[int]
    ) -> list[Tensor]:
        """For each question ids of the documents that stand before it, as many as it has room for."""
        text_ids = document_ids(documents, self.engine.tokenizer)
        return [text_ids[max(0, len(text_ids) - room) :] for room in rooms]

    def _chosen_past(self, past: Tensor, room: int) -> Tensor:
        """Ids of a past that stand before its target."""
        return past[-room:]


def written_in_window(system: "WindowOnly", prompts: Sequence[Tensor], max_new_tokens: int) -> list[str]:
    """Answers to prompts [n] that fit the window, without past context: the base model's own."""
    engine = system.engine
    settings = AnswerSettings(max_new_tokens=max_new_tokens, num_evidence=0)
    texts: list[str] = []
    with memory_is_a_result(system.name):
        for first in range(0, len(prompts), system.batch_size):
            some = prompts[first : first + system.batch_size]
            rows = answer_rows(
                engine.model,
                engine.tokenizer,
                some,
                [None] * len(some),
                settings,
                SamplingSettings(),
                max_new_tokens,
                [_ignore] * len(some),
                Event(),
            )
            generate_rows(engine.model, rows)
            texts += [row.answer.text for row in rows]
    return texts


def _ignore(piece: str) -> None:
    pass
