"""Tools in the notation of each family's chat template: calls fit, texts stay texts, and histories can be rendered."""

import json

import pytest
from jsonschema import Draft202012Validator

from sharedllm_core import Constraint, InputError, ToolCall
from sharedllm_core.generation.prompting import build_prompt, render
from sharedllm_core.generation.tool_notations.notation import ToolNotation
from sharedllm_core.generation.tools import Tools
from sharedllm_core.text.tokenization import TextTokenizer
from tests.chat_templates import FAMILIES
from tests.engine.test_tools import LOOK_UP, PARAMETERS, PING
from tests.scripted import engine_of_family, writing

IN_TEMPLATE = [name for name in FAMILIES if FAMILIES[name].in_template]
AS_TEXT = [name for name in FAMILIES if not FAMILIES[name].in_template]
every_family = pytest.mark.parametrize("family", FAMILIES)
TRICKY = 'the "é" {clause}\n\\ 漢字 </tool_call><tool_call>\n{"name": "ping"} [TOOL_CALLS] </function> ```'
OFFERED = Tools.from_openai([LOOK_UP, PING], "auto", True)


def openai_call(name, call_id=None, **arguments):
    return {
        **({"id": call_id} if call_id else {}),
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


@pytest.fixture(scope="module")
def engines():
    """An engine with random weights for each family, made when it is first used."""
    made = {}

    def engine_of(name):
        if name not in made:
            made[name] = engine_of_family(name)
        return made[name]

    return engine_of


@pytest.fixture
def tokenizer(family):
    return TextTokenizer(FAMILIES[family].tokenizer())


@pytest.fixture
def notation(tokenizer):
    return ToolNotation.for_tokenizer(tokenizer)


# ---------------------------------------------------------------------------------------------- detection


@pytest.mark.parametrize("family", [name for name in IN_TEMPLATE if name != "declared"])
def test_calls_are_formatted_as_the_template_renders_them(family, tokenizer, notation):
    assert notation.rules is not None
    calls = [openai_call("look_up", "nineChar1", clause=TRICKY, part="rent"), openai_call("ping", "nineChar2")]
    calls = calls if FAMILIES[family].parallel else calls[:1]
    question = {"role": "user", "content": "now?"}
    text = render([question, {"role": "assistant", "content": "", "tool_calls": calls}], tokenizer, OFFERED)
    for call in calls:
        text = text.replace(f', "id": "{call["id"]}"', "")
    assert notation.format_calls(calls) in text
    assert notation.format_calls(calls).startswith(FAMILIES[family].begin)


@pytest.mark.parametrize("family", AS_TEXT)
def test_a_template_without_a_known_notation_gets_tools_and_calls_as_text(tokenizer, notation):
    assert notation.rules is None
    calls = [openai_call("ping")]
    question = {"role": "user", "content": "now?"}
    text = render([question, {"role": "assistant", "content": "", "tool_calls": calls}], tokenizer, OFFERED)
    assert "You may call functions." in text
    assert '<tool_call>\n{"name":"ping","arguments":{}}\n</tool_call>' in text


def test_calls_are_written_as_a_tokenizer_declares_where_its_template_shows_no_json(engines):
    engine = engines("declared")
    notation = ToolNotation.for_tokenizer(engine.tokenizer)
    text = notation.format_calls([openai_call("ping"), openai_call("ping", x=1)])
    call = '<tool_call>{{"name": "ping", "arguments": {}}}</tool_call>'
    assert text == call.format("{}") + call.format('{"x": 1}')
    parsed = engine.tokenizer.tokenizer.parse_response(text, prefix="")
    assert [call["function"]["arguments"] for call in parsed["tool_calls"]] == [{}, {"x": 1}]


@pytest.mark.parametrize(
    ("opened", "begin"), [({"open": "<other>"}, '<other>{"name": "ping"'), ({"open_pattern": "<o.*?>"}, None)]
)
def test_a_declaration_counts_where_it_contradicts_the_template(opened, begin):
    made = FAMILIES["qwen"].tokenizer()
    calls = {**opened, "close": "</other>", "content": "json"}
    made.response_template = {"start_anchor": "<|assistant|>", "fields": {"content": {}, "tool_calls": calls}}
    notation = ToolNotation.for_tokenizer(TextTokenizer(made))
    assert (notation.rules is None) == (begin is None), "a declaration that cannot be used leaves tools as text"
    assert notation.format_calls([openai_call("ping")]).startswith(begin or "<tool_call>")


# ---------------------------------------------------------------------------------------------- calls


@every_family
@pytest.mark.parametrize(("choice", "temperature"), [("required", 50.0), ("look_up", 0.0)])
def test_calls_that_are_asked_for_come_and_fit_their_parameters(engines, family, choice, temperature):
    options = {"tool_choice": choice, "temperature": temperature, "seed": 2, "max_new_tokens": 120}
    answer = engines(family).ask("which notice period?", tools=[LOOK_UP, PING], **options)
    assert answer.text == ""
    assert answer.tool_calls
    assert FAMILIES[family].parallel or len(answer.tool_calls) == 1
    for call in answer.tool_calls:
        assert choice in ("required", call.name)
        Draft202012Validator(PARAMETERS[call.name]).validate(call.arguments)


@every_family
def test_text_before_a_call_streams_and_the_call_does_not(engines, family):
    engine = engines(family)
    notation = ToolNotation.for_tokenizer(engine.tokenizer)
    calls = [openai_call("look_up", clause="rent", part="größe"), openai_call("ping")]
    calls = calls if FAMILIES[family].parallel else calls[:1]
    before = "Let me see. " if FAMILIES[family].parallel else ""
    with writing(engine, before, notation.format_calls(calls)):
        stream = engine.stream("which rent?", tools=[LOOK_UP, PING], max_new_tokens=250)
        pieces = list(stream)
    assert "".join(pieces) == stream.answer.text == before
    assert stream.answer.finish_reason == "stop"
    assert [(call.name, call.arguments) for call in stream.answer.tool_calls] == [
        (call["function"]["name"], call["function"]["arguments"]) for call in calls
    ]


@every_family
def test_with_none_a_model_that_writes_a_call_calls_nothing(engines, family):
    engine = engines(family)
    text = ToolNotation.for_tokenizer(engine.tokenizer).format_calls([openai_call("ping")])
    with writing(engine, text):
        stream = engine.stream("now?", tools=[PING], tool_choice="none", max_new_tokens=100)
        pieces = "".join(stream)
    assert stream.answer.tool_calls == ()
    assert stream.answer.finish_reason == "stop"
    assert pieces == stream.answer.text
    with writing(engine, text):
        assert engine.ask("now?", max_new_tokens=100).text == stream.answer.text


@pytest.mark.parametrize("family", [name for name in FAMILIES if FAMILIES[name].parallel])
def test_several_calls_come_only_where_they_are_wanted(engines, family):
    engine = engines(family)
    text = ToolNotation.for_tokenizer(engine.tokenizer).format_calls([openai_call("ping")] * 3)
    for parallel, number in ((True, 3), (False, 1)):
        with writing(engine, text):
            answer = engine.ask("now?", tools=[PING], parallel_tool_calls=parallel, max_new_tokens=200)
        assert answer.tool_calls == (ToolCall("ping", {}),) * number


@pytest.mark.parametrize("family", ["qwen", "qwen, special", "mistral", "nested"])
def test_text_that_spells_the_marker_out_is_no_call(engines, family):
    engine = engines(family)
    text = ToolNotation.for_tokenizer(engine.tokenizer).format_calls([openai_call("unknown", x=1)])
    with writing(engine, (text,)):
        answer = engine.ask("now?", tools=[PING], max_new_tokens=150)
    assert (answer.text, answer.tool_calls) == (text, ())


def test_llama_may_write_its_tag_before_a_call(engines):
    engine = engines("llama 3")
    with writing(engine, '<|python_tag|>{"name": "ping", "parameters": {}}'):
        answer = engine.ask("now?", tools=[PING])
    assert (answer.text, answer.tool_calls) == ("", (ToolCall("ping", {}),))


@pytest.mark.parametrize("text", ['{"name": "Anna", "age": 30}', 'So: {"name": "ping", "parameters": {}}', '{"na'])
def test_json_that_begins_no_call_stays_text_in_llama_notation(engines, text):
    engine = engines("llama 3")
    with writing(engine, text):
        stream = engine.stream("now?", tools=[PING])
        assert "".join(stream) == text
    assert stream.answer.tool_calls == ()


def test_mistral_may_write_ids(engines):
    engine = engines("mistral")
    text = '[TOOL_CALLS] [{"name": "ping", "arguments": {}, "id": "abcDEF123"}, {"name": "ping", "arguments": {}}]'
    with writing(engine, text):
        answer = engine.ask("now?", tools=[PING])
    assert answer.tool_calls == (ToolCall("ping", {}),) * 2


@every_family
def test_with_a_constraint_an_answer_is_a_call_or_matches_it(engines, family):
    engine = engines(family)
    constraint = Constraint.json_schema({"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]})
    notation = ToolNotation.for_tokenizer(engine.tokenizer)
    with writing(engine, (json.dumps({"x": "<tool_call> <function="}, separators=(",", ":")),)):
        answer = engine.ask("now?", tools=[PING], constraint=constraint)
    assert (json.loads(answer.text), answer.tool_calls) == ({"x": "<tool_call> <function="}, ())
    with writing(engine, notation.format_calls([openai_call("ping")])):
        answer = engine.ask("now?", tools=[PING], constraint=constraint)
    assert (answer.text, answer.tool_calls) == ("", (ToolCall("ping", {}),))


@every_family
def test_a_call_needs_room_and_the_error_names_the_number(engines, family):
    with pytest.raises(InputError, match=r"max_new_tokens=4 is too few for calls of .*'ping'.*, which needs \d+"):
        engines(family).ask("now?", tools=[PING], tool_choice="required", max_new_tokens=4)


# ---------------------------------------------------------------------------------------------- round trips


@every_family
def test_what_is_formatted_is_parsed_back(family, notation):
    arguments = {"clause": TRICKY, "deep": [{"x": None, "y": [1.5, True]}], "é": ""}
    calls = [openai_call("look_up", **arguments), openai_call("ping"), openai_call("a.b-c_1", x="}")]
    calls = calls if FAMILIES[family].parallel else calls[:1]
    text = notation.format_calls(calls)
    expected = [(call["function"]["name"], call["function"]["arguments"]) for call in calls]
    assert [(call.name, call.arguments) for call in notation.parse_calls(text)] == expected
    brace = text.rindex("}")
    assert len(notation.parse_calls(text[:brace])) == len(calls) - 1, "a call that was broken off is none"


@every_family
def test_arguments_come_back_as_the_model_wrote_them(engines, family):
    """Control tokens in arguments are written as characters."""
    engine = engines(family)
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    tool = {"name": "say", "parameters": schema}
    notation = ToolNotation.for_tokenizer(engine.tokenizer)
    whole = notation.format_calls([openai_call("say", text=TRICKY)])
    value = json.dumps(TRICKY, ensure_ascii=False)
    before, after = whole.split(value)
    with writing(engine, before, (value,), after):
        answer = engine.ask("now?", tools=[tool], tool_choice="say", max_new_tokens=400, parallel_tool_calls=False)
    assert answer.tool_calls == (ToolCall("say", {"text": TRICKY}),)


# ---------------------------------------------------------------------------------------------- histories


def history(ids=("call_0123456789abcdef", None), text="ninety"):
    first, second = ids
    return [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "what rent?"},
        {"role": "assistant", "content": "", "tool_calls": [openai_call("look_up", first, clause=text)]},
        {"role": "tool", "content": f"{text} pounds", **({"tool_call_id": first} if first else {})},
        {"role": "assistant", "content": "", "tool_calls": [openai_call("ping", second, x=text)]},
        {"role": "tool", "content": f"{text} days", **({"tool_call_id": second} if second else {})},
        {"role": "assistant", "content": "It is ninety."},
        {"role": "user", "content": "sure?"},
    ]


@every_family
@pytest.mark.parametrize("ids", [(None, None), ("call_0123456789abcdef", "call_x"), ("nineChar1", None)])
@pytest.mark.parametrize("choice", ["auto", "none"])
def test_calls_and_results_of_earlier_turns_reach_the_model(tokenizer, ids, choice):
    tools = Tools.from_openai([LOOK_UP, PING], choice, True)
    text = build_text(history(ids), tokenizer, tools)
    places = [text.index(part) for part in ("what rent?", "ninety pounds", "ninety days", "It is ninety.")]
    assert places == sorted(places)
    assert text.count("ninety") == 5, "both calls, both results and the answer"


def build_text(messages, tokenizer, tools):
    return tokenizer.decode(build_prompt(messages, tokenizer, 4096, 8, tools).ids, special=True)


@pytest.mark.parametrize("family", ["mistral"])
def test_ids_are_rewritten_where_the_template_demands_it_and_results_keep_to_their_calls(tokenizer):
    calls = [openai_call("ping", "call_one"), openai_call("ping", "call_two")]
    messages = [
        {"role": "user", "content": "now?"},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "content": "second", "tool_call_id": "call_two"},
        {"role": "tool", "content": "first", "tool_call_id": "call_one"},
    ]
    text = build_text(messages, tokenizer, OFFERED)
    one, two = (part[:9] for part in text.split('"id": "')[1:])
    assert one != two
    assert f'{{"content": "second", "call_id": "{two}"}}' in text
    assert f'{{"content": "first", "call_id": "{one}"}}' in text


@pytest.mark.parametrize("family", ["llama 3"])
def test_several_calls_of_a_message_are_refused_where_the_template_renders_one(tokenizer):
    messages = history()
    messages[2]["tool_calls"] *= 2
    with pytest.raises(InputError, match="2 tool calls, and the tokenizer's chat template renders only one"):
        build_text(messages, tokenizer, OFFERED)


@every_family
def test_control_tokens_in_arguments_and_results_stay_text(tokenizer):
    control = "".join(token.content for token in tokenizer.control_tokens)
    ids, plain = (
        build_prompt(history(text=text), tokenizer, 8192, 8, OFFERED).ids.tolist() for text in (control, "plain")
    )
    control_ids = {number for number, token in tokenizer.tokenizer.added_tokens_decoder.items() if token.special}
    control_ids |= {tokenizer.tokenizer.convert_tokens_to_ids(token.content) for token in tokenizer.control_tokens}
    assert [one for one in ids if one in control_ids] == [one for one in plain if one in control_ids]
