"""Documents in the prompts of existing applications: they become past context, and need no room in the window.

Applications put documents between fences, into the `repr` of objects, or as a long text before the question. The text
around a document, above all the question, stays running text.
"""

import ast
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from zlib import crc32

from sharedllm_core import Document, SharedLLMEngine

from .document_borders import split_at_document
from .document_set import unique_id

__all__ = ["SplitText", "find_documents", "length_test"]

_FENCES = (
    re.compile(r"(?P<open>^-{10,}\n)(?P<text>.*?)(?P<close>\n-{10,}$)", re.DOTALL | re.MULTILINE),
    re.compile(r"(?P<open><documents?\b[^<>]*>\n?)(?P<text>.*?)(?P<close>\n?</documents?>)", re.DOTALL),
    re.compile(r'(?P<open>^"""\n)(?P<text>.*?)(?P<close>\n"""\s*$)', re.DOTALL | re.MULTILINE),
    re.compile(r"(?P<open><context>\n?)(?P<text>.*?)(?P<close>\n?</context>)", re.DOTALL),
)
_REPR = re.compile(r"\[Document\(")
_PART_CHARACTERS = 6_000
_MARK = "[document {}]"
_TITLE = re.compile(r"# [^\n]+\n\n")  # a paragraph of its own: a comment in code has code below it


@dataclass(frozen=True)
class SplitText:
    """A text without its documents.

    Attributes:
        documents: taken out of it, in order.
        rest: the text, with a mark in place of each document.
    """

    documents: tuple[Document, ...]
    rest: str


def length_test(engine: SharedLLMEngine, min_tokens: int) -> Callable[[str], bool]:
    """Return a test whether a text has at least `min_tokens` tokens."""

    def is_long(text: str) -> bool:
        # A token covers at least one character and, in prose, at most 32: few texts need counting.
        if len(text) >= 32 * min_tokens:
            return True
        return len(text) >= min_tokens and engine.tokenizer.count(text) >= min_tokens

    return is_long


def find_documents(
    text: str, is_long: Callable[[str], bool], first_number: int = 1, ids: Collection[str] = (), *, is_question: bool
) -> SplitText:
    """Take the documents out of a message's text.

    Args:
        text: of the message.
        is_long: whether a piece is long enough to be a document.
        first_number: number of the first document found, by which its mark names it.
        ids: ids of other documents; documents found here get other ids.
        is_question: whether the message must ask something without its documents; then its question stays.
    """
    found: list[Document] = []

    def extract(text: str) -> str:
        """Turn a text into documents, and return their mark."""
        names = []
        for part in _parts(text):
            number = first_number + len(found)
            found.append(Document(part, id=unique_id(f"prompt {number}", ids)))
            names.append(number)
        return _MARK.format(names[0] if len(names) == 1 else f"{names[0]}-{names[-1]}")

    def without_document(fence: re.Match[str]) -> str:
        return fence["open"] + extract(fence["text"]) + fence["close"] if is_long(fence["text"]) else fence[0]

    rest = text
    for fence in _FENCES:
        rest = fence.sub(without_document, rest)
    if not found:
        rest = _without_reprs(rest, is_long, extract)
    before, blob, after = split_at_document(rest, is_long, is_question)
    if is_long(blob):
        rest = before + extract(blob) + after
    return SplitText(tuple(found), rest)


def _without_reprs(text: str, is_long: Callable[[str], bool], extract: Callable[[str], str]) -> str:
    """Extract the documents of a list of LangChain's Documents that stands in a text as its `repr`."""
    at = _REPR.search(text)
    if at is None:
        return text
    for end in (match.end() for match in re.finditer(r"\)\]", text) if match.end() > at.start()):
        try:
            calls = ast.parse(text[at.start() : end], mode="eval").body
            pages = [
                next(ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg == "page_content")
                for call in getattr(calls, "elts", [])
            ]
        except (SyntaxError, ValueError, StopIteration, AttributeError):
            continue
        if pages and is_long("\n\n".join(pages)):
            return text[: at.start()] + " ".join(extract(page) for page in pages) + text[end:]
        return text
    return text


def _parts(text: str) -> list[str]:
    """Cut a text between paragraphs, at places that depend only on the paragraphs next to them.

    When an application joins its documents in another order next time, most parts are the same and cached: all of them
    where documents begin with a title (`# …`), otherwise all but those where documents meet.

    Returns:
        The parts, without white space at their ends.
    """
    parts: list[str] = []
    current: list[str] = []
    size = 0
    for paragraph in re.split(r"(?<=\n\n)", text):
        # Without the blank line that follows it, except at the end of a text.
        is_border = crc32(paragraph.rstrip().encode("utf-8", "surrogatepass")) % 8 == 0
        is_full = size > _PART_CHARACTERS // 4 and (is_border or size > 2 * _PART_CHARACTERS)
        if is_full or (current and _TITLE.fullmatch(paragraph)):
            parts.append("".join(current).rstrip())
            current, size = [], 0
        current.append(paragraph)
        size += len(paragraph)
    parts.append("".join(current).rstrip())
    return [part for part in parts if part]
