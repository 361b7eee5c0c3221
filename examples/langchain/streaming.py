"""An answer as it is written, and then what it rests on.

python examples/langchain/streaming.py
"""

import argparse

from documents import contracts
from langchain_core.messages import AIMessageChunk

from sharedllm_integrations.langchain import ChatSharedLLM, evidence_documents, read_documents


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contracts", type=int, default=12)
    parser.add_argument("--ask", default="What is the notice period of lease agreement 7?")
    given = parser.parse_args()
    documents = read_documents(contracts(given.contracts))
    llm = ChatSharedLLM(model="reader", max_tokens=40).with_documents(documents)
    whole = AIMessageChunk(content="")
    for chunk in llm.stream(given.ask):
        print(chunk.text, end="", flush=True)
        whole += chunk
    print()
    for span in evidence_documents(whole, documents):
        print(f"  {span.metadata['score']:.0%} {span.metadata['source']}: {' '.join(span.page_content.split())}")
    print(whole.usage_metadata)


if __name__ == "__main__":
    main()
