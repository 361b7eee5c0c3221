"""A conversation in the engine's form, and the documents that its messages carried."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sharedllm_core import Document, InputError

from .document_parts import document_parts
from .document_set import with_unique_ids
from .prompt_rules import PromptSplitter
from .split_messages import ParsedMessage, SplitMessage, engine_messages

__all__ = ["Conversation", "read_conversation"]

M = TypeVar("M")


@dataclass
class Conversation:
    """Messages for the engine, and the documents that they carried.

    Attributes:
        messages: role, content, tool fields and thoughts of each.
        documents: from content blocks and from texts; each has an id of its own.
        moved: for the response metadata: which messages documents were taken from.
        shown_ids: ids of the documents whose text evidence may show: those that a user or a tool put into a message.
    """

    messages: list[dict[str, Any]] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    moved: list[dict[str, Any]] = field(default_factory=list)
    shown_ids: set[str] = field(default_factory=set)

    def add_documents(self, documents: Sequence[Document], message: int, role: str, source: str) -> None:
        """Add documents that were taken from a message.

        Args:
            documents: with ids that no other document has.
            message: its number.
            role: of the message.
            source: where in the message they were.
        """
        if documents:
            self.documents += documents
            names = [document.id for document in documents]
            self.moved.append({"message": message, "documents": names, "from": source})
            if role in ("user", "tool"):
                self.shown_ids.update(names)


def read_conversation(
    messages: Sequence[M],
    parse: Callable[[M, int], ParsedMessage],
    splitter: PromptSplitter,
    taken_ids: Collection[str] = (),
) -> Conversation:
    """Convert a framework's messages, and take the documents out of them.

    Args:
        messages: of the framework.
        parse: converts a message, given its number.
        splitter: decides which text becomes past context.
        taken_ids: ids of other documents; documents found here get other ids.

    Raises:
        InputError: no messages, or a content block that is neither text nor a document.
    """
    if not messages:
        raise InputError("there are no messages", remedy="give a question")
    parsed = [parse(message, number) for number, message in enumerate(messages)]
    split = splitter.split([SplitMessage.whole(message) for message in parsed])
    conversation = Conversation(engine_messages(split))
    for number, message in enumerate(split):
        for source, documents in (("content blocks", message.message.documents), ("text", _documents(message))):
            named = [
                _named(document, len(conversation.documents) + place) for place, document in enumerate(documents, 1)
            ]
            ids = {*taken_ids, *(document.id for document in conversation.documents)}
            conversation.add_documents(with_unique_ids(named, ids), number, message.role, source)
    return conversation


def _documents(message: SplitMessage) -> Iterator[Document | str]:
    """The parts of a message's text that become past context; long texts in several documents."""
    for part in message.parts:
        for document in part.documents or ():
            yield from [document] if isinstance(document, Document) else document_parts(document)


def _named(document: Document | str, number: int) -> Document:
    return Document(document, id=f"prompt {number}") if isinstance(document, str) else document
