"""The engine's answers as LlamaIndex's responses."""

import json
from typing import Any
from uuid import uuid4

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    ContentBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from sharedllm_core import Answer, ThoughtPiece

from .._shared.response_details import ResponseDetails

__all__ = ["chat_piece", "chat_response", "completion_piece", "completion_response"]


def chat_response(answer: Answer, details: ResponseDetails, delta: str | None = None) -> ChatResponse:
    """Convert a whole answer; with `delta`, as the last response of a stream."""
    calls = [
        ToolCallBlock(tool_call_id=f"call_{uuid4().hex[:24]}", tool_name=call.name, tool_kwargs=dict(call.arguments))
        for call in answer.tool_calls
    ]
    blocks: list[ContentBlock] = [TextBlock(text=answer.text)] if answer.text or not calls else []
    thoughts = [ThinkingBlock(content=answer.thoughts, num_tokens=answer.usage.thought_tokens)]
    message = ChatMessage(role=MessageRole.ASSISTANT, blocks=[*(thoughts if answer.thoughts else []), *blocks, *calls])
    if calls:  # LlamaIndex's programs look for them here
        message.additional_kwargs["tool_calls"] = [
            {
                "id": block.tool_call_id,
                "type": "function",
                "function": {"name": block.tool_name, "arguments": json.dumps(block.tool_kwargs, ensure_ascii=False)},
            }
            for block in calls
        ]
    return ChatResponse(message=message, raw=_raw(answer, details), delta=delta)


def chat_piece(text: str, thoughts: str, delta: str) -> ChatResponse:
    """Return a response of a stream: all text and thoughts so far, and what is new."""
    blocks: list[ContentBlock] = [ThinkingBlock(content=thoughts)] if thoughts else []
    message = ChatMessage(role=MessageRole.ASSISTANT, blocks=[*blocks, TextBlock(text=text)])
    return ChatResponse(message=message, delta=_text_delta(delta), additional_kwargs=_thought_delta(delta))


def completion_response(answer: Answer, details: ResponseDetails, delta: str | None = None) -> CompletionResponse:
    """Convert a whole answer; with `delta`, as the last response of a stream."""
    thoughts = {"thinking": answer.thoughts} if answer.thoughts else {}
    return CompletionResponse(text=answer.text, additional_kwargs=thoughts, raw=_raw(answer, details), delta=delta)


def completion_piece(text: str, thoughts: str, delta: str) -> CompletionResponse:
    """Return a response of a stream: all text so far, and what is new of it or of the thoughts."""
    kwargs = {"thinking": thoughts, **_thought_delta(delta)} if thoughts else {}
    return CompletionResponse(text=text, delta=_text_delta(delta), additional_kwargs=kwargs)


def _text_delta(delta: str) -> str:
    return "" if isinstance(delta, ThoughtPiece) else delta


def _thought_delta(delta: str) -> dict[str, str]:
    """A piece of thoughts where LlamaIndex's agents look for it."""
    return {"thinking_delta": str(delta)} if isinstance(delta, ThoughtPiece) else {}


def _raw(answer: Answer, details: ResponseDetails) -> dict[str, Any]:
    """Plain values: the model, usage under the names that token counters look for, and the details."""
    usage = answer.usage
    counts = {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": answer.input_tokens + usage.completion_tokens,
        "thought_tokens": usage.thought_tokens,
        "past_context_tokens": usage.past_context_tokens,
        "cached_tokens": usage.cached_tokens,
    }
    return {"model": details.model_name, "usage": counts, **details.metadata(answer)}
