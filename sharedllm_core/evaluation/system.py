"""What is measured: a way to answer from documents. This library's model is one, each baseline another."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from .. import Document, Evidence

__all__ = ["Cited", "System"]

#: An answer and the spans of the documents that it names, the strongest first; `None` from a system that names none.
Cited = tuple[str, tuple[Evidence, ...] | None]


class System(ABC):
    """Answers questions from documents, and tells how likely it finds a text.

    Attributes:
        name: in tables and plots, such as `sharedllm` or `window only`.
    """

    name: str

    @abstractmethod
    def answers(self, documents: Sequence[Document], questions: Sequence[str], max_new_tokens: int) -> list[str]:
        """Greedy answers to questions about one set of documents, without the chat template's tokens.

        Raises:
            DeviceMemoryError: the device has too little memory for it; a result like any other.
        """

    def cited_answers(
        self, documents: Sequence[Document], questions: Sequence[str], max_new_tokens: int
    ) -> list[Cited]:
        """The answers of `answers`, with the evidence that the system gives for them; by default none."""
        return [(answer, None) for answer in self.answers(documents, questions, max_new_tokens)]

    @property
    def scores_text(self) -> bool:
        """Whether the system has losses; one that only quotes passages has none."""
        return True

    @abstractmethod
    def losses(self, past_ids: Tensor, target_ids: Tensor) -> Tensor:
        """−log p of each token of a text [n] that follows another one.

        Args:
            past_ids: ids [m] of what comes before; as much as the system can use of it.
            target_ids: ids [n] of the text; its first token is predicted from the last of `past_ids`.
        """
