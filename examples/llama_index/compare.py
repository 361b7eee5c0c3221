"""Several contracts side by side: sub-questions to each, and one answer from what they say.

    python examples/llama_index/compare.py

LlamaIndex's own generator of sub-questions needs another package, or a model that happens to write its JSON. Here they
are written along a schema, so they always parse and always name a contract that is there. What is asked is up to the
model: that of the package is too small to do it well, so --each asks every contract the whole question.
"""

import argparse
from collections.abc import Sequence
from typing import Any, Literal

from llama_index.core import PromptTemplate, SimpleDirectoryReader
from llama_index.core.query_engine import SubQuestionQueryEngine
from llama_index.core.question_gen.types import BaseQuestionGenerator, SubQuestion
from llama_index.core.schema import QueryBundle
from llama_index.core.tools import QueryEngineTool
from llama_index.core.tools.types import ToolMetadata
from pydantic import Field, create_model
from sample_documents import contracts

from sharedllm_integrations.llama_index import SharedLLM, SharedLLMQueryEngine, SharedLLMSynthesizer

PROMPT = PromptTemplate("Which questions to which of {names} answer this: {question}")


class WrittenQuestions(BaseQuestionGenerator):
    """Sub-questions that the model writes along a schema."""

    def __init__(self, llm: SharedLLM) -> None:
        self._llm = llm

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts: dict[str, Any]) -> None:
        pass

    def generate(self, tools: Sequence[ToolMetadata], query: QueryBundle) -> list[SubQuestion]:
        names = [tool.get_name() for tool in tools]
        written = self._llm.structured_predict(_form(names), PROMPT, names=", ".join(names), question=query.query_str)
        return [SubQuestion(**item.model_dump()) for item in written.items]

    async def agenerate(self, tools: Sequence[ToolMetadata], query: QueryBundle) -> list[SubQuestion]:
        names = [tool.get_name() for tool in tools]
        written = await self._llm.astructured_predict(
            _form(names), PROMPT, names=", ".join(names), question=query.query_str
        )
        return [SubQuestion(**item.model_dump()) for item in written.items]


class EachContract(WrittenQuestions):
    """The same question to every contract."""

    def generate(self, tools: Sequence[ToolMetadata], query: QueryBundle) -> list[SubQuestion]:
        return [SubQuestion(sub_question=query.query_str, tool_name=tool.get_name()) for tool in tools]

    async def agenerate(self, tools: Sequence[ToolMetadata], query: QueryBundle) -> list[SubQuestion]:
        return self.generate(tools, query)


def _form(names: list[str]) -> Any:
    """A class of questions to these and to nothing else."""
    one_of: Any = (Literal[tuple(names)], ...)
    item: Any = create_model("Question", sub_question=(str, Field(min_length=8, max_length=80)), tool_name=one_of)
    return create_model("Questions", items=(list[item], Field(min_length=1, max_length=3)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contracts", type=int, default=4)
    parser.add_argument("--each", action="store_true", help="ask every contract the whole question")
    parser.add_argument("--ask", default="How long is the notice period?")
    given = parser.parse_args()
    llm = SharedLLM(model="reader", max_tokens=40)
    tools = [
        QueryEngineTool.from_defaults(
            SharedLLMQueryEngine.from_documents([document], llm),
            name=document.metadata["file_name"].removesuffix(".txt").replace("-", "_"),
            description=f"Everything that {document.metadata['file_name']} says.",
        )
        for document in SimpleDirectoryReader(str(contracts(given.contracts))).load_data()
    ]
    writer = llm.model_copy(update={"max_tokens": 200})
    engine = SubQuestionQueryEngine.from_defaults(
        tools,
        llm=llm,
        question_gen=EachContract(writer) if given.each else WrittenQuestions(writer),
        response_synthesizer=SharedLLMSynthesizer(llm),
        verbose=False,
    )
    response = engine.query(given.ask)
    for source in sorted(response.source_nodes, key=lambda one: one.node.get_content()):
        if source.node.get_content().startswith("Sub question"):
            print(source.node.get_content())
    print(f"Together: {response}")


if __name__ == "__main__":
    main()
