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

_FENCES = (
    re.compile(r"<(?P<tag>documents|document|context)\b[^<>]*>(?P<text>.*?)</(?P=tag)>", re.DOTALL | re.IGNORECASE),
    re.compile(r"^(?P<rule>-{10,})[ \t]*\n(?P<text>.*?)\n(?P=rule)[ \t]*$", re.DOTALL | re.MULTILINE),
)
_INNER = re.compile(r"<document\b[^<>]*>(?P<text>.*?)</document>", re.DOTALL | re.IGNORECASE)
_REPR = re.compile(r"\[Document\(")
# Up to three words with a colon, or as a heading, which introduce what follows and say nothing without it.
_WORDS = r"(?:[^\s:：#]+[ \t]*){1,3}"
_LABEL = re.compile(rf"(?:^|(?<=\n))[ \t>*]*(?:#+[ \t]*{_WORDS}[:：]?|{_WORDS}[:：])\**\s*\Z")
_LABEL_CHARACTERS = 80


@dataclass(frozen=True)
class MarkedDocuments:
    """Documents at one place of a text.

    Attributes:
        start, end: characters of the place, with the fences and a label that would be left empty.
        documents: the documents there. One without an id of its own has the id `""`.
    """

    start: int
    end: int
    documents: tuple[Document | str, ...]


def marked_documents(text: str, known: Sequence[Document] = ()) -> list[MarkedDocuments]:
    """Find the documents that are marked in a text.

    Args:
        text: of a message.
        known: documents whose text stands in the message too, such as the artifacts of a tool.

    Returns:
        In the order of the text, without overlap.
    """
    found: list[MarkedDocuments] = []
    for marked in sorted([*_known(text, known), *_fenced(text), *_reprs(text)], key=lambda one: (one.start, -one.end)):
        if not found or marked.start >= found[-1].end:
            found.append(marked)
    return found


def _known(text: str, documents: Sequence[Document]) -> Iterator[MarkedDocuments]:
    position = 0
    for document in documents:
        start = text.find(document.text, position) if document.text.strip() else -1
        if start >= 0:
            position = start + len(document.text)
            yield MarkedDocuments(start, position, (document,))


def _fenced(text: str) -> Iterator[MarkedDocuments]:
    for fence in _FENCES:
        for match in fence.finditer(text):
            inner = match["text"]
            several = [each["text"].strip() for each in _INNER.finditer(inner)]
            several = several or [page for one in _reprs(inner) for page in map(str, one.documents)]
            yield MarkedDocuments(_label_start(text, match.start()), match.end(), tuple(several or [inner.strip()]))


def _label_start(text: str, start: int) -> int:
    """Where a label in front of a place begins; the place itself if there is none."""
    before = max(0, start - _LABEL_CHARACTERS)
    label = _LABEL.search(text[before:start]) if start else None
    is_line = label is not None and (before + label.start() == 0 or text[before + label.start() - 1] == "\n")
    return before + label.start() if label is not None and is_line else start


def _reprs(text: str) -> Iterator[MarkedDocuments]:
    """Lists of LangChain's Documents that stand in a text as their `repr`."""
    position = 0
    while (start := _REPR.search(text, position)) is not None:
        position = start.end()
        for end in (match.end() for match in re.finditer(r"\)\]", text[start.start() :])):
            pages = _pages(text[start.start() : start.start() + end])
            if pages:
                position = start.start() + end
                yield MarkedDocuments(start.start(), position, tuple(pages))
                break


def _pages(source: str) -> list[str]:
    """The texts of the Documents in a `repr`; empty if it is none."""
    try:
        calls = ast.parse(source, mode="eval").body
        return [
            next(ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg == "page_content")
            for call in getattr(calls, "elts", [])
        ]
    except (SyntaxError, ValueError, StopIteration, AttributeError):
        return []
