"""A call of `ChatSharedLLM` as one request to the engine."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from sharedllm_core import InputError

from .._shared.answer_options import CALL_ARGUMENTS, OPTION_FIELDS, answer_options, stop_strings
from .._shared.document_set import documents_given_twice
from .._shared.engine_model import EngineModel
from .._shared.errors import worded_errors
from .._shared.request import Request, make_request
from .documents import DocumentSet
from .messages import parse_message
from .structured import openai_tools

__all__ = ["request_from", "with_document_handle"]

#: Arguments that LangChain sends for itself, or that change nothing here.
_ACCEPTED = ("model", "stream", "strict", "ls_structured_output_format")


def with_document_handle(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a call's arguments with the documents under a handle, so that LangChain sees no text of them."""
    if arguments.get("documents") is None:
        return arguments
    return {**arguments, "documents": DocumentSet.wrap(arguments["documents"])}


@worded_errors()
def request_from(
    model: EngineModel,
    documents: DocumentSet | None,
    messages: Sequence[BaseMessage],
    stop: Sequence[str] | None,
    arguments: Mapping[str, Any],
    *,
    with_citations: bool,
) -> Request:
    """Convert a call to a request; whatever is wrong with the call is raised here.

    Args:
        model: its fields are the defaults of the arguments.
        documents: of the model.
        messages: of LangChain.
        stop: stop strings of the call.
        arguments: other arguments of the call.
        with_citations: whether the content of the answer carries citations.

    Raises:
        InputError: unknown arguments, documents in two places, or messages that cannot be converted.
    """
    if unknown := sorted(set(arguments) - {*OPTION_FIELDS, *CALL_ARGUMENTS, *_ACCEPTED}):
        raise InputError(
            f"unknown parameters {unknown} of a call", remedy=f"known are {sorted(OPTION_FIELDS)}, tools, documents"
        )
    engine = model.get_engine(arguments.get("model"))
    options = answer_options(model, arguments, openai_tools(arguments.get("tools") or []))
    must_fit = options["constraint"] is not None or options["tool_choice"] not in ("auto", "none")
    # The model's own stop strings could cut off an answer that must fit a schema or be a tool call.
    options["stop"] = stop_strings(stop) or stop_strings(None if must_fit else model.stop)
    call_documents = DocumentSet.wrap(arguments.get("documents"))
    if call_documents is not None and documents is not None:
        raise documents_given_twice()
    return make_request(
        model,
        engine,
        messages,
        parse_message,
        documents=call_documents or documents,
        options=options,
        timeout=arguments.get("timeout", model.timeout),
        model_name=str(arguments.get("model") or model.model_name),
        with_citations=with_citations,
    )
