"""One call of an integration's model as one request to the engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, TypeVar

from sharedllm_core import Library, SharedLLMEngine

from .conversation import read_conversation
from .document_set import DocumentSet, joined_library
from .engine_model import EngineModel
from .prompt_rules import PromptSplitter
from .response_details import ResponseDetails
from .split_messages import ParsedMessage

__all__ = ["Request", "make_request"]

M = TypeVar("M")


@dataclass(eq=False)
class Request:
    """One question to an engine.

    Attributes:
        engine: answers it.
        messages: in the engine's form; the last one is answered.
        library: the documents to answer from; `None` for none.
        options: see `AnswerSettings`.
        details: what the response reports beside the answer.
        timeout: seconds after which the caller stops waiting; `None` waits without limit.
        cancelled: set it to stop generation within one token.
    """

    engine: SharedLLMEngine
    messages: list[dict[str, Any]]
    library: Library | None
    options: Mapping[str, Any]
    details: ResponseDetails
    timeout: float | None = None
    cancelled: Event = field(default_factory=Event)


def make_request(
    model: EngineModel,
    engine: SharedLLMEngine,
    messages: Sequence[M],
    parse: Callable[[M, int], ParsedMessage],
    *,
    documents: DocumentSet | None,
    options: Mapping[str, Any],
    timeout: float | None,
    model_name: str,
    with_citations: bool = False,
) -> Request:
    """Convert a call of a framework's model to a request; whatever is wrong with the call is raised here.

    Args:
        model: its fields say how documents in messages are found, and whether evidence shows text.
        engine: answers the request.
        messages: of the framework.
        parse: converts a message, given its number.
        documents: given to the model or to the call.
        options: see `answer_options`.
        timeout: in seconds.
        model_name, with_citations: see `ResponseDetails`.

    Raises:
        InputError: messages that cannot be converted.
        DocumentError: documents that cannot be read.
    """
    splitter = PromptSplitter(engine, model.documents_from_prompt, model.min_document_tokens, options)
    own_ids = [] if documents is None else [document.id for document in documents.documents]
    conversation = read_conversation(messages, parse, splitter, own_ids)
    details = ResponseDetails(
        model_name,
        conversation.moved,
        frozenset({*own_ids, *conversation.shown_ids}),
        frozenset({*own_ids, *conversation.shown_ids} if model.evidence_text else conversation.shown_ids),
        {} if documents is None else documents.notes,
        with_citations,
    )
    library = joined_library(engine, documents, conversation.documents)
    return Request(engine, conversation.messages, library, options, details, timeout)
