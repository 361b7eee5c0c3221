"""The engine's answers to LangChain's messages."""

import json
from typing import Any
from uuid import uuid4

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.messages.tool import tool_call, tool_call_chunk

from sharedllm_core import Answer

from .._evidence import evidence_metadata
from .evidence import as_citations

__all__ = ["Told", "last_chunk", "message_of"]


class Told:
    """What stands beside every answer of a call.

    Args:
        model_name: as the caller named the model.
        moved: what was taken from messages to be read as documents.
        shown: ids of documents whose text may stand in the answer's metadata; `None` for all.
        cites: whether content is a list of blocks with citations.
    """

    def __init__(self, model_name: str, moved: list[dict[str, Any]], shown: frozenset[str] | None, cites: bool) -> None:
        self.model_name = model_name
        self.moved = moved
        self.shown = shown
        self.cites = cites

    def metadata(self, answer: Answer) -> dict[str, Any]:
        """`response_metadata`."""
        told: dict[str, Any] = {
            "model_name": self.model_name,
            "model_provider": "sharedllm",
            "finish_reason": "tool_calls" if answer.tool_calls else answer.finish_reason,
            "evidence": evidence_metadata(answer.evidence, self.shown),
        }
        if self.moved:
            told["documents_from_messages"] = self.moved
        if answer.moved:
            told["turns_read_as_documents"] = len(answer.moved)
        return told


def _usage(answer: Answer) -> UsageMetadata:
    used = answer.usage
    given = used.past_context_tokens + used.running_text_tokens
    return UsageMetadata(
        input_tokens=given,
        output_tokens=used.completion_tokens,
        total_tokens=given + used.completion_tokens,
        input_token_details=InputTokenDetails(
            cache_creation=used.past_context_tokens - used.cached_tokens, cache_read=used.cached_tokens
        ),
    )


def message_of(answer: Answer, told: Told) -> AIMessage:
    """A whole answer."""
    metadata = told.metadata(answer)
    return AIMessage(
        content=_cited(answer.text, answer, told, metadata),
        tool_calls=[tool_call(name=call.name, args=dict(call.arguments), id=_new_id()) for call in answer.tool_calls],
        usage_metadata=_usage(answer),
        response_metadata=metadata,
    )


def last_chunk(answer: Answer, told: Told) -> AIMessageChunk:
    """What comes after the last piece of a streamed answer: calls of tools, usage, evidence, citations."""
    calls = [
        tool_call_chunk(name=call.name, args=json.dumps(call.arguments, ensure_ascii=False), id=_new_id(), index=index)
        for index, call in enumerate(answer.tool_calls)
    ]
    metadata = told.metadata(answer)
    return AIMessageChunk(
        content=_cited("", answer, told, metadata),
        tool_call_chunks=calls,
        usage_metadata=_usage(answer),
        response_metadata=metadata,
        chunk_position="last",
    )


def _cited(text: str, answer: Answer, told: Told, metadata: dict[str, Any]) -> Any:
    """Text of an answer, which may be its end, with the citations of all of it where they are wanted."""
    if not (told.cites and answer.evidence and answer.text):
        return text
    return [{"type": "text", "text": text, "annotations": as_citations(metadata["evidence"], answer.text)}]


def _new_id() -> str:
    return f"call_{uuid4().hex[:24]}"
