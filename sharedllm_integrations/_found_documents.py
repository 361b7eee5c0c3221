"""Documents in the prompts of existing applications: found, so that they need not stand in the model's window.

Applications put documents where they can: between fences, as the `repr` of objects, or just as a long text before the
question. What is found becomes past context, and what stands around it, the question above all, stays running text.
"""

import ast
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from zlib import crc32

from sharedllm_core import Document, SharedLLMEngine

from ._around_documents import around_document
from ._document_set import free_name

__all__ = ["Found", "find_documents", "is_long"]

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
class Found:
    """Documents that stood in a text, and what is left of it."""

    documents: tuple[Document, ...]
    rest: str


def is_long(engine: SharedLLMEngine, least: int) -> Callable[[str], bool]:
    """Whether a text has at least so many tokens."""
    # No tokenizer makes less than a token of 32 characters of prose, nor more than one of each: few need counting.
    return lambda text: len(text) >= 32 * least or (len(text) >= least and engine.tokenizer.count(text) >= least)


def find_documents(
    text: str, is_long: Callable[[str], bool], first_number: int = 1, ids: Collection[str] = (), *, is_question: bool
) -> Found:
    """Documents in a message.

    Args:
        text: what the message says.
        is_long: whether a piece is long enough to be a document.
        first_number: of the documents, by which the rest names them.
        ids: of other documents, which none here gets.
        is_question: whether the message has to say something without its documents; then its question stays.
    """
    found: list[Document] = []

    def taken(text: str) -> str:
        names = []
        for part in _parts(text):
            number = first_number + len(found)
            found.append(Document(part, id=free_name(f"prompt {number}", ids)))
            names.append(number)
        return _MARK.format(names[0] if len(names) == 1 else f"{names[0]}-{names[-1]}")

    rest = text
    for fence in _FENCES:
        rest = fence.sub(
            lambda match: match["open"] + taken(match["text"]) + match["close"] if is_long(match["text"]) else match[0],
            rest,
        )
    if not found:
        rest = _without_reprs(rest, is_long, taken)
    before, blob, after = around_document(rest, is_long, is_question)
    if is_long(blob):
        rest = before + taken(blob) + after
    return Found(tuple(found), rest)


def _without_reprs(text: str, is_long: Callable[[str], bool], taken: Callable[[str], str]) -> str:
    """A text without lists of LangChain's Documents, as `str` writes them."""
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
            return text[: at.start()] + " ".join(taken(page) for page in pages) + text[end:]
        return text
    return text


def _parts(text: str) -> list[str]:
    """A text cut between paragraphs at places that depend on the paragraphs around them alone, without blank ends.

    So when documents are put together in another order next time, most parts are the same, and known to the cache: all
    of them where documents begin with a title (`# …`), and otherwise all but those where documents meet.
    """
    parts: list[str] = []
    current: list[str] = []
    size = 0
    for paragraph in re.split(r"(?<=\n\n)", text):
        # The same at the end of a text, where no blank line follows.
        is_border = crc32(paragraph.rstrip().encode("utf-8", "surrogatepass")) % 8 == 0
        is_full = size > _PART_CHARACTERS // 4 and (is_border or size > 2 * _PART_CHARACTERS)
        if is_full or (current and _TITLE.fullmatch(paragraph)):
            parts.append("".join(current).rstrip())
            current, size = [], 0
        current.append(paragraph)
        size += len(paragraph)
    parts.append("".join(current).rstrip())
    return [part for part in parts if part]
