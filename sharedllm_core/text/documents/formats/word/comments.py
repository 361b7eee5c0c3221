"""Comments of Word files: each with its author, and replies behind what they answer."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .names import W
from .paragraphs import ParagraphReader
from .styles import Styles

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["Comments"]


class Comments:
    """The comments of a document, in threads.

    Args:
        document: to which they belong.
        part: with the comments; `None` if the file has none.
        threads: the part that says which comments are replies; `None` if the file has none.
        styles: of the document.
    """

    def __init__(
        self, document: "_Element", part: "_Element | None", threads: "_Element | None", styles: Styles
    ) -> None:
        reader = ParagraphReader(styles)
        starts = document.iter(f"{W}commentRangeStart")
        self._starts = {start.get(f"{W}id", ""): position for position, start in enumerate(starts)}
        self._texts: dict[str, str] = {}
        ids: dict[str, str] = {}  # of comments, by the ids of their paragraphs
        for comment in () if part is None else part.iterfind(f"{W}comment"):
            comment_id = comment.get(f"{W}id", "")
            paragraphs = list(comment.iter(f"{W}p"))
            text = " ".join(" ".join(map(reader.text, paragraphs)).split())
            self._texts[comment_id] = _written(comment.get(f"{W}author", ""), text)
            ids |= dict.fromkeys((_attribute(paragraph, "paraId") for paragraph in paragraphs), comment_id)
        ids.pop("", None)  # paragraphs without an id
        self._answered = {} if threads is None else _answered(threads, ids)
        self._threads: dict[str, list[str]] = {}
        for comment_id in sorted(self._texts, key=self._answered.__contains__):  # replies last
            self._threads.setdefault(self._first(comment_id), []).append(comment_id)

    def take(self, references: Iterable[str]) -> list[str]:
        """Return the threads to which comments belong, each comment as `[Comment by NAME: text]`.

        Comments that begin earlier stand first. A thread that was taken before is left out.

        Args:
            references: ids of comments.
        """
        in_order = sorted(references, key=lambda reference: self._starts.get(reference, len(self._starts)))
        threads = (self._threads.pop(self._first(reference), ()) for reference in in_order)
        return [self._texts[comment_id] for thread in threads for comment_id in thread if self._texts[comment_id]]

    def _first(self, comment_id: str) -> str:
        """Return the comment that begins the thread of another."""
        seen = set()
        while comment_id in self._answered and comment_id not in seen:
            seen.add(comment_id)
            comment_id = self._answered[comment_id]
        return comment_id


def _answered(threads: "_Element", ids: dict[str, str]) -> dict[str, str]:
    """Return the comment that each reply answers."""
    answered = {}
    for entry in threads:
        reply, parent = ids.get(_attribute(entry, "paraId")), ids.get(_attribute(entry, "paraIdParent"))
        if reply and parent:
            answered[reply] = parent
    return answered


def _attribute(element: "_Element", name: str) -> str:
    """Return an attribute of any namespace; Word and its successors differ in them."""
    return next((value for key, value in element.attrib.items() if str(key).rpartition("}")[2] == name), "")


def _written(author: str, text: str) -> str:
    by = f" by {author}" if author else ""
    return f"[Comment{by}: {text}]" if text else ""
