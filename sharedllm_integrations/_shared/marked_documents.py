"""Documents that are marked as such in a prompt: between fences, as the `repr` of Documents, or known from a tool.

Fences are `<context>`, `<document>` and `<documents>`, and LlamaIndex's two equal lines of dashes. Other tags and the
fences of Markdown are text.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sharedllm_core import Document

__all__ = ["MarkedDocuments", "marked_documents"]

_OPENING = re.compile(r"<(?P<tag>documents|document|context)(?:\s[^<>]*)?(?<!/)>", re.IGNORECASE)
_RULE = re.compile(r"^-{10,}(?=[ \t]*$)", re.MULTILINE)
_REPR = re.compile(r"\[Document\(")
# One or two words with a colon, or as a heading, which introduce what follows and say nothing without it.
_WORDS = r"(?:[^\s:：#]+[ \t]*){1,2}"
_LABEL = re.compile(rf"(?:^|(?<=\n))[ \t>*]*(?:#+[ \t]*{_WORDS}[:：]?|{_WORDS}[:：])\**\s*\Z")
_LABEL_CHARACTERS = 24  # and fewer where words are not set apart
_MAX_PARSED_REPRS = 50  # of one text: parsing takes time in proportion to its length


@dataclass(frozen=True)
class MarkedDocuments:
    """Documents at one place of a text.

    Attributes:
        label_start: where a label begins that would be left empty; `start` if there is none.
        start, end: characters of the place, with the fences.
        documents: the documents there. One without an id of its own has the id `""`.
    """

    label_start: int
    start: int
    end: int
    documents: tuple[Document | str, ...]


def marked_documents(text: str, known: Sequence[Document] = (), *, ruled: bool = True) -> list[MarkedDocuments]:
    """Find the documents that are marked in a text.

    Args:
        text: of a message.
        known: documents whose text stands in the message too, such as the artifacts of a tool.
        ruled: whether two equal lines of dashes are a fence; in Markdown they may be headings and tables.

    Returns:
        In the order of the text, without overlap.
    """
    found: list[MarkedDocuments] = []
    for marked in sorted(
        [*_known(text, known), *_fenced(text, ruled), *_reprs(text)], key=lambda one: (one.start, -one.end)
    ):
        if not found or marked.start >= found[-1].end:
            found.append(marked)
    return found


def _known(text: str, documents: Sequence[Document]) -> Iterator[MarkedDocuments]:
    position = 0
    for document in documents:
        start = text.find(document.text, position) if document.text.strip() else -1
        if start >= 0:
            position = start + len(document.text)
            yield MarkedDocuments(_label_start(text, start), start, position, (document,))


def _fenced(text: str, ruled: bool) -> Iterator[MarkedDocuments]:
    for start, end, inner in (*_tagged(text), *(_ruled(text) if ruled else ())):
        yield MarkedDocuments(_label_start(text, start), start, end, tuple(_inner_documents(inner)))


def _inner_documents(text: str) -> Iterator[Document | str]:
    """The documents between fences: those that are marked there too, and the text around them."""
    marked: list[tuple[int, int, tuple[Document | str, ...]]] = [
        (start, end, (inner,)) for start, end, inner in _tagged(text, only="document")
    ]
    position = 0
    for start, end, documents in marked or [(one.start, one.end, one.documents) for one in _reprs(text)]:
        yield from (text[position:start].strip(), *documents)
        position = end
    yield text[position:].strip()


def _tagged(text: str, only: str = "") -> Iterator[tuple[int, int, str]]:
    """Start and end of each outermost pair of tags, and the text between them; in time linear in the text."""
    lowered = text.lower() if len(text.lower()) == len(text) else text  # some capitals have longer small letters
    position = 0
    unclosed: set[str] = set()
    while (opening := _OPENING.search(text, position)) is not None:
        tag = opening["tag"].lower()
        position = opening.end()
        if tag in unclosed or (only and tag != only):
            continue
        closing = lowered.find(f"</{tag}>", position)
        if closing < 0:
            unclosed.add(tag)
            continue
        inner = text[position:closing]
        position = closing + len(tag) + 3
        yield opening.start(), position, inner


def _ruled(text: str) -> Iterator[tuple[int, int, str]]:
    """Start and end of each pair of equal lines of dashes, and the text between them."""
    rules = list(_RULE.finditer(text))
    following: dict[int, int] = {}  # by the length of a line, the number of the next one
    next_equal: list[int | None] = [None] * len(rules)
    for number in range(len(rules) - 1, -1, -1):
        length = len(rules[number][0])
        next_equal[number] = following.get(length)
        following[length] = number
    number = 0
    while number < len(rules):
        closing = next_equal[number]
        if closing is None:
            number += 1
            continue
        yield rules[number].start(), rules[closing].end(), text[rules[number].end() : rules[closing].start()]
        number = closing + 1


def _label_start(text: str, start: int) -> int:
    """Where a label in front of a place begins; the place itself if there is none."""
    before = max(0, start - _LABEL_CHARACTERS)
    label = _LABEL.search(text[before:start]) if start else None
    is_line = label is not None and (before + label.start() == 0 or text[before + label.start() - 1] == "\n")
    return before + label.start() if label is not None and is_line else start


def _reprs(text: str) -> Iterator[MarkedDocuments]:
    """Lists of LangChain's Documents that stand in a text as their `repr`."""
    position = parsed = 0
    while (start := _REPR.search(text, position)) is not None:
        position = start.end()
        end = position
        while parsed < _MAX_PARSED_REPRS and (closing := text.find(")]", end)) >= 0:
            end = closing + 2
            parsed += 1
            if pages := _pages(text[start.start() : end]):
                position = end
                yield MarkedDocuments(_label_start(text, start.start()), start.start(), end, tuple(pages))
                break


def _pages(source: str) -> list[str]:
    """The texts of the Documents in a `repr`; empty if it is none."""
    try:
        calls = ast.parse(source, mode="eval").body
        pages = [
            next(ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg == "page_content")
            for call in getattr(calls, "elts", [])
        ]
    except (SyntaxError, ValueError, TypeError, StopIteration, AttributeError, RecursionError, MemoryError):
        return []
    return pages if all(isinstance(page, str) for page in pages) else []
