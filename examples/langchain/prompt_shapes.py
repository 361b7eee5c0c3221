"""The same questions over a handbook, with the documents in ten shapes of prompts that applications have.

    python examples/langchain/prompt_shapes.py --model reader
    python examples/langchain/prompt_shapes.py --model smollm2 --sections 12

Prints how many answers are right for each shape: those that hold the handbook's value. `--out` writes the counts as
JSON. The first shape gives the documents as such; in the others the application has put them into the prompt.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from documents import handbook_and_facts
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate

from sharedllm_integrations.langchain import ChatSharedLLM, read_documents

TOOL_CHARACTERS = 50_000

#: The prompts of LangChain's guides for retrieval chains, as they stand there.
SYSTEM_CONTEXT = ChatPromptTemplate.from_messages(
    [
        ("system", "Answer any use questions based solely on the context below:\n\n<context>\n{context}\n</context>"),
        ("human", "{question}"),
    ]
)
STUFF_CHAIN = ChatPromptTemplate.from_template(
    "Answer the following question based only on the provided context:\n\n<context>\n{context}\n</context>\n\n"
    "Question: {question}"
)
RAG_PROMPT = ChatPromptTemplate.from_template(
    "You are an assistant for question-answering tasks. Use the following pieces of retrieved context to answer the "
    "question. If you don't know the answer, just say that you don't know. Use three sentences maximum and keep the "
    "answer concise.\nQuestion: {question} \nContext: {context} \nAnswer:"
)

#: A shape makes messages of the handbook's text and a question.
Shape = Callable[[str, str], list[BaseMessage]]


def _user(template: str) -> Shape:
    return lambda context, question: [HumanMessage(template.format(context=context, question=question))]


def _filled(prompt: ChatPromptTemplate) -> Shape:
    return lambda context, question: prompt.format_messages(context=context, question=question)


def _tool_result(context: str, question: str) -> list[BaseMessage]:
    call: Any = {"id": "call_1", "name": "search_handbook", "args": {"query": question}}
    result = ToolMessage(context, tool_call_id="call_1", name="search_handbook")
    return [HumanMessage(question), AIMessage("", tool_calls=[call]), result]


def _content_blocks(context: str, question: str) -> list[BaseMessage]:
    return [HumanMessage([{"type": "text", "text": context}, {"type": "text", "text": question}])]


SHAPES: dict[str, Shape] = {
    "system message with {context}": _filled(SYSTEM_CONTEXT),
    "text, then question": _user("{context}\n\n{question}"),
    "question, then text": _user("{question}\n\n{context}"),
    "text, question, sign-off": _user("{context}\n\n{question}\n\nThanks a lot,\nAnna"),
    'text, question, "Answer in one line."': _user("{context}\n\n{question}\nAnswer in one line."),
    "stuff chain": _filled(STUFF_CHAIN),
    "the RAG prompt of the hub": _filled(RAG_PROMPT),
    "result of a retriever's tool, 50,000 characters": _tool_result,
    "content blocks": _content_blocks,
}


def around(text: str, sentence: str, characters: int) -> str:
    """A part of a text of so many characters, whole paragraphs, in which a sentence stands."""
    start = max(0, text.index(sentence) - characters // 2)
    start = text.rfind("\n\n", 0, start) + 2 if start else 0
    return text[start : text.rfind("\n\n", start, start + characters)]


def count_right(llm: ChatSharedLLM, documents: list[Document], questions: list[tuple[Any, str]]) -> dict[str, int]:
    """Ask all questions in all shapes; returns the number of right answers by shape."""
    context = "\n\n".join(document.page_content for document in documents)
    with_documents = llm.with_documents(documents)
    right = {"documents=": sum(fact.value in with_documents.invoke(text).text for fact, text in questions)}
    print(f"{right['documents=']:3} documents=", flush=True)
    for name, shape in SHAPES.items():
        right[name] = 0
        for fact, text in questions:
            part = around(context, fact.sentence, TOOL_CHARACTERS) if shape is _tool_result else context
            right[name] += fact.value in llm.invoke(shape(part, text)).text
        print(f"{right[name]:3} {name}", flush=True)
    return right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="reader", help="a folder, a hub id, smollm2 or reader")
    parser.add_argument("--sections", type=int, default=54, help="sections of each chapter of the handbook")
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--max-tokens", type=int, default=40, help="of an answer")
    parser.add_argument("--quote-tokens", type=int, help="of passages, for a model that quotes")
    parser.add_argument("--seed", type=int, default=0, help="another seed asks others")
    parser.add_argument("--out", type=Path, help="a JSON file for the counts")
    arguments = parser.parse_args()
    folder, facts = handbook_and_facts(arguments.sections)
    rng = Random(arguments.seed)  # noqa: S311
    questions = [(fact, rng.choice(fact.questions)) for fact in rng.sample(facts, arguments.questions)]
    llm = ChatSharedLLM(
        model=arguments.model,
        max_tokens=arguments.max_tokens,
        temperature=0,
        quote_tokens=arguments.quote_tokens,
        num_evidence=0,
    )
    documents = read_documents(folder)
    right = count_right(llm, documents, questions)
    if arguments.out:
        tokens = sum(llm.get_num_tokens(document.page_content) for document in documents)
        result = {"model": arguments.model, "tokens": tokens, "questions": len(questions), "right": right}
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
