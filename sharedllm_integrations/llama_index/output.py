"""The engine's answers to LlamaIndex's responses."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    ContentBlock,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)

from sharedllm_core import Answer

from .._evidence import evidence_metadata

__all__ = ["Told", "chat_piece", "chat_response", "completion_piece", "completion_response"]


@dataclass(frozen=True)
class Told:
    """What stands beside every answer of a call, in `raw`.

    Attributes:
        model_name: of the metadata of the model.
        moved: what was taken from messages to be read as documents.
        shown: ids of documents whose text may stand in `raw`; `None` for all.
        notes: by the ids of documents that were put together from nodes, what is missing of them.
    """

    model_name: str
    moved: Sequence[Mapping[str, Any]]
    shown: frozenset[str] | None
    notes: Mapping[str, Any]

    def raw(self, answer: Answer) -> dict[str, Any]:
        """Plain values: usage in the names that token counters look for, evidence, and why the answer ended."""
        used = answer.usage
        given = used.past_context_tokens + used.running_text_tokens
        told: dict[str, Any] = {
            "model": self.model_name,
            "usage": {
                "prompt_tokens": given,
                "completion_tokens": used.completion_tokens,
                "total_tokens": given + used.completion_tokens,
                "past_context_tokens": used.past_context_tokens,
                "cached_tokens": used.cached_tokens,
            },
            "finish_reason": "tool_calls" if answer.tool_calls else answer.finish_reason,
            "evidence": evidence_metadata(answer.evidence, self.shown),
        }
        if self.moved:
            told["documents_from_messages"] = list(self.moved)
        if self.notes:
            told["documents"] = dict(self.notes)
        if answer.moved:
            told["turns_read_as_documents"] = len(answer.moved)
        return told


def chat_response(answer: Answer, told: Told, delta: str | None = None) -> ChatResponse:
    """A whole answer; with `delta`, the last of a stream."""
    calls: list[ContentBlock] = [
        ToolCallBlock(tool_call_id=f"call_{uuid4().hex[:24]}", tool_name=call.name, tool_kwargs=dict(call.arguments))
        for call in answer.tool_calls
    ]
    said: list[ContentBlock] = [TextBlock(text=answer.text)] if answer.text or not calls else []
    message = ChatMessage(role=MessageRole.ASSISTANT, blocks=[*said, *calls])
    if answer.tool_calls:  # where the programs of LlamaIndex look
        message.additional_kwargs["tool_calls"] = [
            {
                "id": block.tool_call_id,
                "type": "function",
                "function": {"name": block.tool_name, "arguments": json.dumps(block.tool_kwargs, ensure_ascii=False)},
            }
            for block in calls
            if isinstance(block, ToolCallBlock)
        ]
    return ChatResponse(message=message, raw=told.raw(answer), delta=delta)


def chat_piece(text: str, delta: str) -> ChatResponse:
    """What has come of a streamed answer so far."""
    return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=text), delta=delta)


def completion_response(answer: Answer, told: Told, delta: str | None = None) -> CompletionResponse:
    """A whole answer; with `delta`, the last of a stream."""
    return CompletionResponse(text=answer.text, raw=told.raw(answer), delta=delta)


def completion_piece(text: str, delta: str) -> CompletionResponse:
    """What has come of a streamed answer so far."""
    return CompletionResponse(text=text, delta=delta)
