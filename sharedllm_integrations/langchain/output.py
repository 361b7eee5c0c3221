"""The engine's answers as LangChain's messages."""

import json
from typing import Any
from uuid import uuid4

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.messages.tool import tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from sharedllm_core import Answer, ThoughtPiece

from .._shared.response_details import ResponseDetails
from .evidence import as_citations

__all__ = ["chat_chunk", "chat_result"]


def chat_result(answer: Answer, details: ResponseDetails) -> ChatResult:
    """Convert a whole answer."""
    metadata = _metadata(answer, details)
    calls = [tool_call(name=call.name, args=dict(call.arguments), id=_new_id()) for call in answer.tool_calls]
    message = AIMessage(
        content=_content(answer.text, answer, details, metadata),
        additional_kwargs=_thoughts(answer.thoughts),
        tool_calls=calls,
        usage_metadata=_usage(answer),
        response_metadata=metadata,
    )
    generation = ChatGeneration(message=message, generation_info=_generation_info(metadata))
    return ChatResult(generations=[generation], llm_output={"model_name": details.model_name})


def chat_chunk(piece: str | Answer, details: ResponseDetails) -> ChatGenerationChunk:
    """Convert a piece of a streamed answer or of its thoughts, or the answer that ends the stream."""
    if isinstance(piece, ThoughtPiece):
        return ChatGenerationChunk(message=AIMessageChunk(content="", additional_kwargs=_thoughts(str(piece))))
    if isinstance(piece, str):
        return ChatGenerationChunk(message=AIMessageChunk(content=piece))
    last = _last_chunk(piece, details)
    return ChatGenerationChunk(message=last, generation_info=_generation_info(last.response_metadata))


def _last_chunk(answer: Answer, details: ResponseDetails) -> AIMessageChunk:
    """What follows the last piece of text: tool calls, usage, evidence, citations."""
    calls = [
        tool_call_chunk(name=call.name, args=json.dumps(call.arguments, ensure_ascii=False), id=_new_id(), index=index)
        for index, call in enumerate(answer.tool_calls)
    ]
    metadata = _metadata(answer, details)
    return AIMessageChunk(
        content=_content("", answer, details, metadata),
        tool_call_chunks=calls,
        usage_metadata=_usage(answer),
        response_metadata=metadata,
        chunk_position="last",
    )


def _metadata(answer: Answer, details: ResponseDetails) -> dict[str, Any]:
    return {"model_name": details.model_name, "model_provider": "sharedllm", **details.metadata(answer)}


def _generation_info(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return what callbacks of LangChain look for beside the message."""
    return {"finish_reason": metadata["finish_reason"]}


def _usage(answer: Answer) -> UsageMetadata:
    usage = answer.usage
    injected_tokens = answer.reading.injected_tokens
    cache_read = min(usage.cached_tokens, injected_tokens)
    metadata = UsageMetadata(
        input_tokens=answer.input_tokens,
        output_tokens=usage.completion_tokens,
        total_tokens=answer.input_tokens + usage.completion_tokens,
        input_token_details=InputTokenDetails(cache_creation=injected_tokens - cache_read, cache_read=cache_read),
    )
    if usage.thought_tokens:
        metadata["output_token_details"] = OutputTokenDetails(reasoning=usage.thought_tokens)
    return metadata


def _thoughts(text: str) -> dict[str, Any]:
    """Thoughts where LangChain finds them: it makes `reasoning` blocks of them in `content_blocks`."""
    return {"reasoning_content": text} if text else {}


def _content(text: str, answer: Answer, details: ResponseDetails, metadata: dict[str, Any]) -> Any:
    """The text of an answer, or of its last piece; with the citations of the whole answer where they are wanted."""
    if not (details.with_citations and answer.evidence and answer.text):
        return text
    return [{"type": "text", "text": text, "annotations": as_citations(metadata["evidence"], answer.text)}]


def _new_id() -> str:
    return f"call_{uuid4().hex[:24]}"
