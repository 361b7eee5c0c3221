"""The ways in which an application calls a chat model on an event loop."""

import pytest
from langchain_core.messages import HumanMessage

__all__ = ["EVERY_ASYNC_CALL", "QUESTION"]

QUESTION = "What is the notice period?"


async def _invoke(llm, **arguments):
    await llm.ainvoke(QUESTION, **arguments)


async def _stream(llm, **arguments):
    async for _ in llm.astream(QUESTION, **arguments):
        pass


async def _stream_events(llm, **arguments):
    async for _ in llm.astream_events(QUESTION, version="v2", **arguments):
        pass


async def _stream_new_events(llm, **arguments):
    stream = await llm.astream_events(QUESTION, version="v3", **arguments)
    await stream.output


async def _generate(llm, **arguments):
    await llm.agenerate([[HumanMessage(QUESTION)]] * 2, **arguments)


#: Parametrizes a test by `call`, which takes the model and arguments of the call.
EVERY_ASYNC_CALL = pytest.mark.parametrize(
    "call", [_invoke, _stream, _stream_events, _stream_new_events, _generate], ids=lambda call: call.__name__[1:]
)
