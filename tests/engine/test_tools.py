"""Tools: what is called exists, its arguments fit, and every chat template can say it."""

import pytest
from jsonschema import Draft202012Validator
from transformers import PreTrainedTokenizerFast

from sharedllm_core import Constraint, InputError, SharedLLMEngine, ToolCall, WindowError
from sharedllm_core.generation.prompting import render
from sharedllm_core.generation.tool_notations.notation import ToolNotation
from sharedllm_core.generation.tools import Tools
from sharedllm_core.text.tokenization import TextTokenizer
from tests import tiny_engine
from tests.lookup_model import LOOKUP_MODEL

LOOK_UP = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Find a clause.",
        "parameters": {
            "type": "object",
            "properties": {"clause": {"type": "string"}, "part": {"$ref": "#/$defs/part"}},
            "required": ["clause", "part"],
            "$defs": {"part": {"enum": ["notice", "rent", "größe"]}},
        },
    },
}
PING = {"name": "ping"}
HERMES = (
    "{% if tools %}<|system|>{% for t in tools %}{{ t | tojson }}{% endfor %}<|end|>{% endif %}"
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% for c in m['tool_calls'] or [] %}"
    "<tool_call>\n{{ c['function'] | tojson }}\n</tool_call>{% endfor %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
PARAMETERS = {"look_up": LOOK_UP["function"]["parameters"], "ping": {"type": "object", "additionalProperties": False}}


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A checkpoint with room for tools in words."""
    return tiny_engine.make_checkpoint(tmp_path_factory.mktemp("wide"), max_position_embeddings=2048)


@pytest.fixture(params=["special tokens", "words", "template"])
def any_engine(request, wide):
    """Engines with the three ways of writing calls: control tokens, no template for tools, Hermes'."""
    if request.param == "special tokens":
        return SharedLLMEngine.from_pretrained(LOOKUP_MODEL, cache=tiny_engine.memory_cache())
    engine = tiny_engine.make_engine(wide)
    if request.param == "template":
        engine.tokenizer.tokenizer.chat_template = HERMES
    return engine


@pytest.mark.parametrize("temperature", [0.0, 3.0, 50.0])
@pytest.mark.parametrize("choice", ["required", "look_up", "ping"])
def test_calls_that_are_asked_for_come_and_fit_their_parameters(any_engine, choice, temperature):
    for seed in range(3):
        answer = any_engine.ask(
            "which notice period?",
            tools=[LOOK_UP, PING],
            tool_choice=choice,
            temperature=temperature,
            seed=seed,
            max_new_tokens=120,
        )
        assert answer.text == ""
        assert answer.tool_calls
        for call in answer.tool_calls:
            assert choice in ("required", call.name)
            Draft202012Validator(PARAMETERS[call.name]).validate(call.arguments)


def test_one_answer_holds_one_call_where_parallel_calls_are_not_wanted(any_engine):
    options = {"tools": [PING], "tool_choice": "required", "temperature": 50.0, "max_new_tokens": 250}
    assert max(len(any_engine.ask("now?", seed=seed, **options).tool_calls) for seed in range(6)) > 1
    for seed in range(6):
        answer = any_engine.ask("now?", seed=seed, parallel_tool_calls=False, **options)
        assert answer.tool_calls == (ToolCall("ping", {}),)


@pytest.mark.parametrize("temperature", [0.0, 50.0])
def test_with_auto_an_answer_is_text_or_calls_and_streams_its_text_alone(any_engine, temperature):
    stream = any_engine.stream("which notice period?", tools=[LOOK_UP], temperature=temperature, seed=4)
    pieces = "".join(stream)
    assert pieces == stream.answer.text
    assert "tool_call" not in pieces
    for call in stream.answer.tool_calls:
        Draft202012Validator(PARAMETERS[call.name]).validate(call.arguments)


def test_with_none_no_tool_is_told_and_none_is_called(any_engine):
    plain = any_engine.ask("which notice period?", max_new_tokens=20)
    answer = any_engine.ask("which notice period?", tools=[LOOK_UP], tool_choice="none", max_new_tokens=20)
    assert answer.tool_calls == ()
    assert answer.usage.running_text_tokens == plain.usage.running_text_tokens


def test_with_a_constraint_an_answer_is_a_call_or_keeps_to_it(any_engine):
    for seed in range(4):
        answer = any_engine.ask(
            "which notice period?",
            tools=[PING],
            constraint=Constraint.json_schema({"enum": ["yes", "no"]}),
            temperature=50.0,
            seed=seed,
        )
        assert answer.tool_calls or answer.text in ('"yes"', '"no"')


def test_a_text_and_the_call_behind_it_are_told_apart_in_every_notation(any_engine):
    notation = ToolNotation.for_tokenizer(any_engine.tokenizer)
    call = {"function": {"name": "look_up", "arguments": {"clause": 'the "é" {clause}', "part": "rent"}}}
    assert notation.parse_calls(notation.format_calls([call, {"name": "ping", "arguments": {}}])) == (
        ToolCall("look_up", {"clause": 'the "é" {clause}', "part": "rent"}),
        ToolCall("ping", {}),
    )
    assert notation.parse_calls(notation.format_calls([call])[:-3]) == (), "a call that was broken off is none"


def test_calls_and_results_of_earlier_turns_reach_the_model(any_engine):
    call = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": '{"clause": "rent"}'}}
    said = [
        {"role": "user", "content": "what rent?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "90 pounds", "tool_call_id": "1"},
        {"role": "tool", "content": "", "tool_call_id": "2"},
    ]
    answer = any_engine.ask(said, tools=[LOOK_UP], max_new_tokens=8)
    without = any_engine.ask(said[:1], tools=[LOOK_UP], max_new_tokens=8)
    assert answer.usage.running_text_tokens > without.usage.running_text_tokens + 10


def test_a_template_without_tools_gets_them_in_words():
    tokenizer = TextTokenizer(tiny_engine.tokenizer())
    call = {"type": "function", "function": {"name": "ping", "arguments": {}}}
    said = [{"role": "user", "content": "now?"}, {"role": "assistant", "content": "Yes.", "tool_calls": [call]}]
    text = render(said, tokenizer, Tools.from_openai([PING], "auto", True))
    assert text.startswith("<|system|>You may call functions.")
    assert '"name":"ping"' in text
    assert '<|assistant|>Yes.\n<tool_call>\n{"name":"ping","arguments":{}}\n</tool_call><|end|>' in text


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"tools": [PING], "tool_choice": "pong"}, r"tool_choice='pong' is none of the tools, which are \['ping'\]"),
        ({"tools": [], "tool_choice": "required"}, "there are no tools"),
        ({"tools": [PING, PING]}, r"several tools are called \['ping'\]"),
        ({"tools": [{"description": "?"}]}, "is no tool"),
        ({"tools": ["ping"]}, "is no tool"),
        ({"tools": "ping"}, "a list of tools"),
        ({"tools": [{"name": "two words"}]}, "cannot be a tool's name"),
        ({"tools": [{"name": "f", "parameters": {"type": "string"}}]}, "a JSON schema of type 'object'"),
        ({"tools": [{"name": "f", "parameters": {"not": {}}}]}, "tool 'f': .*Unimplemented keys"),
        (
            {"tools": [PING], "constraint": Constraint.regex("a+")},
            "tools cannot be combined with the regular expression",
        ),
    ],
)
def test_tools_that_cannot_be_offered_are_refused_before_the_model_runs(engine, options, fault):
    engine.model.forward = None
    with pytest.raises(InputError, match=fault):
        engine.ask("now?", **options)


def test_tools_that_leave_no_room_are_refused_with_the_numbers(engine):
    tools = [{"name": f"tool_{number}", "description": tiny_engine.words(30)} for number in range(40)]
    with pytest.raises(WindowError, match=r"the description of 40 tools has [\d,]+ tokens"):
        engine.ask("now?", tools=tools)


def test_calls_in_messages_that_are_none_are_refused(engine):
    no_json = {"function": {"name": "f", "arguments": "{"}}
    for call, fault in (({"id": "1"}, "is no tool call"), (no_json, "are no JSON")):
        with pytest.raises(InputError, match=fault):
            engine.ask([{"role": "assistant", "content": "", "tool_calls": [call]}, {"role": "user", "content": "?"}])


def test_a_tokenizer_without_a_template_says_tools_in_words_too():
    bare = TextTokenizer(PreTrainedTokenizerFast(tokenizer_object=tiny_engine.tokenizer().backend_tokenizer))
    text = render([{"role": "user", "content": "now?"}], bare, Tools.from_openai([PING], "auto", True))
    assert text.startswith("System: You may call functions.")
