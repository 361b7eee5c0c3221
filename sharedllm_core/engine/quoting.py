"""Quoted reading: the best passages of the documents, placed in the running text within a token budget."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from torch import Tensor

from ..errors import WindowError, setting
from ..generation.answer import Evidence
from ..generation.messages import Message
from ..generation.prompting import Prompt, render_running_text, running_text_ids
from ..generation.quoting import Quote, QuoteTemplate
from ..generation.tools import Tools
from ..text.embedding import Embedder
from ..text.library import Library
from ..text.passages import Passage, PassageSearch
from ..text.tokenization import TextTokenizer
from ..text.words import words_of

__all__ = ["DEFAULT_QUOTE_TOKENS", "Quoted", "Quoter", "check_quote_room", "passage_evidence"]

DEFAULT_QUOTE_TOKENS = 4096
_OF_ANSWER, _OF_SEARCH = 0.8, 0.2  # how much an answer's words and the search count in the evidence


@dataclass(frozen=True)
class Quoted:
    """A running text with passages: its ids [n], and the passages in the order in which they stand there.

    `messages` are those of the prompt with the passages in them; `budget` is the most tokens of passages that the
    request and the window allowed.
    """

    ids: Tensor
    passages: tuple[Passage, ...]
    messages: list[Message]
    budget: int = 0


class Quoter:
    """Finds passages for questions and places them in prompts.

    Args:
        tokenizer: the model's tokenizer.
        template: wording and place of the passages.
        embedder: searches by meaning as well; `None` to search by words alone.
    """

    def __init__(self, tokenizer: TextTokenizer, template: QuoteTemplate, embedder: Embedder | None = None) -> None:
        self._tokenizer = tokenizer
        self._embedder = embedder
        self._template = template

    def quote(
        self, prompt: Prompt, library: Library, quote_tokens: int, room_tokens: int, tools: Tools | None
    ) -> Quoted:
        """Place as many passages as fit.

        Args:
            prompt: the running text without passages.
            library: the documents.
            quote_tokens: the most tokens of passages.
            room_tokens: the most tokens of the running text, passages and wording included.
            tools: described in the running text.
        """
        budget = allowed = max(0, min(quote_tokens, room_tokens - len(prompt.ids)))
        search = PassageSearch(prompt.question, library, self._tokenizer, self._embedder)
        titles = {document.id: document.title for document in library}
        while budget > 0:
            passages = search.within(budget)
            quotes = [Quote(titles[passage.document_id], passage.text) for passage in passages]
            messages = self._template.place(prompt.messages, quotes)
            text = render_running_text(messages, self._tokenizer, tools, prompt.thinking)
            ids = running_text_ids(text, self._tokenizer)
            if len(ids) <= room_tokens:
                return Quoted(ids, tuple(passages), messages, allowed)
            budget = min(budget, self._tokenizer.count_all([one.text for one in passages])) - (len(ids) - room_tokens)
        return Quoted(prompt.ids, (), prompt.messages, allowed)


def check_quote_room(quote_tokens: int, window_tokens: int, new_tokens: int = 0) -> None:
    """Check that a window can hold passages of so many tokens beside the answer.

    Raises:
        WindowError: it cannot, however short the messages are.
    """
    if quote_tokens < window_tokens - new_tokens or not quote_tokens:
        return
    answer = f" with {new_tokens} to generate" if new_tokens else ""
    raise WindowError(
        f"{setting('quote_tokens', quote_tokens)} is more than can be quoted{answer}",
        limit=f"and the model's window is {window_tokens} tokens",
        remedy=[
            f"lower {setting('quote_tokens')}",
            *([f"lower {setting('max_new_tokens')}"] if new_tokens else []),
            f"leave {setting('quote_tokens')} out to quote as much as fits",
        ],
    )


def passage_evidence(passages: Sequence[Passage], answer: str, most: int) -> tuple[Evidence, ...]:
    """Rank quoted passages by what an answer shares with them.

    A word that few of the passages have counts more. Passages with which the answer shares nothing follow in the order
    of the search.

    Returns:
        At most `most` spans; their scores are shares of all passages' scores.
    """
    features = [set(words_of(passage.text)) for passage in passages]
    found = Counter(word for of_passage in features for word in of_passage)
    weights = {
        word: log(1 + (len(passages) - found[word] + 0.5) / (found[word] + 0.5)) for word in set(words_of(answer))
    }
    shared = [sum(weights[word] for word in sorted(weights.keys() & of_passage)) for of_passage in features]
    scores = [
        _OF_ANSWER * one / (max(shared) or 1.0) + _OF_SEARCH * passage.score / (_best(passages) or 1.0)
        for one, passage in zip(shared, passages, strict=True)
    ]
    total = sum(scores) or 1.0
    ranked = sorted(zip(scores, passages, strict=True), key=lambda pair: -pair[0])
    return tuple(
        Evidence(passage.document_id, passage.start, passage.end, passage.text, round(score / total, 4))
        for score, passage in ranked[:most]
    )


def _best(passages: Sequence[Passage]) -> float:
    return max((passage.score for passage in passages), default=0.0)
