"""What a long message asks: the text that search and selection look for.

People put a question before or after a long text, with instructions around it. A search for the whole message would
find what resembles the text. Questions are recognised by their marks, in any language, at both ends of the message.
"""

from ..text.sentences import sentences_of

__all__ = ["question_sentences", "question_text"]

_SHORT_CHARACTERS = 600  # a message up to this length is its own question
_END_CHARACTERS = 2_000  # how far from either end of a message a question may stand
_PARAGRAPH_CHARACTERS = 300  # what stands beside a question in a paragraph up to this length belongs to it
_WRAPPED_CHARACTERS = 40  # a line at least this long without a full stop goes on in the next one
_QUESTION_MARKS = ("?", "？", "؟", "՞", "፧", "⸮")
_FULL_STOPS = (".", "!", ":", "。", "！", "：", "…", ";", "।", *_QUESTION_MARKS)
_CLOSING = "\"'”’»)]*_ \t"


def question_text(message: str) -> str:
    """Return what a message asks.

    Args:
        message: of a user.

    Returns:
        A short message as it is. Of a longer one, its questions at either end with the short paragraphs in which they
        stand, and a short last paragraph; where there are no questions, its first and last paragraph.
    """
    if len(message) <= _SHORT_CHARACTERS:
        return message
    found = question_sentences(message)
    if not found:
        paragraphs = [part.strip() for part in message.split("\n\n") if part.strip()] or [message]
        ends = [paragraphs[0][:_SHORT_CHARACTERS], paragraphs[-1][-_SHORT_CHARACTERS:]]
        return "\n".join(dict.fromkeys(ends))
    questions = [_with_paragraph(message, start, end) for start, end in found]
    last = message.rstrip().rsplit("\n\n", 1)[-1].strip()  # may ask without a question mark
    return "\n".join(dict.fromkeys([*questions, *([last] if len(last) <= _PARAGRAPH_CHARACTERS else [])]))


def question_sentences(message: str) -> list[tuple[int, int]]:
    """Return the sentences of a message that end in a question mark, within 2,000 characters of either end.

    Returns:
        First character and end of each, in order.
    """
    if len(message) <= 2 * _END_CHARACTERS:
        return _questions(message)
    spans: list[tuple[int, int]] = []
    head = message[:_END_CHARACTERS]
    tail_start = max(len(head), len(message) - _END_CHARACTERS)
    for first, part in ((0, head), (tail_start, message[tail_start:])):
        spans += [(first + start, first + end) for start, end in _questions(part)]
    return spans


def _questions(text: str) -> list[tuple[int, int]]:
    sentences = sentences_of(text)
    found: list[tuple[int, int]] = []
    for number, (start, end) in enumerate(sentences):
        if not text[start:end].rstrip(_CLOSING).endswith(_QUESTION_MARKS):
            continue
        first = start
        while number and _is_wrapped(text, *sentences[number - 1], first):
            number -= 1  # noqa: PLW2901 (the line before belongs to the same sentence)
            first = sentences[number][0]
        found.append((first, end))
    return found


def _is_wrapped(text: str, start: int, end: int, following: int) -> bool:
    """Whether a piece of text is a line that goes on in the next one."""
    is_next_line = text[end:following].strip(" \t") == "\n"
    return is_next_line and end - start >= _WRAPPED_CHARACTERS and not text[start:end].endswith(_FULL_STOPS)


def _with_paragraph(message: str, start: int, end: int) -> str:
    """A question with the paragraph in which it stands, if that is short."""
    first = message.rfind("\n\n", 0, start) + 1
    last = message.find("\n\n", end)
    paragraph = message[first : len(message) if last < 0 else last].strip()
    return paragraph if len(paragraph) <= _PARAGRAPH_CHARACTERS else message[start:end]
