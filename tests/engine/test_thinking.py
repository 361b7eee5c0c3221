"""Reasoning models: thoughts are kept apart from the answer, can be switched on and off, and end in time."""

import asyncio
import json

import pytest

from sharedllm_core import Constraint, Document, InputError, ThoughtPiece, ToolCall
from sharedllm_core.decoding.answer_text import DecodedAnswer
from sharedllm_core.engine import answering
from sharedllm_core.generation.constraints.limited_thoughts import LimitedThoughts
from sharedllm_core.generation.prompting import build_prompt, render
from sharedllm_core.generation.thoughts import ThoughtNotation
from sharedllm_core.text.tokenization import TextTokenizer
from tests import tiny_engine
from tests.thinking_templates import (
    DEEPSEEK_V31,
    EMPTY_THOUGHTS,
    GRANITE,
    NEMOTRON,
    QWEN3,
    R1,
    R1_0528,
    follow_script,
    scripted_engine,
    tokenizer,
)

THOUGHTS = "The lease says: stop.\nSo it is ninety days."
ANSWER = "Ninety days."
QUESTION = "What is the notice period?"
SCHEMA = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}
COHERE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}<|assistant|>"
    "{# <|START_THINKING|><|END_THINKING|><|START_RESPONSE|><|END_RESPONSE|> #}"
)
COHERE_TOKENS = ("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>")


def text_markers(template):
    """A tokenizer to which the markers are plain text of several tokens, as in many GGUF files."""
    return tokenizer(template, ())


def special_markers(template):
    return tokenizer(template, COHERE_TOKENS, special=True)


MODELS = {
    "Qwen3": (QWEN3, f"<think>\n{THOUGHTS}\n</think>\n\n{ANSWER}", tokenizer),
    "R1": (R1, f"{THOUGHTS}\n</think>\n\n{ANSWER}", tokenizer),
    "R1-0528": (R1_0528, f"<think>\n{THOUGHTS}\n</think>\n\n{ANSWER}", tokenizer),
    "markers as text": (QWEN3, f"<think>\n{THOUGHTS}\n</think>\n\n{ANSWER}", text_markers),
    "opened, as text": (R1, f"{THOUGHTS}\n</think>\n\n{ANSWER}", text_markers),
    "Granite": (GRANITE, f"<think>{THOUGHTS}</think>\n<response>{ANSWER}</response>", text_markers),
    "special tokens": (
        COHERE,
        f"<|START_THINKING|>{THOUGHTS}<|END_THINKING|><|START_RESPONSE|>{ANSWER}<|END_RESPONSE|>",
        special_markers,
    ),
}


@pytest.fixture(params=MODELS)
def thinking_engine(request):
    template, script, make = MODELS[request.param]
    return scripted_engine(template, script, tokenizer=make, thinking=True)


# ------------------------------------------------------------------------------------------------ notations


@pytest.mark.parametrize(
    ("template", "switch", "by_default"),
    [
        (QWEN3, "enable_thinking", True),
        (GRANITE, "thinking", False),
        (DEEPSEEK_V31, "thinking", False),
        (R1, None, True),
        (R1_0528, None, True),
        (EMPTY_THOUGHTS, None, False),
        (tiny_engine.CHAT, None, False),
    ],
)
def test_switch_and_default_are_what_the_rendered_template_shows(template, switch, by_default):
    for make in (tokenizer, text_markers):
        notation = ThoughtNotation.for_tokenizer(TextTokenizer(make(template)))
        assert (notation.switch, notation.by_default) == (switch, by_default)


def test_a_template_that_sets_the_variable_itself_has_no_switch():
    template = "{% set enable_thinking = true %}" + QWEN3
    assert ThoughtNotation.for_tokenizer(TextTokenizer(tokenizer(template))).switch is None


def test_markers_come_from_the_response_template_of_the_tokenizer_too():
    made = tokenizer(tiny_engine.CHAT + "{# <<thoughts>> <</thoughts>> #}", ())
    made.response_template = {"fields": {"reasoning_content": {"open": "<<thoughts>>\n", "close": "<</thoughts>>"}}}
    notation = ThoughtNotation.for_tokenizer(TextTokenizer(made))
    assert (notation.begin, notation.end) == ("<<thoughts>>", "<</thoughts>>")


def test_a_template_that_is_replaced_is_detected_again():
    made = TextTokenizer(tokenizer(QWEN3))
    assert ThoughtNotation.for_tokenizer(made).switch == "enable_thinking"
    made.tokenizer.chat_template = R1
    assert ThoughtNotation.for_tokenizer(made).switch is None


# ------------------------------------------------------------------------------------------------ thoughts, answer


def test_thoughts_are_apart_from_the_answer_in_every_notation(thinking_engine):
    answer = thinking_engine.ask(QUESTION)
    assert (answer.thoughts, answer.text, answer.finish_reason) == (THOUGHTS, ANSWER, "stop")
    assert 0 < answer.usage.thought_tokens < answer.usage.completion_tokens


def test_a_stream_gives_the_answer_and_on_request_the_thoughts_before_it(thinking_engine):
    with thinking_engine.stream(QUESTION) as stream:
        assert "".join(stream) == ANSWER
    with thinking_engine.stream(QUESTION) as stream:
        pieces = list(stream.pieces())
    thoughts = [piece for piece in pieces if isinstance(piece, ThoughtPiece)]
    assert len(thoughts) > 5, "they come while they are generated"
    assert "".join(thoughts) == stream.answer.thoughts == THOUGHTS
    assert "".join(pieces) == THOUGHTS + ANSWER


def test_the_async_stream_gives_the_same(thinking_engine):
    async def both():
        answer_pieces = [piece async for piece in thinking_engine.astream(QUESTION)]
        return answer_pieces, [piece async for piece in thinking_engine.astream(QUESTION).pieces()]

    answer_pieces, pieces = asyncio.run(both())
    assert "".join(answer_pieces) == ANSWER
    assert "".join(piece for piece in pieces if isinstance(piece, ThoughtPiece)) == THOUGHTS
    assert "".join(pieces) == THOUGHTS + ANSWER


def test_stop_strings_end_the_answer_and_not_the_thoughts(thinking_engine):
    answer = thinking_engine.ask(QUESTION, stop=["stop", " days"])
    assert (answer.thoughts, answer.text) == (THOUGHTS, "Ninety")


def test_an_answer_that_is_still_thinking_at_its_last_token_has_no_text(thinking_engine):
    answer = thinking_engine.ask(QUESTION, max_new_tokens=20)
    assert answer.text == ""
    assert answer.finish_reason == "length"
    assert answer.thoughts
    assert THOUGHTS.startswith(answer.thoughts)
    assert answer.usage.thought_tokens == answer.usage.completion_tokens == 20


def test_rows_of_a_batch_think_for_as_long_as_each_needs():
    script = {
        "first": "<think>\nShort.\n</think>\n\nYes.",
        "second": f"<think>\n{THOUGHTS}\n</think>\n\nNo.",
        "third": "No thoughts at all.",
        "fourth": "<think>\nIt goes on…",
    }
    engine = scripted_engine(QWEN3, script)
    engine._answering.decoder.joins = False  # the script knows rows by their number, so none may leave
    answers = engine.ask_batch(["the first", "the second", "the third", "the fourth"], max_new_tokens=60)
    assert [answer.thoughts for answer in answers[:3]] == ["Short.", THOUGHTS, ""]
    assert [answer.text for answer in answers] == ["Yes.", "No.", "No thoughts at all.", ""]
    assert answers[3].finish_reason == "length"
    alone = [engine.ask(question, max_new_tokens=60) for question in ("the first", "the fourth")]
    assert [alone[0].thoughts, alone[1].thoughts] == [answers[0].thoughts, answers[3].thoughts]


def test_an_answer_without_thoughts_is_what_it_is_without_a_reasoning_model():
    for script in ("  Yes.", "<thin", "<b>Yes</b>", "</think> Yes", "\n"):
        engine = scripted_engine(QWEN3, script, tokenizer=text_markers)
        answer = engine.ask(QUESTION, thinking=False)
        assert (answer.text, answer.thoughts, answer.usage.thought_tokens) == (script, "", 0)


def test_thoughts_that_mention_a_part_of_the_marker_go_on():
    thoughts = "The tag is </thin or </ think> or <think>."
    engine = scripted_engine(R1, f"{thoughts}</think>{ANSWER}", tokenizer=text_markers)
    answer = engine.ask(QUESTION)
    assert (answer.thoughts, answer.text) == (thoughts, ANSWER)


def ids_of(made, *parts):
    """The ids of each part on its own, so that markers are not parsed across parts."""
    return [token_id for part in parts for token_id in made(part, add_special_tokens=False)["input_ids"]]


def test_the_text_behind_the_marker_in_the_same_token_belongs_to_the_answer():
    made = tokenizer(R1, (">Ninety",))
    text, pieces = TextTokenizer(made), []
    notation = ThoughtNotation.for_tokenizer(text)
    decoded = DecodedAnswer(text, frozenset(), [], pieces.append, notation=notation, begun=True)
    for token_id in ids_of(made, "So.</thin", "k", ">Ninety", " days."):
        decoded.push(token_id)
    decoded.end("stop")
    assert (decoded.thoughts.text, decoded.text) == ("So.", "Ninety days.")
    assert "".join(pieces) == "So.Ninety days."


def test_before_a_grammar_such_a_token_is_replaced_by_the_marker_alone():
    made = tokenizer(R1, (">Ninety", ">\n\n"))
    text = TextTokenizer(made)

    def limited():
        thoughts = LimitedThoughts(text, ThoughtNotation.for_tokenizer(text), "begun")
        thoughts.limit(100, 10)
        for token_id in ids_of(made, "So.</thin", "k"):
            assert thoughts.next_token(token_id) == token_id
            thoughts.push(token_id)
        return thoughts

    blank, other = ids_of(made, ">\n\n", ">Ninety")
    thoughts = limited()
    assert thoughts.next_token(blank) == blank, "white space behind the marker is no part of the answer"
    thoughts.push(blank)
    assert thoughts.ended
    thoughts, forced = limited(), []
    while not thoughts.ended:
        forced.append(thoughts.next_token(other))
        thoughts.push(forced[-1])
    assert text.decode(forced) == "</think>"


def test_evidence_rests_on_the_answer_and_not_on_the_thoughts():
    documents = [Document("The harbour lease ends.", id="harbour"), Document("The warehouse fee is paid.", id="fee")]
    engine = scripted_engine(R1, "The harbour lease? No.</think>\n\nThe warehouse fee.")
    assert engine.ask("What is paid?", documents).evidence[0].document_id == "fee"


def test_the_attention_of_the_thoughts_does_not_count_as_evidence(engine, monkeypatch):
    made = engine.tokenizer.tokenizer
    made.chat_template = R1
    follow_script(engine.model, made, f"{THOUGHTS}</think>{ANSWER}")
    scored = []
    inner = answering.state_scores

    def recorded(model, prompt_ids, answer_ids, *others):
        scored.append(made.decode(answer_ids))
        return inner(model, prompt_ids, answer_ids, *others)

    monkeypatch.setattr(answering, "state_scores", recorded)
    answer = engine.ask(QUESTION, tiny_engine.documents(2))
    assert (answer.thoughts, answer.text, scored) == (THOUGHTS, ANSWER, [ANSWER])
    assert answer.evidence


def test_a_model_that_thinks_has_a_larger_budget_by_default():
    engine = scripted_engine(QWEN3, "<think>\nIt goes on…", window=1200)
    assert engine.ask(QUESTION).usage.completion_tokens == 300
    assert engine.ask(QUESTION, thinking=False).usage.completion_tokens == 256


# ------------------------------------------------------------------------------------------------ the switch


def last_prompt(template, thinking):
    text = TextTokenizer(tokenizer(template))
    return render([{"role": "user", "content": "?"}], text, thinking=thinking).partition("?<|end|>")[2]


def test_the_switch_of_the_template_is_set():
    assert last_prompt(QWEN3, None) == last_prompt(QWEN3, True) == "<|assistant|>\n"
    assert last_prompt(QWEN3, False) == "<|assistant|>\n<think>\n\n</think>\n\n"
    assert last_prompt(DEEPSEEK_V31, None) == last_prompt(DEEPSEEK_V31, False) == "<|assistant|></think>"
    assert last_prompt(DEEPSEEK_V31, True) == "<|assistant|><think>"


@pytest.mark.parametrize(("template", "thinking"), [(R1, True), (R1_0528, True), (EMPTY_THOUGHTS, False)])
def test_what_a_model_does_anyway_may_be_asked_of_it(template, thinking):
    engine = scripted_engine(template, "Yes.")
    engine.ask(QUESTION, thinking=thinking)


@pytest.mark.parametrize(
    ("template", "thinking", "fault"),
    [
        (R1, False, "thinking=False needs a chat template with a switch for it, and this model always thinks; leave"),
        (R1_0528, False, "this model always thinks"),
        (EMPTY_THOUGHTS, True, "thinking=True needs a model that thinks, and the chat template .* has no switch"),
        (tiny_engine.CHAT, True, "load a reasoning model, or leave thinking out"),
        (QWEN3, "yes", "thinking='yes' .*True, False or None"),
    ],
)
def test_thinking_that_the_model_cannot_do_or_omit_is_refused_before_it_runs(template, thinking, fault):
    engine = scripted_engine(template, "Yes.")
    engine.model.forward = None
    with pytest.raises(InputError, match=fault):
        engine.ask(QUESTION, thinking=thinking)


def test_the_setting_of_the_engine_holds_unless_a_question_has_its_own():
    engine = scripted_engine(QWEN3, "Yes.", thinking=False)
    empty = len(TextTokenizer(tokenizer(QWEN3)).tokenizer("<think>\n\n</think>\n\n")["input_ids"])
    tokens = {thinking: engine.ask(QUESTION, thinking=thinking).usage.running_text_tokens for thinking in (None, True)}
    assert tokens[None] == tokens[True] + empty
    derived = engine.with_cache(tiny_engine.memory_cache())
    assert derived.ask(QUESTION).usage.running_text_tokens == tokens[None]
    with pytest.raises(InputError, match="always thinks"):
        scripted_engine(R1, "Yes.", thinking=False)


def test_engines_that_think_and_engines_that_do_not_have_different_answer_fingerprints():
    fingerprints = {scripted_engine(QWEN3, "Yes.", thinking=t).answer_fingerprint for t in (None, True, False)}
    assert len(fingerprints) == 3


def test_quoted_passages_keep_the_switch():
    engine = scripted_engine(QWEN3, "Yes.")
    document = [Document("The notice period is ninety days.", id="lease")]
    off, on = (engine.ask(QUESTION, document, thinking=thinking) for thinking in (False, True))
    assert off.reading.quoted_tokens == on.reading.quoted_tokens > 0
    assert off.usage.running_text_tokens > on.usage.running_text_tokens


# ------------------------------------------------------------------------------------------------ constraints, tools


@pytest.mark.parametrize("new_tokens", [40, 200])
def test_a_constrained_answer_follows_the_thoughts_and_fits_however_long_the_model_thinks(thinking_engine, new_tokens):
    answer = thinking_engine.ask(QUESTION, constraint=Constraint.json_schema(SCHEMA), max_new_tokens=new_tokens)
    assert set(json.loads(answer.text)) == {"days"}
    assert answer.finish_reason == ("stop" if new_tokens == 200 else "length"), "completed early to fit"
    assert answer.thoughts
    assert THOUGHTS.startswith(answer.thoughts)
    if new_tokens == 200:
        assert answer.thoughts == THOUGHTS


@pytest.mark.parametrize("name", ["Qwen3", "R1", "markers as text"])
def test_endless_thoughts_are_ended_in_time_for_a_constrained_answer(name):
    template, _, make = MODELS[name]
    begin = "" if template == R1 else "<think>"
    engine = scripted_engine(template, f"{begin}Hm, and so on…", tokenizer=make)
    for new_tokens in (48, 100):
        answer = engine.ask(QUESTION, constraint=Constraint.json_schema(SCHEMA), max_new_tokens=new_tokens)
        assert set(json.loads(answer.text)) == {"days"}
        assert answer.thoughts.startswith("Hm, and so on")
        assert answer.usage.completion_tokens <= new_tokens
        assert answer.usage.thought_tokens <= new_tokens * 3 // 4


def test_a_constraint_that_leaves_no_room_for_the_markers_is_refused_with_the_number():
    engine = scripted_engine(R1, "Hm…")
    constraint = Constraint.json_schema(SCHEMA)
    with pytest.raises(InputError, match=r"which needs \d+ tokens") as refused:
        engine.ask(QUESTION, constraint=constraint, max_new_tokens=1)
    least = int(str(refused.value).split("which needs ")[1].split()[0])
    answer = engine.ask(QUESTION, constraint=constraint, max_new_tokens=least)
    assert set(json.loads(answer.text)) == {"days"}


def test_a_model_that_ends_its_answer_while_it_thinks_still_gives_a_constrained_one():
    engine = scripted_engine(R1, "Done")
    answer = engine.ask(QUESTION, constraint=Constraint.json_schema(SCHEMA), max_new_tokens=60)
    assert set(json.loads(answer.text)) == {"days"}


def test_a_constraint_may_begin_with_white_space():
    engine = scripted_engine(R1, "So.</think>")
    assert engine.ask(QUESTION, constraint=Constraint.regex(r"\n\n[ab]")).text in ("\n\na", "\n\nb")


def test_without_thinking_a_constraint_holds_from_the_first_token():
    engine = scripted_engine(QWEN3, "<think>\nHm.\n</think>\n\n7", thinking=False)
    answer = engine.ask(QUESTION, constraint=Constraint.json_schema(SCHEMA))
    assert set(json.loads(answer.text)) == {"days"}
    assert answer.thoughts == ""


def test_where_the_prompt_ends_the_thoughts_a_constraint_holds_from_the_first_token():
    engine = scripted_engine(NEMOTRON, f"{THOUGHTS}</think>")
    engine._answering.decoder.joins = False  # the script knows rows by their number, so none may leave
    options = {"constraint": Constraint.json_schema(SCHEMA), "max_new_tokens": 80}
    answers = engine.ask_batch([f"{QUESTION} /no_think", QUESTION], **options)
    assert [answer.thoughts for answer in answers] == ["", THOUGHTS]
    assert all(set(json.loads(answer.text)) == {"days"} for answer in answers)


def test_rows_of_a_batch_end_their_thoughts_and_begin_their_answers_on_their_own():
    script = {"first": "<think>\nShort.\n</think>\n\n{", "second": "<think>\nIt goes on…"}
    engine = scripted_engine(QWEN3, script)
    engine._answering.decoder.joins = False  # the script knows rows by their number, so none may leave
    options = {"constraint": Constraint.json_schema(SCHEMA), "max_new_tokens": 60}
    questions = ["the first", "the second"]
    together = engine.ask_batch(questions, **options)
    alone = [engine.ask(question, **options) for question in questions]
    assert [(row.thoughts, row.text) for row in together] == [(row.thoughts, row.text) for row in alone]
    assert together[0].thoughts == "Short."
    assert all(set(json.loads(row.text)) == {"days"} for row in together)


HOST = {"type": "object", "properties": {"host": {"enum": ["a", "b"]}}, "required": ["host"]}
PING = {"name": "ping", "parameters": HOST}


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_tools_are_called_after_the_thoughts_and_not_in_them(choice):
    call = '<tool_call>\n{"name":"ping","arguments":{"host":"b"}}\n</tool_call>'
    script = f"<think>\nI could write {call.replace('b', 'a')}.\n</think>\n\n{call}"
    engine = scripted_engine(QWEN3, script)
    stream = engine.stream(QUESTION, tools=[PING], tool_choice=choice)
    assert "tool_call" not in "".join(stream)
    assert stream.answer.tool_calls == (ToolCall("ping", {"host": "b"}),)
    assert stream.answer.text == ""
    assert "tool_call" in stream.answer.thoughts


def test_with_tools_an_answer_without_a_call_has_no_white_space_of_the_thoughts():
    engine = scripted_engine(QWEN3, f"<think>\n{THOUGHTS}\n</think>\n\n{ANSWER}")
    answer = engine.ask(QUESTION, tools=[PING])
    assert (answer.thoughts, answer.text, answer.tool_calls) == (THOUGHTS, ANSWER, ())


# ------------------------------------------------------------------------------------------------ several turns


def test_thoughts_of_earlier_turns_are_never_visible_text():
    turns = [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Yes.", "reasoning_content": "Secret."},
        {"role": "user", "content": "Two?"},
    ]
    for template in (QWEN3, R1, GRANITE, tiny_engine.CHAT):
        assert "Secret" not in render(turns, TextTokenizer(tokenizer(template)))
    long = [{"role": "user", "content": "word " * 400}, *turns[1:]]
    prompt = build_prompt(long, TextTokenizer(tokenizer(R1)), 200, 8)
    assert prompt.moved, "the first turn does not fit"
    answer = scripted_engine(R1, "So.</think>Yes.", window=200).ask(long, max_new_tokens=8)
    assert answer.moved


def test_thoughts_of_the_current_turn_reach_a_template_that_keeps_them():
    call = {"function": {"name": "ping", "arguments": {"host": "a"}}}
    turns = [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "", "reasoning_content": "I will ping.", "tool_calls": [call]},
        {"role": "tool", "content": "up"},
    ]
    assert "<think>\nI will ping.\n</think>" in render(turns, TextTokenizer(tokenizer(QWEN3)))
    assert "I will ping." not in render(turns, TextTokenizer(tokenizer(R1)))
    neighbours = [{"role": "assistant", "content": part, "reasoning_content": f"On {part}."} for part in ("A", "B")]
    text = TextTokenizer(tokenizer(QWEN3))
    prompt = build_prompt([turns[0], *neighbours], text, 200, 8)
    assert "<think>\nOn A.\n\nOn B.\n</think>\n\nA\n\nB" in text.decode(prompt.ids)


def test_thoughts_that_are_no_text_are_refused():
    engine = scripted_engine(QWEN3, "Yes.")
    with pytest.raises(InputError, match="reasoning_content"):
        engine.ask([{"role": "user", "content": "A", "reasoning_content": ["B"]}])
