"""Prompts of applications: instructions and questions are in the text that the model gets, and nothing is lost."""

import json
import runpy
import sys

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from sharedllm_core.engine import answering
from sharedllm_integrations.langchain import ChatSharedLLM
from sharedllm_integrations.langchain.requests import request_from
from tests import tiny_engine
from tests.tiny_engine import BOTH_READINGS

QUESTION = "What is the notice period of lease nine?"
PARAGRAPHS = [f"Clause {number}. {tiny_engine.words(40, seed=number)}" for number in range(90)]
LONG = "\n\n".join(PARAGRAPHS)
RULES = "\n".join(f"{number}. Rule {number}: {tiny_engine.words(6, seed=number)}" for number in range(1, 61))
SHOTS = "\n\n".join(f"Q: Who pays for {item}?\nA: The tenant." for item in tiny_engine.WORDS)
FILE = "\n".join(f"line {number}: {tiny_engine.words(7, seed=number)}" for number in range(600))
NUMBERED = "1. Who signed?\n2. When was it signed?\n3. What does it cost?"
CHINESE = "\n".join(f"第{number}条：租户应在本月付清租金，押金由业主保管。" for number in range(120))
PASTED = json.dumps({"leases": [{"number": n, "rent": 50 * n, "keys": ["north", "harbour"]} for n in range(150)]})
CODE = "\n".join(f"def clause_{number}(rent):\n    return rent * {number}\n" for number in range(200))

#: Messages, and what has to be in the text that the model gets.
SITUATIONS = {
    "a long system prompt": ([SystemMessage(RULES), HumanMessage(QUESTION)], [RULES, QUESTION]),
    "a long system prompt beside a text": (
        [SystemMessage(RULES), HumanMessage(f"{LONG}\n\n{QUESTION}")],
        [RULES, QUESTION],
    ),
    "few-shot examples in one string": ([HumanMessage(f"Answer as here.\n\n{SHOTS}\n\nQ: {QUESTION}\nA:")], [QUESTION]),
    "a file with questions before and after": (
        [HumanMessage(f"What does this file do?\n\n{FILE}\n\nWhich line names the ledger?")],
        ["What does this file do?", "Which line names the ledger?"],
    ),
    "numbered questions": ([HumanMessage(f"{LONG}\n\nAnswer these:\n{NUMBERED}")], ["Answer these:", NUMBERED]),
    "a request in two paragraphs": (
        [HumanMessage(f"{LONG}\n\nI am the tenant of lease nine.\n\nTell me when I have to leave.")],
        ["I am the tenant of lease nine.", "Tell me when I have to leave."],
    ),
    "a sign-off": ([HumanMessage(f"{LONG}\n\n{QUESTION}\n\nBest regards\nIda")], [QUESTION, "Best regards\nIda"]),
    "one line": ([HumanMessage(f"{LONG}\n\n{QUESTION}\nAnswer in one line.")], [f"{QUESTION}\nAnswer in one line."]),
    "a request before the text": ([HumanMessage(f"List all fees.\n\n{LONG}")], ["List all fees."]),
    "Chinese, in lines": (
        [HumanMessage(f"请根据合同回答。\n{CHINESE}\n通知期是多长？")],
        ["请根据合同回答。", "通知期是多长？"],
    ),
    "JSON between sentences": (
        [HumanMessage(f"Here are my leases: {PASTED} Which of them costs the most?")],
        ["Here are my leases:", "Which of them costs the most?"],
    ),
    "Markdown fences": (
        [HumanMessage(f"Review this:\n\n```python\n{CODE}```\n\nWhich function is slow?")],
        ["Review this:\n\n```python\n", "```\n\nWhich function is slow?"],
    ),
    "tags of its own": (
        [HumanMessage(f"<task>Find the fee.</task>\n<contract>\n{LONG}\n</contract>\n<format>One word.</format>")],
        ["<task>Find the fee.</task>", "<format>One word.</format>"],
    ),
    "text blocks": (
        [HumanMessage([{"type": "text", "text": text} for text in ("Read this.", LONG, QUESTION, "Be brief.")])],
        ["Read this.", QUESTION, "Be brief."],
    ),
    "the result of a tool": (
        [
            HumanMessage(QUESTION),
            AIMessage("", tool_calls=[{"id": "1", "name": "find", "args": {"query": "notice"}}]),
            ToolMessage(f"Found:\n\n{LONG}", tool_call_id="1"),
        ],
        [QUESTION, "Found:"],
    ),
    "results of two tools": (
        [
            HumanMessage(QUESTION),
            AIMessage("", tool_calls=[{"id": name, "name": "find", "args": {"query": name}} for name in "ab"]),
            *(ToolMessage(f"Found {name}:\n\n{LONG}", tool_call_id=name) for name in "ab"),
        ],
        [QUESTION, "Found a:", "Found b:"],
    ),
    "a text in an earlier turn": (
        [HumanMessage(f"{LONG}\n\n{QUESTION}"), AIMessage("Two months."), HumanMessage("And of lease ten?")],
        ["Two months.", "And of lease ten?"],
    ),
}


@pytest.fixture
def running_texts(monkeypatch):
    """The texts that the model gets, decoded from its token ids."""
    texts = []
    original = answering.answer_rows

    def recorded(model, tokenizer, ids, *arguments):
        texts.extend(tokenizer.decode(each, special=True) for each in ids)
        return original(model, tokenizer, ids, *arguments)

    monkeypatch.setattr(answering, "answer_rows", recorded)
    return texts


@pytest.fixture
def llm(engine):
    return ChatSharedLLM(engine=engine, max_tokens=4, num_evidence=20, evidence_text=True)


@BOTH_READINGS
@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=list(SITUATIONS))
def test_instructions_and_questions_are_in_the_text_that_the_model_gets(llm, running_texts, situation):
    messages, expected = situation
    message = llm.invoke(messages)
    [running_text] = running_texts
    for part in expected:
        assert part in running_text
    assert "[document" not in running_text
    evidence = message.response_metadata["evidence"]
    assert not any("Rule" in span["text"] for span in evidence), "no text of a system message is evidence"


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=list(SITUATIONS))
def test_text_stays_or_becomes_a_document_and_is_never_lost(llm, situation):
    messages, _ = situation
    request = request_from(llm, None, messages, None, {}, with_citations=False)
    kept = "\n".join(message["content"] for message in request.messages)
    moved = "" if request.library is None else "\n".join(document.text for document in request.library)
    for message in messages:
        blocks = [message.content] if isinstance(message.content, str) else [one["text"] for one in message.content]
        for line in "\n".join(blocks).splitlines():
            assert line.strip() in kept or line.strip() in moved or _is_cut(line, kept, moved)


def _is_cut(line, kept, moved):
    """Whether the beginning and the end of a line stay, and what is between them is in the documents."""
    places = [place for place in range(len(line)) if line[:place] in kept and line[place : place + 40].strip() in moved]
    return bool(places) and line[-20:] in kept


def test_a_prompt_that_fits_stays_as_it_is(llm, running_texts):
    prompt = f"Context:\n<context>\n{PARAGRAPHS[0]}\n</context>\n\n{QUESTION}"
    llm.invoke(prompt)
    assert prompt in running_texts[0]


@BOTH_READINGS
def test_a_label_that_introduced_a_marked_document_does_not_stay_empty(llm, running_texts):
    llm.invoke(f"Answer briefly.\n\n## Context:\n<context>\n{LONG}\n</context>\n\nQuestion: {QUESTION}")
    assert "Answer briefly." in running_texts[0]
    assert f"Question: {QUESTION}" in running_texts[0]
    assert "Context" not in running_texts[0]
    assert "context>" not in running_texts[0]


def shapes():
    """The shapes of prompts that `examples/langchain/prompt_shapes.py` measures."""
    folder = str(tiny_engine.ROOT / "examples" / "langchain")
    sys.path.insert(0, folder)
    try:
        return runpy.run_path(f"{folder}/prompt_shapes.py")["SHAPES"]
    finally:
        sys.path.remove(folder)


SHAPES = shapes()


@BOTH_READINGS
@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_every_measured_shape_keeps_its_question_in_the_window(llm, running_texts, shape):
    llm.invoke(shape(LONG, QUESTION))
    assert QUESTION in running_texts[0]
    assert "context>" not in running_texts[0]
