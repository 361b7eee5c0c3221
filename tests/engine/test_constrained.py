"""Constrained decoding: what comes out fits the constraint, whatever the model, the draws and the length."""

import datetime
import json
import re
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, SecretStr, TypeAdapter

from sharedllm_core import Constraint, InputError
from sharedllm_core.generation.constraints.processors import Grammar, GrammarTokens
from tests import tiny_engine
from tests.tiny_engine import BOTH_READINGS

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string", "minLength": 2}, "minItems": 1},
        "kind": {"enum": ["tenant", "owner"]},
        "lease": {"type": "object", "properties": {"from": {"type": "string", "format": "date"}}, "required": ["from"]},
    },
    "required": ["name", "age", "tags", "kind"],
}
TREE = {
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "at": {"type": "number"}}}},
    "$ref": "#/$defs/node",
}


class Node(BaseModel):
    value: float = Field(gt=0)
    children: list["Node"] = []
    parent: "Node | None" = None


FORMATS = ["date", "time", "date-time", "duration", "uuid", "email", "uri"]
OPEN_PATTERNS = [
    r"^[a-z]+@[a-z]+\.(com|org)$",
    "^[a-z,]+x$",
    r'^[}"]+x$',
    "^([a-z]{2}[0-9])+-$",
    "^(a(b|c))+d$",
    "^[à-ü]+x$",
    "^[a-z]{100}x$",
]


def numbers():
    """Schemas of numbers with bounds that leave something between them."""
    bounds = st.integers(-1000, 1000).map(lambda whole: whole / 10)
    lows = st.sampled_from(["minimum", "exclusiveMinimum"])
    highs = st.sampled_from(["maximum", "exclusiveMaximum"])
    several = st.tuples(lows, bounds, highs, st.floats(0.1, 2000).map(lambda width: round(width, 1)))
    both = several.map(lambda made: {made[0]: made[1], made[2]: round(made[1] + made[3], 1)})
    one = st.tuples(lows | highs, bounds).map(lambda made: {made[0]: made[1]})
    whole = st.tuples(lows | highs, st.integers(-50, 50)).map(lambda made: {"type": "integer", made[0]: made[1]})
    return (both | one).map(lambda made: {"type": "number", **made}) | whole


def schemas():
    formats = st.sampled_from(FORMATS).map(lambda name: {"type": "string", "format": name})
    patterns = st.sampled_from(OPEN_PATTERNS).map(lambda pattern: {"type": "string", "pattern": pattern})
    plain = (
        numbers()
        | formats
        | patterns
        | st.sampled_from(
            [
                {"type": "string"},
                {"type": "string", "minLength": 3, "maxLength": 9},
                {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
                {"type": "integer"},
                {"type": "integer", "minimum": 3, "maximum": 40},
                {"type": "number"},
                {"type": "boolean"},
                {"type": "null"},
                {"enum": ["é", "two words", 'a "quoted" one', 7, None]},
                {"const": "fixed"},
            ]
        )
    )

    def deeper(inner):
        names = st.text("abcé_ -", min_size=1, max_size=8)
        objects = st.dictionaries(names, inner, max_size=3).flatmap(
            lambda properties: st.lists(st.sampled_from(sorted(properties) or ["x"]), unique=True).map(
                lambda required: {
                    "type": "object",
                    "properties": properties,
                    "required": [name for name in required if name in properties],
                }
            )
        )
        arrays = st.tuples(inner, st.integers(0, 2)).map(
            lambda made: {"type": "array", "items": made[0], "minItems": made[1]}
        )
        return objects | arrays | st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"anyOf": parts})

    return st.recursive(plain, deeper, max_leaves=6)


@pytest.fixture(scope="module")
def shared(checkpoint):
    """An engine and a library for all examples of a property."""
    engine = tiny_engine.make_engine(checkpoint)
    return SimpleNamespace(engine=engine, library=engine.library(tiny_engine.documents(1)))


def least_tokens(engine, options):
    """How many tokens an answer needs, as the refusal of fewer says."""
    with pytest.raises(InputError) as refused:
        engine.ask("who?", max_new_tokens=1, **options)
    return int(re.search(r"which needs (\d+) tokens", str(refused.value))[1])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(schema=schemas(), temperature=st.sampled_from([0.0, 1.0, 20.0]), seed=st.integers(0, 9), room=st.integers(0, 40))
def test_json_parses_and_fits_its_schema_in_however_few_tokens_it_has(shared, schema, temperature, seed, room):
    options = {"constraint": Constraint.json_schema(schema), "temperature": temperature, "seed": seed}
    least = least_tokens(shared.engine, options)
    assume(least + room <= tiny_engine.WINDOW // 2)
    answer = shared.engine.ask("who?", shared.library, max_new_tokens=least + room, **options)
    checker = Draft202012Validator.FORMAT_CHECKER
    Draft202012Validator(schema, format_checker=checker).validate(json.loads(answer.text, parse_constant=pytest.fail))
    assert answer.finish_reason in ("stop", "length"), "with few tokens, the text is completed early"


TEXT = Constraint.json_schema({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]})


@pytest.mark.parametrize(
    "options", [{"constraint": TEXT}, {"tools": [{"name": "now"}]}], ids=["json", "text or a call"]
)
def test_an_answer_completed_early_has_finish_reason_length(engine, options):
    for seed in range(3):
        cut = engine.ask("who?", temperature=50.0, seed=seed, max_new_tokens=40, **options)
        assert cut.finish_reason == "length"
        assert cut.usage.completion_tokens <= 40


def test_an_answer_that_matches_in_time_has_finish_reason_stop(engine):
    for seed in range(3):
        options = {"constraint": Constraint.choice(["yes", "it depends"]), "temperature": 9.0, "seed": seed}
        assert engine.ask("who?", **options).finish_reason == "stop"


def test_in_a_batch_only_the_rows_completed_early_have_finish_reason_length(engine):
    options = {"constraint": TEXT, "max_new_tokens": 40, "num_evidence": 0}
    batch = engine.ask_batch(["who?", "what?", "when?"], **options)
    alone = [engine.ask(question, **options) for question in ("who?", "what?", "when?")]
    assert [row.finish_reason for row in batch] == [row.finish_reason for row in alone]


@pytest.mark.parametrize("schema", [PERSON, TREE, Node.model_json_schema()], ids=["person", "recursive", "pydantic"])
def test_every_row_of_a_batch_fits_and_is_what_it_is_alone(engine, schema):
    options = {"constraint": Constraint.json_schema(schema), "temperature": 2.0, "seed": 3, "max_new_tokens": 120}
    questions = ["who?", "which notice period?", "what rent must be paid every month?"]
    library = engine.library(tiny_engine.documents(2))
    together = engine.ask_batch(questions, library, **options)
    for question, answer in zip(questions, together, strict=True):
        Draft202012Validator(schema).validate(json.loads(answer.text))
        assert answer.text == engine.ask(question, library, **options).text


def test_an_object_has_only_the_properties_that_are_named_unless_the_schema_asks_for_more(engine):
    named = {"type": "object", "properties": {"a": {"type": "integer"}}}
    for seed in range(5):
        answer = engine.ask("who?", constraint=Constraint.json_schema(named), temperature=30.0, seed=seed)
        assert set(json.loads(answer.text)) <= {"a"}
    merged = {"allOf": [named, {"type": "object", "properties": {"b": {"type": "null"}}, "required": ["b"]}]}
    answer = engine.ask("who?", constraint=Constraint.json_schema(merged))
    Draft202012Validator(merged).validate(json.loads(answer.text))


@BOTH_READINGS
def test_a_choice_is_one_of_its_options_and_a_regex_matches_in_full(engine):
    options = ["yes", "no", "it depends", 'say "é"']
    said = {engine.ask("who?", constraint=Constraint.choice(options), temperature=9.0, seed=s).text for s in range(8)}
    assert said <= set(options)
    assert len(said) > 1
    pattern = r"[A-Z]{2}-\d{3}( \(draft\))?"
    assert re.fullmatch(pattern, engine.ask("who?", constraint=Constraint.regex(pattern)).text)


@BOTH_READINGS
def test_streamed_pieces_make_up_the_constrained_answer(engine):
    constraint = Constraint.json_schema(PERSON)
    stream = engine.stream("who?", constraint=constraint, max_new_tokens=100)
    text = "".join(stream)
    Draft202012Validator(PERSON).validate(json.loads(text))
    assert text == stream.answer.text


@pytest.fixture(scope="module")
def tokens():
    made = tiny_engine.tokenizer()
    return GrammarTokens(SimpleNamespace(tokenizer=made), frozenset([made.eos_token_id]), len(made))


def writable(tokens, schema, text):
    """Whether a text is one that may be written by a schema."""
    ids = tokens.grammar_tokenizer.tokenize_str(text)
    matcher = Grammar(Constraint.json_schema(schema), tokens).matcher()
    return matcher.validate_tokens([*ids, *tokens.eos_ids]) == len(ids) + 1


@pytest.mark.parametrize("pattern", OPEN_PATTERNS)
def test_a_pattern_that_may_repeat_for_ever_has_a_short_end(tokens, pattern):
    ending = Grammar(Constraint.json_schema({"type": "string", "pattern": pattern}), tokens).ending
    assert len(ending) < 25
    assert re.fullmatch(pattern, json.loads(tokens.grammar_tokenizer.decode_str(ending[:-1])))


@pytest.mark.parametrize(
    ("schema", "around"),
    [
        ({"type": "number"}, "{}"),
        ({"type": "integer"}, "{}"),
        ({"minimum": 0}, "{}"),
        ({"type": ["number", "null"], "maximum": 1e30}, "{}"),
        ({"anyOf": [{"type": "number"}, {"type": "string"}]}, "{}"),
        ({}, "{}"),
        ({}, '[[{{"a":{}}}]]'),
        ({"type": "array"}, "[{}]"),
        ({"type": "object"}, '{{"a":{}}}'),
        ({"properties": {"a": True}}, '{{"a":{}}}'),
        ({"type": "object", "properties": {"b": {}}, "additionalProperties": True}, '{{"a":{}}}'),
        ({"allOf": [{"type": "number"}, {"exclusiveMinimum": 3}]}, "{}"),
    ],
)
def test_numbers_that_python_cannot_read_are_never_written(tokens, schema, around):
    assert writable(tokens, schema, around.format(17))
    assert not any(writable(tokens, schema, around.format(text)) for text in ["1e999", "1E5", "1" * 5000])


@given(bounds=numbers(), number=st.decimals(-3000, 3000, places=3), offset=st.sampled_from([0, 1e-9, -1e-9]))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_number_is_written_only_within_its_bounds(tokens, bounds, number, offset):
    edges = [value for value in bounds.values() if not isinstance(value, str)]
    for text in [f"{number:f}", f"{number:.0f}", *(f"{edge + offset:.9f}" for edge in edges), *map(str, edges)]:
        if writable(tokens, bounds, text):
            Draft202012Validator(bounds).validate(json.loads(text))


@pytest.mark.parametrize(
    ("name", "kind", "written", "never"),
    [
        ("date", datetime.date, ["2024-02-29", "0001-01-01"], ["0000-01-01", "2023-02-29", "1900-02-29"]),
        ("time", datetime.time, ["23:59:59Z", "10:00:00.25+02:00"], ["10:00:60Z"]),
        ("date-time", datetime.datetime, ["2000-02-29T10:00:00Z"], ["0000-01-01T10:00:00Z", "2024-01-01T10:00:60Z"]),
        ("duration", datetime.timedelta, ["P2W", "PT31536000S", "P1Y2M3DT4H5M6S"], ["P9999999Y", "PT9999999999H"]),
        ("uuid", uuid.UUID, [str(uuid.UUID(int=7))], ["7"]),
        ("path", Path, ["a/b"], []),
        ("binary", bytes, ["é"], []),
        ("password", SecretStr, ["secret"], []),
    ],
)
def test_what_is_written_in_a_format_is_what_pydantic_reads(tokens, name, kind, written, never):
    adapter = TypeAdapter(kind)
    schema = adapter.json_schema()
    assert schema["format"] == name
    for text in written:
        assert writable(tokens, schema, f'"{text}"')
        adapter.validate_json(f'"{text}"')
    assert not any(writable(tokens, schema, f'"{text}"') for text in never)
    ending = Grammar(Constraint.json_schema(schema), tokens).ending
    adapter.validate_json(tokens.grammar_tokenizer.decode_str(ending[:-1]))


def test_a_format_and_a_pattern_are_both_kept_to(tokens):
    schema = {"type": "string", "format": "date", "pattern": "^2024"}
    assert writable(tokens, schema, '"2024-02-29"')
    assert not writable(tokens, schema, '"2023-02-28"')


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: Constraint.json_schema({"not": {"type": "string"}}), r'Unimplemented keys: \["not"\]'),
        (lambda: Constraint.json_schema({"type": "array", "uniqueItems": True}), "uniqueItems"),
        (lambda: Constraint.json_schema({"type": "text"}), "Invalid type: text"),
        (lambda: Constraint.json_schema({"$ref": "#/$defs/none"}), "does not exist"),
        (lambda: Constraint.regex("a(?=b)"), "look-around"),
        (lambda: Constraint.choice([]), "give a list of strings"),
        (lambda: Constraint.choice("yes"), "give a list of strings"),
        (lambda: Constraint.choice(["yes", ""]), "none empty"),
    ],
)
def test_what_cannot_be_kept_to_is_refused_when_it_is_made(make, fault):
    with pytest.raises(InputError, match=fault):
        make()


@BOTH_READINGS
@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"constraint": Constraint.json_schema(PERSON), "max_new_tokens": 9}, r"too few .* needs \d+ tokens"),
        ({"constraint": Constraint.json_schema(PERSON), "stop": "}"}, "give one of them"),
        ({"constraint": {"type": "object"}}, "must be a Constraint"),
        ({"constraint": Constraint.lark("start: <|nowhere|>")}, "unsupported constraint, the grammar"),
        ({"constraint": Constraint.regex("(a|b)*END"), "max_new_tokens": 2}, r"needs \d tokens"),
        ({"constraint": Constraint.regex(".*bell.*")}, r"whatever max_new_tokens is; .* limit repetitions"),
    ],
)
def test_what_the_engine_cannot_keep_to_is_refused_before_the_model_runs(engine, options, fault):
    engine.model.forward = None
    with pytest.raises(InputError, match=fault):
        engine.ask("who?", **options)
