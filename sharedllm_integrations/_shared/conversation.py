"""A conversation in the engine's form, and the documents that its messages carried."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sharedllm_core import Document, InputError

from .document_set import with_unique_ids
from .prompt_documents import find_documents

__all__ = ["Conversation", "ParsedMessage", "read_conversation"]

M = TypeVar("M")


@dataclass(frozen=True)
class ParsedMessage:
    """A framework's message, converted by its integration.

    Attributes:
        role: in the engine's terms.
        text: of all text blocks.
        documents: from content blocks.
        tool_fields: tool calls, or the id of the call that the message answers, in OpenAI's form.
        thoughts: of an earlier answer; never part of the text.
    """

    role: str
    text: str
    documents: Sequence[Document] = ()
    tool_fields: Mapping[str, Any] = field(default_factory=dict)
    thoughts: str = ""


@dataclass
class Conversation:
    """Messages for the engine, and the documents that they carried.

    Attributes:
        messages: role, content, tool fields and thoughts of each.
        documents: from content blocks and from long texts; each has an id of its own.
        moved: for the response metadata: which messages documents were taken from.
    """

    messages: list[dict[str, Any]] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    moved: list[dict[str, Any]] = field(default_factory=list)

    def add_documents(self, documents: Sequence[Document], message: int, source: str) -> None:
        """Add documents that were taken from a message, given its number; `source` says where in it they were."""
        if documents:
            self.documents += documents
            names = [document.id for document in documents]
            self.moved.append({"message": message, "documents": names, "from": source})


def read_conversation(
    messages: Sequence[M],
    parse: Callable[[M, int], ParsedMessage],
    is_long: Callable[[str], bool] | None,
    taken_ids: Collection[str] = (),
) -> Conversation:
    """Convert a framework's messages, and take the documents out of them.

    Args:
        messages: of the framework.
        parse: converts a message, given its number.
        is_long: whether a piece of text is long enough to be a document; `None` leaves texts as they are.
        taken_ids: ids of other documents; documents found here get other ids.

    Raises:
        InputError: no messages, or a content block that is neither text nor a document.
    """
    if not messages:
        raise InputError("there are no messages", remedy="give a question")
    conversation = Conversation()
    for number, message in enumerate(messages):
        parsed = parse(message, number)
        text = parsed.text
        ids = {*taken_ids, *(document.id for document in conversation.documents)}
        attached = with_unique_ids(parsed.documents, ids)
        conversation.add_documents(attached, number, "content blocks")
        if is_long is not None and parsed.role != "assistant":
            ids.update(document.id for document in attached)
            first_number = len(conversation.documents) + 1
            found = find_documents(text, is_long, first_number, ids, is_question=parsed.role == "user")
            text = found.rest
            conversation.add_documents(found.documents, number, "text")
        thoughts = {"reasoning_content": parsed.thoughts} if parsed.thoughts else {}
        conversation.messages.append({"role": parsed.role, "content": text, **parsed.tool_fields, **thoughts})
    return conversation
