"""Existing chains with another model: the stuff chain and the retrieval chain of LangChain, with whole documents.

    python examples/langchain/drop_in.py

Nothing in the chains knows of sharedllm. The documents stand in the prompt between `<context>` fences, as in
LangChain's guides; `ChatSharedLLM` finds them there, reads them once, and answers from its cache from then on, also
when they come in another order. Questions are drawn from all that the handbook says, and asked in wordings that the
model was not trained on as well.
"""

import argparse
import time
from random import Random
from statistics import median

from documents import handbook_and_facts
from langchain_classic.chains import create_retrieval_chain
from langchain_classic.chains.combine_documents import create_stuff_documents_chain
from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda

from sharedllm_integrations.langchain import ChatSharedLLM, read_documents

PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "Answer from the context.\n\n<context>\n{context}\n</context>"),
        ("human", "{input}"),
    ]
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sections", type=int, default=54, help="sections of each chapter of the handbook")
    parser.add_argument("--questions", type=int, default=12, help="how many to ask, the last two of documents reversed")
    parser.add_argument("--seed", type=int, default=0, help="another seed asks others")
    given = parser.parse_args()
    folder, facts = handbook_and_facts(given.sections)
    documents = read_documents(folder)
    rng = Random(given.seed)  # noqa: S311
    llm = ChatSharedLLM(model="reader", max_tokens=40)  # before: ChatOpenAI(model=…)
    chain = create_stuff_documents_chain(llm, PROMPT)
    seconds: dict[str, list[float]] = {"first": [], "another": [], "documents reversed": []}
    right = 0
    for number, fact in enumerate(rng.sample(facts, given.questions)):
        name = "documents reversed" if number >= given.questions - 2 else "another" if number else "first"
        ordered = documents[::-1] if name == "documents reversed" else documents
        question = rng.choice(fact.questions)
        began = time.perf_counter()
        pieces = chain.stream({"context": ordered, "input": question})
        first = next(pieces)
        seconds[name].append(time.perf_counter() - began)
        answer = first + "".join(pieces)
        right += answer == fact.value
        print(f"{name}: {seconds[name][-1]:.2f} s to the first token; {question} {answer} (the handbook: {fact.value})")
    print(f"{right} of {given.questions} right")
    for name in ("another", "documents reversed"):
        sooner = [seconds["first"][0] / later for later in seconds[name]]
        print(
            f"{name}: {min(sooner):.0f} to {max(sooner):.0f} times sooner than the first, median {median(sooner):.0f}"
        )

    # Whole documents; any retriever that chooses among them will do.
    retriever: RunnableLambda[str, list[Document]] = RunnableLambda(lambda _: documents)
    retrieval = create_retrieval_chain(retriever, chain)
    print("retrieval chain:", retrieval.invoke({"input": question})["answer"])


if __name__ == "__main__":
    main()
