"""Where the document in a prompt begins and ends.

A prompt is an introduction, a document and a question, or an introduction, a question and a document. A piece of the
document that stays in the prompt does no harm; a question that is moved with the document is lost. So in doubt the
borders lie inside the document.
"""

import re
from collections.abc import Callable, Sequence

__all__ = ["split_at_document"]


def _label(words: str) -> re.Pattern[str]:
    return re.compile(rf"^[ \t>#*]*(?:{words})[ \t]*\**[:：]", re.IGNORECASE | re.MULTILINE)


_ASKS = _label(
    r"(?:user(?:'s)? )?(?:question|query|input|task|instruction|request)s?|frage|aufgabe|pregunta|pergunta|domanda"
    r"|demande|consigne|vraag|fråga|spørgsmål|pytanie|otázka|soru|вопрос|питання|问题|問題|質問|질문|سؤال|प्रश्न"
)
_CONTEXT = _label(r"(?:\w+ )?(?:context|kontext|contexto|contexte|contesto|контекст|上下文|文脈|문맥)")
_TEXTS = _label(
    r"(?:\w+ )?(?:context|document|passage|text|source|excerpt|article|background|information)s?"
    r"|kontext|dokumente?|contexto|contexte|contesto|documentos|documenti|контекст|документы|上下文|文档|文脈|資料|문맥"
)
_SOMETHING = re.compile(r"\S")
_ENDS_ASKING = re.compile(r"[?？:：؟][ \t]*\n\s*")
_INTRODUCTION_CHARACTERS = 600
_QUESTION_CHARACTERS = 3_000
_PARAGRAPH_CHARACTERS = 1_000
_LINES_CHARACTERS = 240
_LABEL_CHARACTERS = 60
_REMARK_CHARACTERS = 120


def split_at_document(text: str, is_long: Callable[[str], bool], is_question: bool) -> tuple[str, str, str]:
    """Split a text into what stands before the document, the document, and what stands after it.

    Args:
        text: of a message.
        is_long: whether a piece of text is long enough to be a document.
        is_question: whether the message must ask something without its document.

    Returns:
        The three parts, which join to `text`; where there is no document, all of it is the first part.
    """
    start, end = _borders_in_question(text, is_long) if is_question else _borders_in_text(text)
    between = text[start:end]
    document = between.strip()
    if not document:
        return text, "", ""
    first = start + between.index(document)
    return text[:first], document, text[first + len(document) :]


def _borders_in_text(text: str) -> tuple[int, int]:
    """Start and end of the document in a text that may be nothing else."""
    asks = list(_ASKS.finditer(text))
    end = len(text)
    if asks and asks[-1].start() > 0 and len(text) - asks[-1].start() < _QUESTION_CHARACTERS:
        end = asks[-1].start()
    return _introduction(text, end), end


def _borders_in_question(text: str, is_long: Callable[[str], bool]) -> tuple[int, int]:
    """Start and end of the document in a text that asks something, before the document or after it."""
    asks = list(_ASKS.finditer(text))
    last = _labelled_end(text, asks)
    end = len(text) if last is None else last
    start = _labelled_start(text, end, asks, is_long, is_labelled=last is not None)
    if last is not None:
        return (_introduction(text, end) if start is None else start), end
    if start is not None:
        return start, _remark(text, 0)
    asked = [match.end() for match in _ENDS_ASKING.finditer(text, 0, _INTRODUCTION_CHARACTERS)]
    start = max([_introduction(text, end), *asked])
    if text[:start].rstrip().endswith(("?", "？", "؟")):
        return start, _remark(text, _REMARK_CHARACTERS)
    return start, _last_words(text)


def _introduction(text: str, end: int) -> int:
    """Start of a document that follows a paragraph or a line with a colon."""
    for border in ("\n\n", ":\n"):
        at = text.find(border, 0, _INTRODUCTION_CHARACTERS)
        if at >= 0:
            return at + 2 if at < end else 0
    return 0


def _labelled_start(
    text: str, end: int, asks: Sequence[re.Match[str]], is_long: Callable[[str], bool], *, is_labelled: bool
) -> int | None:
    """Start of a document that follows a labelled question, or has a label itself; `None` if there is no label."""
    early = [ask for ask in asks if ask.start() < _INTRODUCTION_CHARACTERS and ask.end() < end]
    if not early:
        named = None if is_labelled else _CONTEXT.search(text, 0, _INTRODUCTION_CHARACTERS)
        return named.end() if named else None
    named = _TEXTS.search(text, early[0].end(), min(early[0].end() + _QUESTION_CHARACTERS, end))
    if named and not is_long(text[: named.start()]):
        return named.end()
    if is_labelled and len(asks) > 2:  # the document is a list of questions
        return None
    first = _SOMETHING.search(text, early[-1].end())
    asked = first.start() if first else end
    for border in ("\n\n", "\n"):
        at = text.find(border, asked, end)
        if at >= 0 and not is_long(text[asked:at]):
            return at + len(border)
    return None


def _labelled_end(text: str, asks: Sequence[re.Match[str]]) -> int | None:
    """Start of a labelled question after a document; it may have several labels. `None` if there is none."""
    least = max(len(text) - _QUESTION_CHARACTERS, min(len(text) // 2, _INTRODUCTION_CHARACTERS))
    late = [ask for ask in asks if ask.start() > least]
    if not late:
        return None
    end, labels = late[-1].start(), {late[-1].group().strip()}
    for earlier in reversed(late[:-1]):
        # The same label several times makes a list of questions, which is a document.
        if end - earlier.start() >= _INTRODUCTION_CHARACTERS or earlier.group().strip() in labels:
            break
        end = earlier.start()
        labels.add(earlier.group().strip())
    return end


def _remark(text: str, most: int) -> int:
    """Start of what follows a document after the question: a label, a question, or a short paragraph."""
    whole = text.rstrip()
    line = whole.rfind("\n")
    if line > 0 and len(whole) - line <= _PARAGRAPH_CHARACTERS and whole.endswith(("?", "？", "؟", ":", "：", ":**")):
        return line
    paragraph = whole.rfind("\n\n")
    return paragraph if paragraph > 0 and len(whole) - paragraph <= most else len(text)


def _last_words(text: str) -> int:
    """Start of the last paragraph, or of the last lines of a long one, that is more than a label."""
    whole = text.rstrip()
    at = len(whole)
    while (at := whole.rfind("\n\n", 0, at)) > 0 and len(whole) - at <= _PARAGRAPH_CHARACTERS:
        if not _is_label(whole[at:]):
            return at
    at = found = max(whole.rfind("\n"), 0)
    while at > 0 and (len(whole) - at <= _LINES_CHARACTERS or _is_label(whole[found:])):
        found = at
        at = whole.rfind("\n", 0, at)
    return found


def _is_label(text: str) -> bool:
    return len(text) <= _LABEL_CHARACTERS and text.endswith((":", "：", ":**"))
