"""One call of `SharedLLM`, ready for the engine."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage

from sharedllm_core import InputError, SharedLLMEngine

from .._batching import Ask
from .._document_set import joined_library
from .._formats import choice_of_tool, constraint_of, strings_of
from .._found_documents import is_long
from .documents import Handle, check_size
from .messages import read_messages
from .output import Told

if TYPE_CHECKING:
    from .llm import SharedLLM

__all__ = ["OPTIONS", "Call", "ahandled", "call_of", "handled"]

#: Fields of `SharedLLM`, and arguments of a call, that the engine takes.
OPTIONS = {"temperature", "top_p", "top_k", "repetition_penalty", "max_tokens", "seed", "num_evidence"}
_OTHER = {"tools", "tool_choice", "parallel_tool_calls", "response_format", "documents", "stop", "timeout", "formatted"}


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes:
        engine: who answers.
        ask: messages, library, and options.
        timeout: seconds after which it is given up.
        told: what stands beside the answer.
    """

    engine: SharedLLMEngine
    ask: Ask
    timeout: float | None
    told: Told


def handled(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a call, with documents under a handle before events see them."""
    given = dict(kwargs)
    if given.get("documents") is not None:
        given["documents"] = Handle.of(given["documents"])
    return given


async def ahandled(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """`handled`, beside the event loop: documents are loaded for it."""
    return handled(kwargs) if kwargs.get("documents") is None else await asyncio.to_thread(handled, kwargs)


def call_of(llm: "SharedLLM", messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> Call:
    """Everything that can be wrong with a call shows here.

    Raises:
        InputError: arguments that are not known, documents in two places, or messages that cannot be read.
        WindowError: more documents than `context_window`.
    """
    given = dict(kwargs)
    if unknown := sorted(set(given) - OPTIONS - _OTHER):
        raise InputError(f"unknown arguments {unknown} of a call; known are {sorted(OPTIONS | _OTHER)}")
    engine = llm.get_engine()
    options: dict[str, Any] = {name: given.get(name, getattr(llm, name)) for name in OPTIONS}
    options["max_new_tokens"] = options.pop("max_tokens")
    options["constraint"] = constraint_of(given.get("response_format"))
    options["tools"] = list(given.get("tools") or [])
    options["tool_choice"] = choice_of_tool(given.get("tool_choice"), options["tools"])
    options["parallel_tool_calls"] = given.get("parallel_tool_calls", True)
    options["stop"] = strings_of(given.get("stop") or llm.stop)
    given_documents = Handle.of(given.get("documents"))
    if given_documents is not None and llm.documents is not None:
        raise InputError("documents are given to the model and to the call; give them in one of these places")
    document_like = is_long(engine, llm.min_document_tokens) if llm.documents_from_prompt else None
    given_documents = given_documents or llm.documents
    taken = [] if given_documents is None else [document.id for document in given_documents.documents.documents]
    conversation = read_messages(messages, document_like, taken)
    documents = None if given_documents is None else given_documents.documents
    library = joined_library(engine, documents, conversation.documents)
    check_size(library, llm.context_window)
    shown = None if llm.evidence_text else frozenset(document.id for document in conversation.documents)
    notes = {} if given_documents is None else given_documents.documents.notes
    told = Told(llm.metadata.model_name, conversation.moved, shown, notes)
    return Call(engine, Ask(conversation.messages, library, options), given.get("timeout", llm.timeout), told)
