"""Which text of a prompt stays in the window, and which becomes past context.

1. What fits the window stays there.
2. Otherwise marked documents become past context (`marked_documents.py`). In a system message nothing else does.
3. If it still does not fit, the middle of the longest text moves. Its head and tail stay, since instructions and
   questions stand at the ends: at least a quarter of the window each, unless the last turn has several long texts.

With `"always"` the second rule holds for every prompt, and of each long text only short ends stay.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sharedllm_core import PromptSize, SharedLLMEngine, WindowError
from sharedllm_core.errors import setting

from .marked_documents import marked_documents
from .split_messages import SplitMessage, TextPart, engine_messages
from .text_ends import text_ends

__all__ = ["DocumentsFromPrompt", "PromptSplitter"]

DocumentsFromPrompt = Literal["overflow", "always", "never"]

_KEPT_SHARE = 5 / 8  # of the window, for a long text; its ends are at least 0.8 of this, half of the window
_LEAST_SHARE = 0.4  # of the tokens that may stay of a text, for each of its ends; at most 0.5
_LEAST_TOKENS = 16  # of a text that is worth cutting
_MAX_CHARACTERS_PER_TOKEN = 32  # of prose; longer texts need no counting


@dataclass(frozen=True)
class PromptSplitter:
    """Splits the messages of one call.

    Attributes:
        engine: whose window the messages have to fit.
        rule: when documents are taken out of messages.
        min_document_tokens: the fewest tokens of a marked document, and of a long text with `"always"`.
        options: of the call; see `AnswerSettings`.
    """

    engine: SharedLLMEngine
    rule: DocumentsFromPrompt
    min_document_tokens: int
    options: Mapping[str, Any]

    def split(self, messages: Sequence[SplitMessage]) -> list[SplitMessage]:
        """Return the messages in parts that stay and parts that become past context."""
        if self.rule == "never" or (self.rule == "overflow" and self._fits(messages)):
            return list(messages)
        split = self._with_last_question(messages, [self._without_marked(message) for message in messages])
        if self.rule == "always":
            split = [self._shortened_always(message) for message in split]
        return split if self._fits(split) else self._fitted(split)

    # ------------------------------------------------------------------------------------------ marked documents

    def _with_last_question(
        self, messages: Sequence[SplitMessage], split: Sequence[SplitMessage]
    ) -> list[SplitMessage]:
        """Restore the user's messages of the last turn if all of their text was moved."""
        first = _last_turn(split)
        numbers = [number for number in range(first, len(split)) if split[number].role == "user"]
        if any(split[number].content for number in numbers):
            return list(split)
        return [messages[number] if number in numbers else message for number, message in enumerate(split)]

    def _without_marked(self, message: SplitMessage) -> SplitMessage:
        """Move the documents that are marked, with the labels before them unless nothing else would stay."""
        if message.role == "assistant":
            return message
        without_labels = self._moved_marked(message, with_labels=True)
        return without_labels if without_labels.content else self._moved_marked(message, with_labels=False)

    def _moved_marked(self, message: SplitMessage, *, with_labels: bool) -> SplitMessage:
        for number, part in reversed(list(enumerate(message.parts))):
            parts: list[TextPart] = []
            position = 0
            ruled = message.role != "system"
            for marked in marked_documents(part.text, message.message.known_documents, ruled=ruled):
                if self._is_long(part.text[marked.start : marked.end]):
                    start = max(position, marked.label_start if with_labels else marked.start)
                    parts.append(replace(part, text=part.text[position:start]))
                    moved = part.text[start : marked.end]
                    parts.append(replace(part, text=moved, documents=marked.documents))
                    position = marked.end
            message = message.with_parts(number, [*parts, replace(part, text=part.text[position:])])
        return message

    # ------------------------------------------------------------------------------------------ always

    def _shortened_always(self, message: SplitMessage) -> SplitMessage:
        if message.role not in ("user", "tool"):
            return message
        for number, part in reversed(list(enumerate(message.parts))):
            if part.stays and self._is_long(part.text):
                message = message.with_parts(number, self._with_ends(part, self.min_document_tokens))
        return message

    # ------------------------------------------------------------------------------------------ the window

    def _fits(self, messages: Sequence[SplitMessage]) -> bool:
        size = self._size(messages)
        if size is None or not size.fits:
            return False
        is_split = any(message.is_split for message in messages)
        return not is_split or size.tokens <= size.max_tokens - min(size.quote_tokens, size.max_tokens // 2)

    def _size(self, messages: Sequence[SplitMessage]) -> PromptSize | None:
        """Measure the text that stays; `None` if it is so long that it cannot fit."""
        converted = engine_messages(messages)
        if (
            sum(len(message["content"]) for message in converted)
            > _MAX_CHARACTERS_PER_TOKEN * self.engine.window_tokens
        ):
            return None
        return self._measure(converted)

    def _measure(self, messages: Sequence[Mapping[str, Any]]) -> PromptSize:
        return self.engine.prompt_size(messages, **self.options)

    def _fitted(self, messages: Sequence[SplitMessage]) -> list[SplitMessage]:
        """Move the middles of long texts until the last turn fits, and as far as texts are long the others as well."""
        least_kept = int(_KEPT_SHARE * self.engine.window_tokens)
        fitted = self._with_shorter_texts(messages, lambda level: max(level, least_kept))
        first = _last_turn(fitted)
        numbers = [n for n, message in enumerate(fitted) if n >= first or message.role == "system"]
        self._check_system([message for message in fitted if message.role == "system"])
        size = self._size([fitted[number] for number in numbers])
        if size is None or not size.fits:
            last = self._with_shorter_texts([messages[number] for number in numbers], lambda level: level)
            for number, message in zip(numbers, last, strict=True):
                fitted[number] = message
        return fitted

    def _check_system(self, messages: Sequence[SplitMessage]) -> None:
        tokens = sum(self._count(message.content) for message in messages)
        if tokens >= self.engine.window_tokens:
            raise WindowError(
                f"the system message has at least {tokens:,} tokens",
                limit=f"and the model's window is {self.engine.window_tokens:,}",
                remedy=[
                    "put the documents in it between <context> and </context>",
                    f"give them as {setting('documents')}",
                ],
            )

    def _with_shorter_texts(
        self, messages: Sequence[SplitMessage], adjusted: Callable[[int], int]
    ) -> list[SplitMessage]:
        """Cut the longest texts to the length at which all messages fit, passages included.

        Args:
            messages: to be cut; system messages are not.
            adjusted: the tokens that may stay of a text, given those at which all of it fits.
        """
        counts = {
            (number, place): min(self._count(part.text), self.engine.window_tokens)
            for number, message in enumerate(messages)
            if message.role != "system"
            for place, part in enumerate(message.parts)
            if part.stays
        }
        texts = {place: count for place, count in counts.items() if count > _LEAST_TOKENS}
        if not texts:
            return list(messages)
        size = self._measure([self._without_texts(number, message, texts) for number, message in enumerate(messages)])
        room = size.max_tokens - size.tokens
        quoted = max(0, min(size.quote_tokens, room - int(_KEPT_SHARE * self.engine.window_tokens)))
        level = adjusted(_level(list(texts.values()), room - quoted))
        cut = list(messages)
        for (number, place), count in sorted(texts.items(), reverse=True):
            if count > level >= _LEAST_TOKENS:
                cut[number] = cut[number].with_parts(place, self._with_ends(cut[number].parts[place], level))
        return cut

    def _without_texts(self, number: int, message: SplitMessage, texts: Mapping[Any, int]) -> dict[str, Any]:
        short = [part.text for place, part in enumerate(message.parts) if part.stays and (number, place) not in texts]
        return message.engine_message("\n\n".join([*short, *("." * (len(short) < len(message.parts)))]))

    def _with_ends(self, part: TextPart, most_tokens: int) -> list[TextPart]:
        tokenizer = self.engine.tokenizer
        head, tail = text_ends(part.text, int(_LEAST_SHARE * most_tokens), most_tokens // 2, tokenizer)
        ends = replace(part, text=part.text[:head]), replace(part, text=part.text[tail:])
        return [ends[0], _moved(part, part.text[head:tail]), ends[1]]

    def _is_long(self, text: str) -> bool:
        return 4 * len(text) >= self.min_document_tokens and self._count(text) >= self.min_document_tokens

    def _count(self, text: str) -> int:
        """Count the tokens of a text; of a very long one, return the window."""
        if len(text) >= _MAX_CHARACTERS_PER_TOKEN * self.engine.window_tokens:
            return self.engine.window_tokens
        return self.engine.tokenizer.count(text)


def _moved(part: TextPart, text: str) -> TextPart:
    """A part of a part that becomes past context; white space alone is no document."""
    return replace(part, text=text, documents=(text,) if text.strip() else ())


def _level(counts: Sequence[int], room: int) -> int:
    """The most tokens of each text at which all of them together need no more than `room`."""
    left, level = room, 0
    ordered = sorted(counts)
    for number, count in enumerate(ordered):
        level = max(0, left) // (len(ordered) - number)
        if count > level:
            break
        left -= count
    else:
        level = ordered[-1]
    return level


def _last_turn(messages: Sequence[SplitMessage]) -> int:
    """Number of the first message of the last turn, which begins with a user's messages."""
    first = max((number for number, message in enumerate(messages) if message.role == "user"), default=0)
    while first and messages[first - 1].role == "user":
        first -= 1
    return first
