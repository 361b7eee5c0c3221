"""Whole documents up to a limit of tokens, and above it all of those that a retriever chooses.

    python examples/llama_index/router.py --limit 2000

The retriever is one of keywords, which needs no model; any other will do.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from llama_index.core import Settings, SimpleDirectoryReader, SimpleKeywordTableIndex
from llama_index.core.base.base_selector import BaseSelector, SelectorResult, SingleSelection
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.schema import QueryBundle
from llama_index.core.tools import QueryEngineTool, ToolMetadata
from sample_documents import contracts

from sharedllm_integrations.llama_index import FullDocumentRetriever, SharedLLM, SharedLLMQueryEngine


class BySize(BaseSelector):
    """The first choice while there are at most so many tokens, and then the second.

    Args:
        index: whose tokens count.
        limit: of tokens.
    """

    def __init__(self, index: SimpleKeywordTableIndex, limit: int) -> None:
        self._index = index
        self._limit = limit

    def _get_prompts(self) -> dict[str, Any]:
        return {}

    def _update_prompts(self, prompts: dict[str, Any]) -> None:
        pass

    def _select(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> SelectorResult:
        tokens = sum(len(Settings.tokenizer(node.get_content())) for node in self._index.docstore.docs.values())
        reason = f"{tokens:,} tokens, and the limit is {self._limit:,}"
        return SelectorResult(selections=[SingleSelection(index=int(tokens > self._limit), reason=reason)])

    async def _aselect(self, choices: Sequence[ToolMetadata], query: QueryBundle) -> SelectorResult:
        return self._select(choices, query)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contracts", type=int, default=12)
    parser.add_argument("--limit", type=int, default=100_000, help="tokens that are read as a whole")
    parser.add_argument("--ask", default="What is the notice period of lease agreement 7?")
    given = parser.parse_args()
    Settings.llm = llm = SharedLLM(model="reader", max_tokens=40)
    Settings.tokenizer = llm.tokenizer
    index = SimpleKeywordTableIndex.from_documents(SimpleDirectoryReader(str(contracts(given.contracts))).load_data())
    chosen = FullDocumentRetriever(index.as_retriever(), index, max_documents=4)
    engine = RouterQueryEngine(
        selector=BySize(index, given.limit),
        query_engine_tools=[
            QueryEngineTool.from_defaults(
                SharedLLMQueryEngine.from_index(index, read=False), description="Everything."
            ),
            QueryEngineTool.from_defaults(SharedLLMQueryEngine(chosen), description="What a retriever chooses."),
        ],
        llm=llm,
    )
    response = engine.query(given.ask)
    metadata = response.metadata or {}
    print(f"{metadata['selector_result'].reason}: {metadata['usage']['past_context_tokens']:,} tokens were read")
    print(response)


if __name__ == "__main__":
    main()
