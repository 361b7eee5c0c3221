"""The running text of documents and a question: one layout for all baselines that read documents as running text.

A user message of documents, a blank line and the question, through the tokenizer's chat template. It is put together
from ids, not from text, so that documents can be cut to exactly the tokens that there is room for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ... import Document, InputError, TokenizerError, WindowError
from ...errors import setting
from ...generation.prompting import render_running_text, running_text_ids
from ...text.tokenization import TextTokenizer

__all__ = ["SEPARATOR", "PromptLayout", "document_ids", "joined"]

#: Between documents, passages and the question.
SEPARATOR = "\n\n"

# Stands for the documents while the template is applied: a character for private use, which no template trims.
_MARK = "\ue000"


@dataclass(frozen=True)
class PromptLayout:
    """What stands around the documents' text for one question.

    Attributes:
        alone: ids of the running text without any documents.
        head, tail: ids before and after the documents' text.
    """

    alone: Tensor
    head: Tensor
    tail: Tensor

    @classmethod
    def of(cls, question: str, tokenizer: TextTokenizer) -> Self:
        """The layout for a question.

        Raises:
            InputError: an empty question.
            TokenizerError: a chat template that leaves the message out.
        """
        if not question.strip():
            raise InputError("the question is empty", remedy="give one")
        alone = render_running_text([{"role": "user", "content": question}], tokenizer)
        marked = render_running_text([{"role": "user", "content": f"{_MARK}{SEPARATOR}{question}"}], tokenizer)
        place = marked.text.find(_MARK)
        if place < 0:
            raise TokenizerError(
                "the tokenizer's chat template leaves out the user's message", remedy="use another template"
            )
        head, rest = marked.split_at(place)
        _, tail = rest.split_at(len(_MARK))
        return cls(*(running_text_ids(part, tokenizer) for part in (alone, head, tail)))

    def ids(self, text_ids: Tensor) -> Tensor:
        """Ids [n] of the running text with a text [m] of documents; without one, of the question alone."""
        return torch.cat((self.head, text_ids, self.tail)) if len(text_ids) else self.alone

    def room(self, window_tokens: int, new_tokens: int) -> int:
        """Tokens that a window has for the documents, beside question and answer.

        Raises:
            WindowError: question and answer alone do not fit.
        """
        needed = max(len(self.head) + len(self.tail), len(self.alone)) + new_tokens
        if needed > window_tokens:
            raise WindowError(
                f"the question takes {needed - new_tokens} tokens, with {new_tokens} to generate",
                limit=f"and the base model's window is {window_tokens}",
                remedy=["ask a shorter question", f"lower {setting('max_new_tokens')}"],
            )
        return window_tokens - needed


def document_ids(documents: Sequence[Document], tokenizer: TextTokenizer) -> Tensor:
    """Ids [m] of all documents, one after the other; documents without text count for nothing."""
    return joined([text.ids for text in tokenizer.encode_all([document.text for document in documents])], tokenizer)


def joined(texts: Sequence[Tensor], tokenizer: TextTokenizer) -> Tensor:
    """Ids of texts with a separator between each two; empty ones are left out."""
    separator = tokenizer.encode(SEPARATOR).ids
    parts = [part for ids in texts if len(ids) for part in (separator, ids)]
    return torch.cat(parts[1:]) if parts else torch.zeros(0, dtype=torch.long)
