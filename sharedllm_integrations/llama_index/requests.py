"""A call of `SharedLLM` as one request to the engine."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage

from sharedllm_core import InputError

from .._shared.answer_options import CALL_ARGUMENTS, OPTION_FIELDS, answer_options, stop_strings
from .._shared.document_set import documents_given_twice
from .._shared.engine_model import EngineModel
from .._shared.errors import worded_errors
from .._shared.request import Request, make_request
from .documents import DocumentHandle, check_size
from .messages import parse_message

__all__ = ["awith_document_handle", "request_from", "with_document_handle"]

_ARGUMENTS = {*OPTION_FIELDS, *CALL_ARGUMENTS, "stop"}
_ACCEPTED = {"formatted"}  # LlamaIndex sends it for itself


def with_document_handle(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's arguments with the documents under a handle, so that events see no text of them."""
    if arguments.get("documents") is None:
        return dict(arguments)
    return {**arguments, "documents": DocumentHandle.wrap(arguments["documents"])}


async def awith_document_handle(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """`with_document_handle` in a thread: the handle's fingerprint reads the documents."""
    if arguments.get("documents") is None:
        return dict(arguments)
    return await asyncio.to_thread(with_document_handle, arguments)


@worded_errors()
def request_from(
    model: EngineModel,
    documents: DocumentHandle | None,
    messages: Sequence[ChatMessage],
    arguments: Mapping[str, Any],
    *,
    context_window: int | None,
) -> Request:
    """Convert a call to a request; whatever is wrong with the call is raised here.

    Args:
        model: its fields are the defaults of the arguments.
        documents: of the model.
        messages: of LlamaIndex.
        arguments: of the call.
        context_window: the most tokens of documents; `None` for no limit.

    Raises:
        InputError: unknown arguments, documents in two places, or messages that cannot be converted.
        WindowError: more documents than `context_window`.
    """
    if unknown := sorted(set(arguments) - _ARGUMENTS - _ACCEPTED):
        raise InputError(f"unknown arguments {unknown} of a call", remedy=f"known are {sorted(_ARGUMENTS)}")
    engine = model.get_engine()
    options = answer_options(model, arguments, arguments.get("tools") or [])
    options["stop"] = stop_strings(arguments.get("stop") or model.stop)
    call_documents = DocumentHandle.wrap(arguments.get("documents"))
    if call_documents is not None and documents is not None:
        raise documents_given_twice()
    handle = call_documents or documents
    request = make_request(
        model,
        engine,
        messages,
        lambda message, _: parse_message(message),
        documents=None if handle is None else handle.documents,
        options=options,
        timeout=arguments.get("timeout", model.timeout),
        model_name=model.model_name,
    )
    check_size(request.library, context_window)
    return request
