"""Existing chains with another model: the stuff chain and the retrieval chain of LangChain, with whole documents.

    python examples/langchain/drop_in.py

Nothing in the chains knows of sharedllm. The documents stand in the prompt, as always; `ChatSharedLLM` finds them
there, reads them once, and answers from its cache from then on, also when they come in another order.
"""

import argparse
import time

from documents import handbook
from langchain_classic.chains import create_retrieval_chain
from langchain_classic.chains.combine_documents import create_stuff_documents_chain
from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda

from sharedllm_integrations.langchain import ChatSharedLLM, read_documents

PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "Answer from the context.\n\n{context}"),
        ("human", "{input}"),
    ]
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sections", type=int, default=30, help="sections of each chapter of the handbook")
    parser.add_argument("--ask", default="What is the notice period of the first agreement?")
    given = parser.parse_args()
    documents = read_documents(handbook(given.sections))
    llm = ChatSharedLLM(max_tokens=40)  # before: ChatOpenAI(model=…)
    chain = create_stuff_documents_chain(llm, PROMPT)
    orders: dict[str, list[Document]] = {
        "first question": documents,
        "second question": documents,
        "documents reversed": documents[::-1],
    }
    for name, ordered in orders.items():
        began = time.perf_counter()
        pieces = chain.stream({"context": ordered, "input": f"{given.ask} ({name})"})
        first = next(pieces)
        seconds = time.perf_counter() - began
        print(f"{name}: {seconds:.2f} s to the first token; {first + ''.join(pieces)}")

    # Whole documents; any retriever that chooses among them will do.
    retriever: RunnableLambda[str, list[Document]] = RunnableLambda(lambda _: documents)
    retrieval = create_retrieval_chain(retriever, chain)
    print("retrieval chain:", retrieval.invoke({"input": given.ask})["answer"])


if __name__ == "__main__":
    main()
