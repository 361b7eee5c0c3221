"""One call of `ChatSharedLLM`, ready for the engine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage

from sharedllm_core import InputError, SharedLLMEngine

from .._batching import Ask
from .._document_set import joined_library
from .._formats import choice_of_tool, constraint_of, strings_of
from .._found_documents import is_long
from .documents import DocumentSet, given_twice
from .messages import read_messages
from .output import Told
from .structured import tools_of

if TYPE_CHECKING:
    from .chat_model import ChatSharedLLM

__all__ = ["OPTIONS", "Call", "call_of", "handled"]

#: Fields of `ChatSharedLLM`, and arguments of a call, that the engine takes.
OPTIONS = ("temperature", "top_p", "top_k", "repetition_penalty", "max_tokens", "seed", "num_evidence")
#: Looked at elsewhere, or said to no effect.
_OTHER = ("model", "timeout", "stream", "strict", "ls_structured_output_format")


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes:
        engine: who answers.
        ask: messages, library, and options.
        told: what stands beside the answer.
    """

    engine: SharedLLMEngine
    ask: Ask
    told: Told


def handled(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a call, with documents under a handle before LangChain sees them."""
    if kwargs.get("documents") is None:
        return kwargs
    return {**kwargs, "documents": DocumentSet.of(kwargs["documents"])}


def call_of(
    llm: "ChatSharedLLM", messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]
) -> Call:
    """Everything that can be wrong with a call shows here.

    Raises:
        InputError: arguments that are not known, documents in two places, or messages that cannot be read.
    """
    given = dict(kwargs)
    engine = llm.get_engine(given.get("model"))
    options: dict[str, Any] = {name: given.pop(name, getattr(llm, name)) for name in OPTIONS}
    options["max_new_tokens"] = options.pop("max_tokens")
    options["constraint"] = constraint_of(given.pop("response_format", None))
    options["tools"] = tools_of(given.pop("tools", None) or [])
    options["tool_choice"] = choice_of_tool(given.pop("tool_choice", None), options["tools"])
    options["parallel_tool_calls"] = given.pop("parallel_tool_calls", True)
    has_to_fit = options["constraint"] is not None or options["tool_choice"] not in ("auto", "none")
    options["stop"] = strings_of(stop) or strings_of(None if has_to_fit else llm.stop)  # which could cut it off
    documents = DocumentSet.of(given.pop("documents", None))
    if documents is not None and llm.documents is not None:
        raise given_twice()
    if unknown := sorted(set(given) - set(_OTHER)):
        raise InputError(f"unknown parameters {unknown} of a call; known are {sorted(OPTIONS)}, tools, documents")
    documents = documents or llm.documents
    document_like = is_long(engine, llm.min_document_tokens) if llm.documents_from_prompt else None
    taken = [] if documents is None else [document.id for document in documents.documents]
    conversation = read_messages(messages, document_like, taken)
    library = joined_library(engine, documents, conversation.documents)
    shown = None if llm.evidence_text else frozenset(document.id for document in conversation.documents)
    name = str(kwargs.get("model") or llm.model_name)
    told = Told(name, conversation.moved, shown, llm.output_version == "v1")
    return Call(engine, Ask(conversation.messages, library, options), told)
