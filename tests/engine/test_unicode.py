"""Lone surrogates, which no encoding can write: in every text of a request they are read as U+FFFD."""

import json

import pytest

from sharedllm_core import Constraint, Document
from tests import tiny_engine
from tests.scripted import engine_of_family, writing

BROKEN, REPLACED = "a\ud800b", "a\N{REPLACEMENT CHARACTER}b"
QUESTION = "Who signed the lease?"
TEMPLATE = "{% for passage in passages %}{{ passage.text }} {% endfor %}{{ question }}"


def tool(description="", **properties):
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": "look", "description": description, "parameters": parameters}}


def schema(text):
    properties = {text: {"enum": [text, "other"], "description": text}}
    return {"type": "object", "title": text, "properties": properties, "required": [text]}


def conversation(text, arguments):
    """A conversation with a text in each of its parts, and a call with arguments."""
    call = {"id": text, "function": {"name": text, "arguments": arguments}}
    return [
        {"role": "system", "content": text},
        {"role": "user", "content": text},
        {"role": "assistant", "content": text, "reasoning_content": text, "tool_calls": [call]},
        {"role": "tool", "content": text, "tool_call_id": text, "name": text},
        {"role": text, "content": text},
    ]


#: The options of a question with a text at one place.
OPTIONS = {
    "description of a tool": lambda text: {"tools": [tool(text)]},
    "name of a parameter": lambda text: {"tools": [tool(**{text: {"type": "string"}})]},
    "description of a parameter": lambda text: {"tools": [tool(a={"type": "string", "description": text})]},
    "value of a parameter": lambda text: {"tools": [tool(a={"enum": [text]})], "tool_choice": "required"},
    "stop string": lambda text: {"stop": text},
    "list of stop strings": lambda text: {"stop": ["never", text]},
    "JSON schema": lambda text: {"constraint": Constraint.json_schema(schema(text))},
    "choice": lambda text: {"constraint": Constraint.choice([text, "other"])},
    "regular expression": lambda text: {"constraint": Constraint.regex(f"{text}|other")},
    "Lark grammar": lambda text: {"constraint": Constraint.lark(f'start: "{text}" | "other"', text)},
}
#: A question with a text at one place.
QUESTIONS = {
    "question": lambda text: text,
    "messages": lambda text: conversation(text, {text: [text, {"inner": text}]}),
    "arguments as JSON": lambda text: conversation("a", json.dumps({text: text})),
    "arguments as JSON without escapes": lambda text: conversation("a", json.dumps({text: text}, ensure_ascii=False)),
}


@pytest.fixture(scope="module", params=["plain", "hermes", "llama 3"])
def family_engine(request):
    return engine_of_family(request.param)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_options_of_a_question(family_engine, options):
    library = family_engine.library(tiny_engine.documents(1))
    answers = [
        family_engine.ask(QUESTION, library, max_new_tokens=100, num_evidence=0, **options(text))
        for text in (BROKEN, REPLACED)
    ]
    assert answers[0].text == answers[1].text
    assert answers[0].tool_calls == answers[1].tool_calls
    assert answers[0].usage.running_text_tokens == answers[1].usage.running_text_tokens


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=list(QUESTIONS))
def test_questions(family_engine, question):
    library = family_engine.library(tiny_engine.documents(1))
    sizes = [family_engine.prompt_size(question(text)) for text in (BROKEN, REPLACED)]
    assert sizes[0] == sizes[1]
    answers = [
        family_engine.ask(question(text), library, max_new_tokens=6, num_evidence=0) for text in (BROKEN, REPLACED)
    ]
    assert answers[0].text == answers[1].text


@pytest.mark.parametrize("template", [f"{BROKEN} {TEMPLATE}", "{{ '\\ud800' }} " + TEMPLATE], ids=["text", "escape"])
def test_quote_templates(checkpoints, template):
    library = tiny_engine.documents(1)
    replaced = template.replace("\ud800", "\N{REPLACEMENT CHARACTER}").replace("\\ud800", "\\ufffd")
    answers = [
        tiny_engine.make_engine(checkpoints["quoted"], quote_template=one).ask(QUESTION, library, max_new_tokens=6)
        for one in (template, replaced)
    ]
    assert answers[0].reading.quoted_tokens
    assert answers[0].text == answers[1].text
    assert answers[0].usage.running_text_tokens == answers[1].usage.running_text_tokens


@pytest.mark.parametrize("written", ["\ud800", "{{ '\\ud800' }}"], ids=["text", "escape"])
def test_chat_templates(checkpoints, written):
    engine = tiny_engine.make_engine(checkpoints["quoted"])
    template = engine.tokenizer.tokenizer.chat_template
    sizes = []
    for start in (written, "\N{REPLACEMENT CHARACTER}"):
        engine.tokenizer.tokenizer.chat_template = start + template
        sizes.append(engine.ask(QUESTION, max_new_tokens=4).usage.running_text_tokens)
    assert sizes[0] == sizes[1]


def test_a_stop_string_ends_answers_at_the_replacement_character():
    engine = engine_of_family("plain")
    with writing(engine, f"before {REPLACED} after"):
        assert engine.ask(QUESTION, stop=BROKEN, max_new_tokens=40).text == "before "


@pytest.mark.parametrize("reading", ["injected", "quoted"])
def test_text_title_and_id_of_a_document(checkpoints, reading):
    engine = tiny_engine.make_engine(checkpoints[reading])
    text = tiny_engine.words(60)
    answers = [
        engine.ask(QUESTION, [Document(f"{one} {text}", id=one, metadata={"title": one})], max_new_tokens=6)
        for one in (BROKEN, REPLACED)
    ]
    assert (answers[0].text, answers[0].evidence) == (answers[1].text, answers[1].evidence)
    assert {span.document_id for span in answers[0].evidence} == {REPLACED}
