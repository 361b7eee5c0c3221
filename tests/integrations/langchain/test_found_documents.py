"""A prompt's document is found, and what the prompt asks stays, wherever it stands."""

import re

import pytest

from sharedllm_integrations._shared.prompt_documents import find_documents
from tests import tiny_engine

PARAGRAPHS = [f"Clause {i} of the agreement. {tiny_engine.words(40, seed=i)}" for i in range(40)]
TEXT = "\n\n".join(PARAGRAPHS)
LINES = "\n".join(PARAGRAPHS)
ASKED = "Which clause names the harbour"
RAG = (
    "You are an assistant for question-answering tasks. Use the following pieces of retrieved context to answer the "
    "question. If you don't know the answer, just say that you don't know. Use three sentences maximum and keep the "
    "answer concise.\nQuestion: {q} \nContext: {c} \nAnswer:"
)
TEMPLATES = {
    "the most used": RAG,
    "fenced by quotes": 'Use the text below.\n\nAnswer: {q}\n"""\n{c}\n"""',
    "fenced by quotes, first": '"""\n{c}\n"""\n{q}',
    "German": "Beantworte die Frage.\nFrage: {q}\nKontext: {c}\nAntwort:",
    "German, at the end": "Beantworte die Frage.\n\n{c}\n\nFrage: {q}\nAntwort:",
    "French": "Réponds.\n\nQuestion : {q}\n\nContexte : {c}\n\nRéponse :",
    "Chinese": "请回答。\n问题：{q}\n上下文：{c}\n回答：",
    "Markdown": "## Question:\n{q}\n\n## Context:\n{c}",
    "bold": "**Question:** {q}\n\n**Context:** {c}\n\n**Answer:**",
    "question first, nothing after": "Question: {q}\n\nContext:\n{c}",
    "question first, no other label": "Question: {q}\n\n{c}",
    "question in a line of its own": "Question: {q}\n{c}",
    "question first, no label": "{q}?\n\n{c}",
    "instruction, question, context": "Be brief.\n\n{q}?\n\nContext: {c}",
    "instruction, question": "Be brief.\n\n{q}?\n\n{c}",
    "context first": "Context: {c}\n\nQuestion: {q}",
    "context first, no label": "{c}\n\n{q}",
    "one line of it": "Use this:\n{c}\n{q}",
    "a label after an unlabelled question": "Use this:\n\n{c}\n\n{q}\n\nAnswer:",
    "two labels": "Use this:\n\n{c}\n\nQuestion: {q}\nInput: the newest one",
    "an aside before": "Could you help me?\n\n{c}\n\n{q}?",
}


def is_long(text):
    return len(text) >= 1_600


def squeezed(text):
    return "".join(text.split())


def found(template, question=ASKED, text=TEXT):
    prompt = template.format(q=question, c=text)
    return prompt, find_documents(prompt, is_long, is_question=True)


@pytest.mark.parametrize("text", [TEXT, LINES, TEXT[:2_400]], ids=["paragraphs", "lines", "short"])
@pytest.mark.parametrize("template", TEMPLATES.values(), ids=list(TEMPLATES))
def test_the_question_stays_and_the_document_goes(template, text):
    prompt, result = found(template, text=text)
    assert ASKED in result.rest
    read = "\n\n".join(document.text for document in result.documents)
    assert len(read) > 0.75 * len(text), "nearly all of it is read as a document"
    assert "[document 1" in result.rest
    assert squeezed(re.sub(r"\[document [\d-]+\]", read, result.rest)) == squeezed(prompt), "nothing is lost"


@pytest.mark.parametrize("name", ["the most used", "German", "French", "Chinese", "question first, nothing after"])
def test_with_the_question_first_all_of_the_document_goes(name):
    _, result = found(TEMPLATES[name])
    assert squeezed("".join(one.text for one in result.documents)) == squeezed(TEXT)
    assert len(result.rest) < 450


LISTED = f"Compare these clauses:\n- harbour\n- {ASKED}\n- keys"


@pytest.mark.parametrize(
    "template",
    [RAG, "Use this:\n\n{c}\n\nFrage: {q}", "Use this:\n\n{c}\n\n{q}", "Use this:\n\n{c}\n\nQuestion: {q}\nAnswer:"],
)
def test_questions_of_several_lines_stay_whole(template):
    _, result = found(template, question=LISTED)
    assert LISTED in result.rest


def test_long_questions_behind_short_documents_stay_whole():
    question = " ".join(tiny_engine.words(60, seed=i) for i in range(6))[:2_200]
    _, result = found("Use this:\n\n{c}\n\nQuestion: {q}", question=question, text=TEXT[:2_000])
    assert question in result.rest
    assert result.documents


@pytest.mark.parametrize("words", [20, 200])
def test_a_document_of_questions_is_read_in_full(words):
    parts = [f"Question: {tiny_engine.words(9, seed=i)}\n{tiny_engine.words(words, seed=i)}" for i in range(20)]
    _, result = found("Use this.\n\n{c}\n\nQuestion: {q}", text="\n\n".join(parts))
    assert re.fullmatch(rf"Use this\.\n\n\[document [\d-]+\]\n\nQuestion: {ASKED}", result.rest)
    assert squeezed("".join(one.text for one in result.documents)) == squeezed("".join(parts))
