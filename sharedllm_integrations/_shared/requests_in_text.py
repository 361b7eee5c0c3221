"""What a long text of a user asks: for a model that gets nothing else of it.

A question is recognised by its mark. A request without one is looked for before the first title of the text, which is
no part of a document, and in a short paragraph at the text's end.
"""

import re

from sharedllm_core.generation.question import question_sentences

__all__ = ["request_spans"]

_HEAD_CHARACTERS = 2_000  # in which a title may follow a request
_TAIL_CHARACTERS = 300  # of a paragraph at the end that is a request
_TITLE = re.compile(r"(?:^|(?<=\s))# [^\n]+\n\n")
_LABEL = re.compile(r"(?:[^\s:：]+ ){0,2}[^\s:：]+ ?[:：]\s*")
_FULL_STOPS = (".", "!", "。", "！")


def request_spans(text: str, *, must_ask: bool) -> list[tuple[int, int]]:
    """Return the parts of a text that ask for something, as first character and end, in order and without labels.

    Args:
        text: of a user.
        must_ask: whether the message has no other text. Then a request without a question mark is looked for, and is
            the last paragraph where nothing looks like one.
    """
    spans = question_sentences(text)
    if must_ask and not spans:
        spans = [span for span in (_before_title(text), _at_end(text)) if span] or [_last_paragraph(text)]
    return [_without_label(text, *span) for span in spans]


def _before_title(text: str) -> tuple[int, int] | None:
    title = _TITLE.search(text, 0, _HEAD_CHARACTERS)
    if title is None:
        return None
    lines = text[: title.start()].rstrip().rsplit("\n", 1)
    is_labelled = _LABEL.fullmatch(f"{lines[-1].strip()} ") is not None
    before = (lines[0] if len(lines) > 1 else "") if is_labelled else text[: title.start()]
    end = len(before.rstrip())
    return (0, end) if before.rstrip().endswith(_FULL_STOPS) else None


def _at_end(text: str) -> tuple[int, int] | None:
    """The last paragraph, or the one before a greeting, if it is short and ends with a full stop."""
    end = len(text.rstrip())
    for _ in range(2):
        start = text.rfind("\n\n", 0, end) + 2
        paragraph = text[start:end].strip()
        if start >= 2 and len(paragraph) <= _TAIL_CHARACTERS and paragraph.endswith(_FULL_STOPS):
            return start, end
        end = len(text[: max(0, start - 2)].rstrip())
    return None


def _last_paragraph(text: str) -> tuple[int, int]:
    end = len(text.rstrip())
    start = text.rfind("\n\n", 0, end) + 2
    return (start if start >= 2 else 0, end)


def _without_label(text: str, start: int, end: int) -> tuple[int, int]:
    label = _LABEL.match(text, start, end)
    return (label.end() if label is not None and label.end() < end else start), end
